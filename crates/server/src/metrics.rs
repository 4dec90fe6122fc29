//! What Prometheus reads from `/metrics`.
//!
//! Labels are closed sets: no name, path or address of a caller ever becomes one.

use std::{fmt, time::Duration};

use http::{Method, StatusCode};
use portpass_protocol::advice::RefusedBy;
use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

/// All counters of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<KindLabel, Histogram, fn() -> Histogram>,
    sent: Counter,
    refusals: Family<RefusalLabel, Counter>,
    tokens: Counter,
    panics: Counter,
    open: Family<ListenerLabel, Gauge>,
    accepted: Family<ListenerLabel, Counter>,
    cut: Family<ListenerLabel, Counter>,
    handshakes_failed: Counter,
    rules_rejected: Gauge,
}

/// What kind of request it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// A list of tags.
    Tags,
    /// A manifest.
    Manifest,
    /// A blob.
    Blob,
    /// A blob on its way to us.
    Upload,
    /// What refers to a manifest.
    Referrers,
    /// A token.
    Token,
    /// The public keys.
    Keys,
    /// The end of a refresh token.
    Revoke,
    /// What a token is worth.
    Introspect,
    /// Where the token service's endpoints are.
    Metadata,
    /// Health and metrics.
    Admin,
    /// Anything else.
    Other,
}

/// One answer, as it is counted.
#[derive(Clone, Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) kind: RouteKind,
    pub(crate) method: &'a Method,
    pub(crate) status: StatusCode,
    pub(crate) refusal: Option<&'static str>,
    pub(crate) took: Duration,
    pub(crate) bytes: u64,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("portpass");
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            sent: Counter::default(),
            refusals: Family::default(),
            tokens: Counter::default(),
            panics: Counter::default(),
            open: Family::default(),
            accepted: Family::default(),
            cut: Family::default(),
            handshakes_failed: Counter::default(),
            rules_rejected: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "build",
            "What is running",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "http_requests",
            "Responses by kind of request",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From the request's headers to the response's last byte",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register_with_unit(
            "http_sent",
            "Bytes of response bodies",
            Unit::Bytes,
            metrics.sent.clone(),
        );
        registry.register("refusals", "Refused requests by reason", metrics.refusals.clone());
        registry.register("tokens_issued", "Tokens that were signed", metrics.tokens.clone());
        registry.register(
            "panics",
            "Requests that ended in a fault of this program",
            metrics.panics.clone(),
        );
        registry.register("connections_open", "Connections at the moment", metrics.open.clone());
        registry.register("connections_accepted", "Connections so far", metrics.accepted.clone());
        registry.register(
            "connections_cut",
            "Connections that were closed to make room for others",
            metrics.cut.clone(),
        );
        registry.register(
            "tls_handshakes_failed",
            "Connections that never became TLS",
            metrics.handshakes_failed.clone(),
        );
        registry.register(
            "policy_file_rejected",
            "1 while the rule file cannot be used and older rules are in force",
            metrics.rules_rejected.clone(),
        );
        Self { registry, ..metrics }
    }

    /// Adds something that is read when it is asked for, like the length of a queue.
    pub fn add_collector(&mut self, collector: impl Collector) {
        self.registry.register_collector(Box::new(collector));
    }

    /// The text that Prometheus reads (`OpenMetrics` 1.0).
    ///
    /// # Errors
    /// A collector failed.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Whether the rules in force are those that their file holds now.
    pub(crate) fn rules_are_current(&self, current: bool) {
        self.rules_rejected.set(i64::from(!current));
    }

    pub(crate) fn answered(&self, answered: &Answered<'_>) {
        let Answered { kind, method, status, refusal, took, bytes } = answered;
        let labels = RequestLabels {
            kind: *kind,
            method: MethodLabel::from(*method),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&KindLabel { kind: *kind }).observe(took.as_secs_f64());
        self.sent.inc_by(*bytes);
        if let Some(reason) = refusal {
            self.refusals.get_or_create(&RefusalLabel { reason }).inc();
        }
        if *kind == RouteKind::Token && *status == StatusCode::OK {
            self.tokens.inc();
        }
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// Shows the figures of a listener from the first on that may stay at zero.
    pub(crate) fn listens(&self, listener: &'static str) {
        drop(self.cut.get_or_create(&ListenerLabel { listener }));
    }

    pub(crate) fn connection_cut(&self, listener: &'static str) {
        self.cut.get_or_create(&ListenerLabel { listener }).inc();
    }

    /// Counts a connection until the guard is dropped.
    pub(crate) fn connection_opened(&self, listener: &'static str) -> OpenConnection {
        let label = ListenerLabel { listener };
        self.accepted.get_or_create(&label).inc();
        let open = self.open.get_or_create_owned(&label);
        open.inc();
        OpenConnection(open)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge<i64, std::sync::atomic::AtomicI64>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: RouteKind,
    method: MethodLabel,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: RouteKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

/// A caller may invent methods; the set of labels stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct MethodLabel(&'static str);

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        Self(match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "other",
        })
    }
}

