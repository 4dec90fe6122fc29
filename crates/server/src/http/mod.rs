//! The rim: sockets, TLS, what every request and every answer goes through.
//!
//! ```text
//! accept ─ TLS ─ HTTP/1 or 2 ─► Door ─ origin ─► Surface: /v2/… registry
//!                                │                        /token token service
//!    log line, metrics ◄─────────┘ request id, headers    / 200
//! ```

pub(crate) mod access_log;
mod activity;
pub(crate) mod connection;
pub(crate) mod door;
pub(crate) mod listen;
pub(crate) mod monitoring;
pub(crate) mod origin;
mod patience;
mod peer;
mod places;
mod plain_text;
pub(crate) mod proxies;
mod streams;
pub(crate) mod surface;
pub(crate) mod tls;

#[cfg(test)]
mod tests;
