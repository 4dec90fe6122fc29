//! The list of a repository's tags.

use axum::response::Response;
use portpass_protocol::{RepositoryName, Tag};
use serde::Serialize;

use super::{Call, list::link_next};
use crate::{
    error::Error,
    respond::{self, JSON},
    route::Page,
};

/// `GET /v2/NAME/tags/list` (OC21). A repository without tags has an empty list; one that does not
/// exist has none, whatever `n` says.
pub(crate) async fn list(call: Call, name: RepositoryName, page: Page) -> Result<Response, Error> {
    let Some(found) = call.registry.db().tags(&name, page.after.as_deref(), page.limit).await?
    else {
        return Err(Error::NameUnknown { name });
    };
    let mut response = respond::json(JSON, &Tags { name: &name, tags: &found.items })?;
    if let (true, Some(last)) = (found.more, found.items.last()) {
        let members = [("last", last.as_str()), ("n", &page.limit.to_string())];
        link_next(&mut response, &format!("/v2/{name}/tags/list"), &members);
    }
    Ok(response)
}

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a RepositoryName,
    tags: &'a [Tag],
}
