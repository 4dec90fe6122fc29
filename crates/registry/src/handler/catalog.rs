//! The list of repositories.

use axum::response::Response;
use portpass_protocol::RepositoryName;
use serde::Serialize;

use super::{Call, list::link_next};
use crate::{
    error::Error,
    respond::{self, JSON},
    route::Page,
};

/// `GET /v2/_catalog` (DX1)
pub(crate) async fn list(call: Call, page: Page) -> Result<Response, Error> {
    let most = call.registry.settings().catalog_limit.get();
    // Who says no number gets what is allowed.
    if page.limit > most && page.limit != Page::CATALOG_DEFAULT {
        return Err(Error::CatalogNumber { limit: most });
    }
    let page = Page { limit: page.limit.min(most), ..page };
    let found = call.registry.db().catalog(page.after.as_deref(), page.limit).await?;
    let mut response = respond::json(JSON, &Catalog { repositories: &found.items })?;
    if let (true, Some(last)) = (found.more, found.items.last()) {
        let members = [("last", last.as_str()), ("n", &page.limit.to_string())];
        link_next(&mut response, "/v2/_catalog", &members);
    }
    Ok(response)
}

#[derive(Serialize)]
struct Catalog<'a> {
    repositories: &'a [RepositoryName],
}
