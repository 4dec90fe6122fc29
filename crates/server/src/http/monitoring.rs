//! `/healthz`, `/readyz` and `/metrics`, for operators.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use portpass_state::Db;
use tokio::time::timeout;

use super::plain_text::plain_text;
use crate::metrics::Metrics;

/// Answers on the listener for operators.
#[derive(Clone, Debug)]
pub(crate) struct Monitoring {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

/// Whether requests can be served.
#[derive(Debug)]
pub(crate) struct Health {
    db: Db,
    draining: AtomicBool,
}

impl Health {
    /// Ready as long as the database answers.
    pub(crate) fn new(db: Db) -> Self {
        Self { db, draining: AtomicBool::new(false) }
    }

    /// From now on no new requests are wanted.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Why requests cannot be served at the moment.
    async fn unready(&self) -> Option<String> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("stopping".to_owned());
        }
        match timeout(PING_TIMEOUT, self.db.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::error!("not ready: the database does not answer: {error}");
                Some("the database does not answer".to_owned())
            }
            Err(_) => {
                Some(format!("the database has not answered for {} s", PING_TIMEOUT.as_secs()))
            }
        }
    }
}

impl Monitoring {
    pub(crate) fn new(metrics: Arc<Metrics>, health: Arc<Health>) -> Self {
        Self { metrics, health }
    }

    /// Nobody is asked who they are: the address is the operator's.
    pub(crate) async fn serve(&self, method: &Method, path: &str) -> Response<Body> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response =
                plain_text(StatusCode::METHOD_NOT_ALLOWED, Body::from("only GET and HEAD\n"));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/healthz" => plain_text(StatusCode::OK, Body::from("ok\n")),
            "/readyz" => match self.health.unready().await {
                None => plain_text(StatusCode::OK, Body::from("ready\n")),
                Some(why) => {
                    plain_text(StatusCode::SERVICE_UNAVAILABLE, Body::from(format!("{why}\n")))
                }
            },
            "/metrics" => self.metrics(),
            _ => plain_text(
                StatusCode::NOT_FOUND,
                Body::from("/healthz, /readyz and /metrics are served here\n"),
            ),
        }
    }

    fn metrics(&self) -> Response<Body> {
        match self.metrics.text() {
            Ok(metrics) => {
                let mut response = Response::new(Body::from(metrics));
                let open = HeaderValue::from_static(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                );
                response.headers_mut().insert(header::CONTENT_TYPE, open);
                response
            }
            Err(error) => {
                tracing::error!("the metrics cannot be written: {error}");
                plain_text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    Body::from("the metrics cannot be written\n"),
                )
            }
        }
    }
}

/// A probe waits a few seconds at most.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
