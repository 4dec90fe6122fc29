//! What all lists have in common: a link to the next page.

use axum::response::Response;
use http::{HeaderValue, header::LINK};

/// Says where the list goes on (RFC 8288; OC21): the same path with these members, in alphabetical
/// order.
pub(crate) fn link_next(response: &mut Response, path: &str, members: &[(&str, &str)]) {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
    if let Ok(link) = HeaderValue::try_from(format!("<{path}?{query}>; rel=\"next\"")) {
        response.headers_mut().insert(LINK, link);
    }
}
