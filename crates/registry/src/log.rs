//! What the log says of a request that was refused.

use axum::response::Response;
use http::{Method, StatusCode, Uri};
use portpass_protocol::Handled;
use tracing::Level;

/// Writes one line for a refusal, with its whole reason.
pub(crate) fn refusal(method: &Method, uri: &Uri, response: &Response) {
    let Some(Handled { subject, refusal: Some(refusal) }) = response.extensions().get::<Handled>()
    else {
        return;
    };
    let (status, id, reason) = (response.status(), refusal.id, &refusal.text);
    let (path, subject) = (uri.path(), subject.as_deref().unwrap_or_default());
    // The level of an event is a constant, so there is one event for each.
    macro_rules! event {
        ($level:expr) => {
            tracing::event!($level, status = status.as_u16(), %method, path, subject, id, "{reason}")
        };
    }
    match level(status, id, path) {
        Level::ERROR => event!(Level::ERROR),
        Level::WARN => event!(Level::WARN),
        Level::INFO => event!(Level::INFO),
        _ => event!(Level::DEBUG),
    }
}

/// Faults are errors, what may be an attack or a wrong set-up is a warning. A ping without
/// credentials begins every conversation, and asking for what is not there every push.
fn level(status: StatusCode, id: &str, path: &str) -> Level {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => Level::ERROR,
        StatusCode::SERVICE_UNAVAILABLE => Level::WARN,
        StatusCode::NOT_FOUND => Level::DEBUG,
        StatusCode::UNAUTHORIZED => match (id, path) {
            ("credentials-missing", "/v2" | "/v2/") => Level::DEBUG,
            ("credentials-missing" | "insufficient-scope", _) => Level::INFO,
            _ => Level::WARN,
        },
        _ => Level::INFO,
    }
}