impl EncodeLabelValue for MethodLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

impl RouteKind {
    /// The service that answers it.
    pub(crate) fn answered_by(self) -> RefusedBy {
        match self {
            Self::Token | Self::Keys | Self::Revoke | Self::Introspect | Self::Metadata => {
                RefusedBy::TokenService
            }
            Self::Base
            | Self::Catalog
            | Self::Tags
            | Self::Manifest
            | Self::Blob
            | Self::Upload
            | Self::Referrers
            | Self::Admin
            | Self::Other => RefusedBy::Registry,
        }
    }

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Upload => "upload",
            Self::Referrers => "referrers",
            Self::Token => "token",
            Self::Keys => "keys",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Metadata => "metadata",
            Self::Admin => "admin",
            Self::Other => "other",
        }
    }
}

impl EncodeLabelValue for RouteKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

/// From a cached token to a large layer, in seconds.
const BUCKETS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

#[cfg(test)]
mod tests {
    use super::*;

    fn answered<'a>(
        method: &'a Method,
        status: StatusCode,
        refusal: Option<&'static str>,
    ) -> Answered<'a> {
        Answered {
            kind: RouteKind::Token,
            method,
            status,
            refusal,
            took: Duration::from_millis(3),
            bytes: 10,
        }
    }

    #[test]
    fn answers_are_counted_by_kind_method_status_and_reason() {
        let metrics = Metrics::new();
        let invented = Method::from_bytes(b"MAKE-A-LABEL").unwrap();
        metrics.answered(&answered(&Method::GET, StatusCode::OK, None));
        metrics.answered(&answered(&Method::GET, StatusCode::OK, None));
        metrics.answered(&answered(&invented, StatusCode::UNAUTHORIZED, Some("wrong-password")));
        let text = metrics.text().unwrap();
        for line in [
            r#"portpass_http_requests_total{kind="token",method="GET",status="200"} 2"#,
            r#"portpass_http_requests_total{kind="token",method="other",status="401"} 1"#,
            r#"portpass_refusals_total{reason="wrong-password"} 1"#,
            "portpass_tokens_issued_total 2",
            "portpass_http_sent_bytes_total 30",
            r#"portpass_http_request_duration_seconds_bucket{le="0.005",kind="token"} 3"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("MAKE-A-LABEL"));
    }

    #[test]
    fn a_connection_counts_as_open_until_it_is_dropped() {
        let metrics = Metrics::new();
        let open = metrics.connection_opened("http");
        assert!(
            metrics.text().unwrap().contains(r#"portpass_connections_open{listener="http"} 1"#)
        );
        drop(open);
        assert!(
            metrics.text().unwrap().contains(r#"portpass_connections_open{listener="http"} 0"#)
        );
    }
}
