//! One line per request, written when its answer is out.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Response, StatusCode, header, request};
use http_body::{Frame, SizeHint};
use portpass_protocol::{
    handled::Handled,
    origin::{ClientAddress, RequestId},
};
use tokio::time::Instant;
use tracing::Level;

use super::{activity::UnderWay, by};
use crate::{
    metrics::{Answered, Metrics, RouteKind},
    refusals::ring::Refusals,
};

/// What the line says of the request; taken before the request is given away.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: RequestId,
    pub(crate) client: ClientAddress,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) agent: String,
    pub(crate) at: Instant,
}

impl Asked {
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

/// The answer's body; writes the line when it ends or is dropped.
#[derive(Debug)]
pub(crate) struct LoggedBody {
    inner: Body,
    line: Line,
    _under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct Line {
    asked: Asked,
    kind: RouteKind,
    status: StatusCode,
    handled: Handled,
    sent: u64,
    /// How much the answer's header promised.
    announced: Option<u64>,
    /// Whether all that is to be sent was handed over.
    ended: bool,
    metrics: Arc<Metrics>,
}

impl LoggedBody {
    /// Its request is under way until it is sent.
    pub(crate) fn holding(self, under_way: UnderWay) -> Self {
        Self { _under_way: Some(under_way), ..self }
    }

    /// Takes over the body of the answer to `asked`.
    pub(crate) fn around(
        mut answer: Response<Body>,
        asked: Asked,
        kind: RouteKind,
        metrics: Arc<Metrics>,
        refusals: &Refusals,
    ) -> Response<Self> {
        let handled = answer.extensions_mut().remove::<Handled>().unwrap_or_default();
        let status = answer.status();
        // Before the answer is out: whoever has it can ask for it.
        refusals.keep(&asked, kind, status, &handled);
        let bodiless = asked.method == Method::HEAD
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let announced = answer.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        answer.map(|inner| {
            let ended = bodiless || http_body::Body::is_end_stream(&inner);
            let line = Line { asked, kind, status, handled, sent: 0, announced, ended, metrics };
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
                // A body whose length is known is not asked for its end.
                self.line.ended |=
                    self.inner.is_end_stream() || self.line.announced == Some(self.line.sent);
            }
            Some(Err(error)) => {
                tracing::error!(request_id = %self.line.asked.id.0, "the answer broke off: {error}");
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
        let took = self.asked.at.elapsed();
        self.metrics.answered(&Answered {
            kind: self.kind,
            method: &self.asked.method,
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
        let Asked { id, client, method, path, agent, .. } = &self.asked;
        let refusal = self.handled.refusal.as_ref();
        let failure = refusal.and_then(|refusal| refusal.failures(by(self.kind)).certain());
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
