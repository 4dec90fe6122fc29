//! Answers in plain text.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

/// A plain answer.
pub(crate) fn plain_text(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
