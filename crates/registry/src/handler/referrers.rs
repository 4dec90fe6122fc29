//! The manifests that are about another one (OC24).

use axum::response::Response;
use http::{HeaderName, HeaderValue};
use portpass_protocol::{Digest, RepositoryName, manifest::MediaType};
use portpass_state::Referrer;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Call, list::link_next};
use crate::{
    error::Error,
    location, respond,
    route::{ArtifactType, Page},
};

/// `GET /v2/NAME/referrers/DIGEST`: an index, empty for whatever is not known here.
pub(crate) async fn list(
    call: Call,
    name: RepositoryName,
    digest: Digest,
    artifact_type: Option<ArtifactType>,
    page: Page<Digest>,
) -> Result<Response, Error> {
    let wanted = artifact_type.as_ref().map(ArtifactType::as_str);
    let db = call.registry.db();
    let found = db.referrers(&name, &digest, wanted, page.after.as_ref(), page.limit).await?;
    let index = Index {
        schema_version: 2,
        media_type: MediaType::OciIndex.as_str(),
        manifests: found.items.iter().map(Descriptor::from).collect(),
    };
    let mut response = respond::json(HeaderValue::from_static(index.media_type), &index)?;
    if wanted.is_some() {
        response.headers_mut().insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let (true, Some(last)) = (found.more, found.items.last()) {
        let (last, limit) = (last.digest.to_string(), page.limit.to_string());
        let mut members = vec![("last", last.as_str()), ("n", limit.as_str())];
        members.splice(0..0, wanted.map(|wanted| ("artifactType", wanted)));
        link_next(&mut response, &location::referrers(&name, &digest), &members);
    }
    Ok(response)
}

/// An OCI image index, as far as a list of referrers needs one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Map<String, Value>>,
}

impl<'a> From<&'a Referrer> for Descriptor<'a> {
    fn from(referrer: &'a Referrer) -> Self {
        Self {
            media_type: &referrer.media_type,
            digest: &referrer.digest,
            size: referrer.size,
            artifact_type: referrer.artifact_type.as_deref(),
            annotations: referrer.annotations.as_ref(),
        }
    }
}

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
