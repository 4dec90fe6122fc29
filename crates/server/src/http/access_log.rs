//! One line per request, written when its answer is out.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes};
use http::{Method, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use portpass_protocol::outcome::RequestOutcome;
use tracing::Level;

use super::activity::RequestGuard;
use crate::{
    metrics::{Answered, Metrics, RouteKind},
    refusals::ring::RefusalLog,
    request::RequestSummary,
};

/// The answer's body; writes the line when it ends or is dropped.
#[derive(Debug)]
pub(crate) struct LoggedBody {
    inner: Body,
    line: Line,
    _under_way: Option<RequestGuard>,
}

#[derive(Debug)]
struct Line {
    request: RequestSummary,
    kind: RouteKind,
    status: StatusCode,
    handled: RequestOutcome,
    sent: u64,
    /// How much the answer's header promised.
    announced: Option<u64>,
    /// Whether all that is to be sent was handed over.
    ended: bool,
    metrics: Arc<Metrics>,
}

impl LoggedBody {
    /// Its request is under way until it is sent.
    pub(crate) fn holding(self, under_way: RequestGuard) -> Self {
        Self { _under_way: Some(under_way), ..self }
    }

    /// Takes over the body of the answer to `request`.
    pub(crate) fn around(
        mut answer: Response<Body>,
        request: RequestSummary,
        kind: RouteKind,
        metrics: Arc<Metrics>,
        refusals: &RefusalLog,
    ) -> Response<Self> {
        let handled = answer.extensions_mut().remove::<RequestOutcome>().unwrap_or_default();
        let status = answer.status();
        // Before the answer is out: whoever has it can ask for it.
        refusals.keep(&request, kind, status, &handled);
        let bodiless = request.method == Method::HEAD
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let announced = answer.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        answer.map(|inner| {
            let ended = bodiless || http_body::Body::is_end_stream(&inner);
            let line = Line { request, kind, status, handled, sent: 0, announced, ended, metrics };
            Self { inner, line, _under_way: None }
        })
    }
}

impl http_body::Body for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.line.sent += length as u64;
                // A body whose length is known is not request for its end.
                self.line.ended |=
                    self.inner.is_end_stream() || self.line.announced == Some(self.line.sent);
            }
            Some(Err(error)) => {
                tracing::error!(request_id = %self.line.request.id.0, "the response broke off: {error}");
            }
            None => self.line.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let took = self.request.at.elapsed();
        self.metrics.answered(&Answered {
            kind: self.kind,
            method: &self.request.method,
            status: self.status,
            refusal: self.handled.refusal.as_ref().map(|refusal| refusal.id),
            took,
            bytes: self.sent,
        });
        self.write(took);
    }
}

impl Line {
    fn write(&self, took: Duration) {
        let RequestSummary { id, client, method, path, agent, .. } = &self.request;
        let refusal = self.handled.refusal.as_ref();
        let failure =
            refusal.and_then(|refusal| refusal.failures(self.kind.answered_by()).certain());
        // The fields stand here once per level, since a level is part of where an event is declared.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: TARGET,
                    request_id = %id.0,
                    client = %client.0,
                    subject = self.handled.subject.as_deref(),
                    %method,
                    path,
                    status = self.status.as_u16(),
                    bytes = self.sent,
                    broken = (!self.ended).then_some(true),
                    ms = milliseconds(took),
                    refusal = refusal.map(|refusal| refusal.id),
                    failure,
                    reason = refusal.map(|refusal| refusal.text.as_str()),
                    agent,
                )
            };
        }
        match self.level() {
            Level::ERROR => line!(error),
            Level::WARN => line!(warn),
            Level::INFO => line!(info),
            _ => line!(debug),
        }
    }

    /// Faults are errors; what may be an attack or a wrong set-up is a warning. A ping without
    /// credentials begins every conversation, and an honest client may ask for more than it gets.
    fn level(&self) -> Level {
        let refusal = self.handled.refusal.as_ref().map(|refusal| refusal.id);
        match (self.kind, self.status, refusal) {
            // Probes come every few seconds, and what they find is logged where it is found.
            (RouteKind::Admin, _, _) => Level::DEBUG,
            (_, status, _) if status.is_server_error() => Level::ERROR,
            (_, StatusCode::UNAUTHORIZED, Some("credentials-missing" | "insufficient-scope")) => {
                Level::INFO
            }
            (_, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS, _) => Level::WARN,
            _ => Level::INFO,
        }
    }
}

/// What a filter calls these lines.
pub(crate) const TARGET: &str = "access";

/// With three digits: a cached token takes 50 µs.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
