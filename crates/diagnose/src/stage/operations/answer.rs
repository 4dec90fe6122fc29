//! What the answers to operations say.

use portpass_protocol::challenge::KnownClient;
use reqwest::StatusCode;

use crate::{
    Check, Finding, Needs,
    exchange::{Request, Response},
    probe::{RequestError, RequestErrorKind},
    redact,
};

/// An answer that is none of a registry that has what it is asked for.
pub(super) fn broken_answer(check: Check, what: &str, response: &Response) -> Finding {
    if response.is_html() {
        return Finding::fail(check, format!("{what} returns a web page: {}", response.status))
            .evidence("docker says: error parsing HTTP response: invalid character '<' looking for beginning of value")
            .breaks(&KnownClient::ALL)
            .fix("the page comes from a proxy in front of the registry: look for the request in its log. It must pass errors of /v2/ on unchanged")
            .rows(&["F126"]);
    }
    if response.status == StatusCode::TOO_MANY_REQUESTS {
        return Finding::fail(check, format!("{what} fails with 429: too many pulls"))
            .evidence(
                "the limit counts an account, or everybody from one address, as behind one NAT",
            )
            .breaks(&KnownClient::ALL)
            .fix("wait, log in to get the limit of an account, or pull through your own cache");
    }
    let fix = if is_denied(response) {
        "the registry accepts the token elsewhere in the same repository: look for the request in its log"
    } else {
        "look for the request in the registry's log"
    };
    let summary = format!("{what} fails with {}", response.status);
    Finding::fail(check, summary).breaks(&KnownClient::ALL).fix(fix)
}

/// Whether it was for want of rights.
pub(super) fn is_denied(response: &Response) -> bool {
    matches!(response.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// `GET /v2/…: 404 …`
pub(super) fn describe(request: &Request, answer: &Result<Response, RequestError>) -> String {
    let asked = format!("{} {}", request.method, request.url.path());
    match answer {
        Ok(response) if response.status.is_success() || response.body.is_empty() => {
            format!("{asked}: {}", response.status)
        }
        Ok(response) => format!("{asked}: {} {}", response.status, redact::excerpt(response)),
        Err(error) => format!("{asked}: {error}"),
    }
}

/// Why nothing can be said where enough has been asked.
pub(super) fn out_of_requests(error: &RequestError) -> Option<Needs> {
    (error.kind == RequestErrorKind::Budget).then_some(ENOUGH)
}

const ENOUGH: Needs = Needs::Nothing("the limit of requests is reached");
