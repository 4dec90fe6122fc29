//! What answers about content have in common.

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ETAG, IF_NONE_MATCH},
};
use portpass_protocol::Digest;

use crate::error::Error;

/// 304: the client has these bytes.
pub(crate) fn not_modified(digest: &Digest) -> Result<Response, Error> {
    let mut response = status(StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    headers.insert(DOCKER_CONTENT_DIGEST, value(digest.to_string())?);
    headers.insert(ETAG, value(format!("\"{digest}\""))?);
    Ok(response)
}

/// Whether the client says that it has this digest: in `If-None-Match`, quoted as an entity tag or
/// bare as some clients send it (OC4, RFC 9110 §13.1.2).
pub(crate) fn holds(headers: &HeaderMap, digest: &Digest) -> bool {
    let digest = digest.to_string();
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == "*" || tag == digest)
}

/// An answer without a body.
pub(crate) fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A header's value out of texts that we made.
pub(crate) fn value(text: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(text).map_err(|_| Error::Task { doing: "writing a header" })
}

/// The digest of what is answered, or of what was created.
pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
