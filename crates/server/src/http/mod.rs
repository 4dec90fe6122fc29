//! The rim: sockets, TLS, what every request and every answer goes through.
//!
//! ```text
//! accept ─ TLS ─ HTTP/1 or 2 ─► Door ─ origin ─► Surface: /v2/… registry
//!                                │                        /token token service
//!    log line, metrics ◄─────────┘ request id, headers    / 200
//! ```

use portpass_protocol::advice::By;

use crate::metrics::RouteKind;

pub(crate) mod access_log;
mod activity;
pub(crate) mod connection;
pub(crate) mod door;
pub(crate) mod listen;
pub(crate) mod origin;
mod patience;
mod places;
pub(crate) mod proxies;
pub(crate) mod request_id;
mod streams;
pub(crate) mod surface;
pub(crate) mod tls;

/// Whose answer it is.
pub(crate) fn by(kind: RouteKind) -> By {
    match kind {
        RouteKind::Token | RouteKind::Keys | RouteKind::Revoke => By::TokenService,
        RouteKind::Base
        | RouteKind::Catalog
        | RouteKind::Tags
        | RouteKind::Manifest
        | RouteKind::Blob
        | RouteKind::Upload
        | RouteKind::Referrers
        | RouteKind::Admin
        | RouteKind::Other => By::Registry,
    }
}

#[cfg(test)]
mod tests;
