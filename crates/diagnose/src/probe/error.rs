//! Why there is no answer, in words.

use std::error::Error;

use portpass_client::{causes, trust::describe};

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct RequestError {
    /// What the connection said, down to the cause.
    pub(crate) reason: String,
    /// What kind of failure it is.
    pub(crate) kind: RequestErrorKind,
}

/// Kinds of [`RequestError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestErrorKind {
    /// No connection, or none with TLS.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection broke, or what came is no HTTP.
    Broken,
    /// We have asked enough.
    Budget,
}

/// What a failed exchange amounts to.
pub(super) fn request_error(error: &reqwest::Error) -> RequestError {
    let kind = if error.is_timeout() {
        RequestErrorKind::Timeout
    } else if error.is_connect() {
        RequestErrorKind::Connect
    } else {
        RequestErrorKind::Broken
    };
    let http = || causes(error).find_map(|cause| cause.downcast_ref()).and_then(no_http);
    let reason = describe(error).or_else(http).unwrap_or_else(|| reasons(error));
    RequestError { reason, kind }
}

/// What HTTP itself met, where it is the server's doing.
fn no_http(error: &hyper::Error) -> Option<String> {
    let words = if error.is_parse_too_large() {
        "the head of its response is too long"
    } else if error.is_parse() {
        "its response is not HTTP"
    } else if error.is_incomplete_message() {
        "it closes the connection before the response is complete"
    } else {
        return None;
    };
    Some(words.to_owned())
}

/// What the connection said, down to the cause. The library's own names for the steps that it was at are left out.
fn reasons(error: &reqwest::Error) -> String {
    let mut reasons = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !reason.starts_with("client error (") || error.source().is_none() {
            reasons.push(reason);
        }
        cause = error.source();
    }
    reasons.dedup();
    if reasons.is_empty() { error.to_string() } else { reasons.join(": ") }
}

#[cfg(test)]
mod tests {
    use portpass_testkit::http::{Raw, Then};

    use super::*;

    /// No name of a library's own, and no variant of its types.
    #[tokio::test]
    async fn what_is_no_http_is_called_so() {
        for (said, word) in [
            ("SSH-2.0-other\r\n", "is not HTTP"),
            ("\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}F", "is not HTTP"),
            ("", "closes the connection"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "end of file"),
        ] {
            let server = Raw::start(|_| (said.to_owned(), Then::Close)).await;
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let got = client.get(format!("http://{}/", server.address)).send().await;
            let error = match got {
                Ok(response) => response.bytes().await.unwrap_err(),
                Err(error) => error,
            };
            let RequestError { reason, kind } = request_error(&error);
            assert_eq!(kind, RequestErrorKind::Broken);
            assert!(reason.contains(word), "{reason}");
            for word in ["client error", "SendRequest", "invalid HTTP", "hyper", "(", "::"] {
                assert!(!reason.contains(word), "{reason}");
            }
        }
    }
}
