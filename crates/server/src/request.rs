//! What names and describes a request, for its answer, the log and the list of refusals.

pub(crate) mod id;

use http::{HeaderMap, Method, header, request};
use portpass_protocol::origin::{ClientAddress, RequestId};
use tokio::time::Instant;

/// The parts of a request that the log line and the list of refusals repeat. They are copied before a handler takes the
/// request.
#[derive(Debug)]
pub(crate) struct RequestSummary {
    pub(crate) id: RequestId,
    pub(crate) client: ClientAddress,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) agent: String,
    pub(crate) at: Instant,
}

impl RequestSummary {
    /// The path without the query, which may hold what is nobody's business; both cut to a length that a
    /// log can bear.
    pub(crate) fn new(id: RequestId, client: ClientAddress, head: &request::Parts) -> Self {
        Self {
            id,
            client,
            method: head.method.clone(),
            path: cut(head.uri.path()),
            agent: agent(&head.headers),
            at: Instant::now(),
        }
    }
}

fn agent(headers: &HeaderMap) -> String {
    headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(cut)
        .unwrap_or_default()
}

fn cut(text: &str) -> String {
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}

const MAX_TEXT: usize = 300;
