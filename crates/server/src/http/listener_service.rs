//! What every request and every answer of a listener goes through.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use portpass_protocol::{
    ClientAddress, ErrorBody, ErrorCode, ErrorEntry, RequestId, RequestOutcome, origin::OriginError,
};

use super::{
    access_log::LoggedBody, activity::Activity, listener_router::ListenerRouter,
    origin::RequestOrigin, peer::Peer, stall_timeout::StallTimeoutBody,
};
use crate::{
    metrics::Metrics,
    refusals::ring::RefusalLog,
    request::{
        RequestSummary,
        id::{RequestIds, taken_over},
    },
};

/// The way in of one listener. What is behind it can be replaced while it serves.
#[derive(Debug)]
pub(crate) struct ListenerService {
    name: &'static str,
    router: ArcSwap<ListenerRouter>,
    ids: Arc<RequestIds>,
    metrics: Arc<Metrics>,
    refusals: Arc<RefusalLog>,
}

impl ListenerService {
    /// `name` is what metrics call the listener.
    pub(crate) fn new(
        name: &'static str,
        router: Arc<ListenerRouter>,
        ids: Arc<RequestIds>,
        metrics: Arc<Metrics>,
        refusals: Arc<RefusalLog>,
    ) -> Self {
        metrics.listens(name);
        Self { name, router: ArcSwap::new(router), ids, metrics, refusals }
    }

    /// The next requests see this; those under way end with what they began with.
    pub(crate) fn replace(&self, router: Arc<ListenerRouter>) {
        self.router.store(router);
    }

    /// What metrics call the listener.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a peer is a proxy whose word on its clients counts.
    pub(crate) fn trusts(&self, peer: &Peer) -> bool {
        self.router.load().origins().trusts(peer)
    }

    /// How long a connection may stay without a request; those that are open keep what held when they came.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.router.load().idle_timeout()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers, whatever happens. `activity` is that of the request's connection.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        activity: &Arc<Activity>,
    ) -> Response<LoggedBody> {
        let router = self.router.load_full();
        let (mut head, body) = request.into_parts();
        let id = self.id(&router, &head, &peer);
        let seen = router.origins().resolve(&head, &peer);
        let client = seen.as_ref().map_or(ClientAddress(peer.remote.ip()), |seen| seen.client);
        let summary = RequestSummary::new(id.clone(), client, &head);
        let kind = router.kind(&head.uri);
        let mut response = match seen {
            Ok(RequestOrigin { origin, client, unnamed }) => {
                head.extensions.insert(origin);
                head.extensions.insert(client);
                if let Some(unnamed) = unnamed {
                    head.extensions.insert(unnamed);
                }
                head.extensions.insert(id.clone());
                let body = StallTimeoutBody::new(body, head.version, activity);
                let request = Request::from_parts(head, Body::new(body));
                // The handler is dropped after a panic, nothing of it is seen again.
                let answer = AssertUnwindSafe(router.serve(kind, request)).catch_unwind().await;
                answer.unwrap_or_else(|_| {
                    self.metrics.panicked();
                    internal_error()
                })
            }
            Err(error) => bad_host(&error),
        };
        finish(&router, &id, &mut response);
        LoggedBody::around(response, summary, kind, self.metrics.clone(), &self.refusals)
    }

    /// A proxy that is trusted may have named the request already.
    fn id(&self, router: &ListenerRouter, head: &http::request::Parts, peer: &Peer) -> RequestId {
        let given = head.headers.get(REQUEST_ID).filter(|_| router.origins().trusts(peer));
        taken_over(given).unwrap_or_else(|| self.ids.next())
    }
}

/// Puts on what every answer carries.
fn finish(router: &ListenerRouter, id: &RequestId, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    // What the answer says itself is true; the configuration only adds.
    for name in
        router.headers().keys().filter(|name| !headers.contains_key(*name)).collect::<Vec<_>>()
    {
        for value in router.headers().get_all(name) {
            headers.append(name, value.clone());
        }
    }
    // Both sources of ids give plain text.
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
}

/// Ours to mend, and nothing that the client could use: the log has the rest under the request's id.
fn internal_error() -> Response<Body> {
    let mut response =
        respond(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, "internal error");
    response.extensions_mut().insert(RequestOutcome::refused(
        None,
        "panic",
        "the handler panicked",
    ));
    response
}

/// CH13: such a host would end up in a challenge.
fn bad_host(error: &OriginError) -> Response<Body> {
    let mut response =
        respond(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, "the Host header is not usable");
    response.extensions_mut().insert(RequestOutcome::refused(None, "bad-host", error.to_string()));
    response
}

fn respond(status: StatusCode, code: ErrorCode, message: &str) -> Response<Body> {
    let body = ErrorBody::from(ErrorEntry::new(code).with_message(message));
    let mut response = Response::new(Body::from(body.to_json()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
