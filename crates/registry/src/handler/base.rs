//! The base of the API.

use axum::response::Response;
use http::header::CONTENT_TYPE;

use crate::respond::JSON;

/// `GET /v2/`: `{}` (OC1). Whoever comes here holds good credentials, whatever they reach (CL12).
pub(crate) fn answer() -> Response {
    let mut response = Response::new("{}".into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
