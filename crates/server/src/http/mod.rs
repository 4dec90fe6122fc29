//! Listeners: sockets, TLS, and what every request and every answer goes through.
//!
//! ```text
//! accept ─ TLS ─ HTTP/1 or 2 ─► ListenerService ─ origin ─► ListenerRouter: /v2/… registry
//!                                │                                          /token token service
//!    log line, metrics ◄─────────┘ request id, headers                      / 200
//! ```

pub(crate) mod access_log;
mod activity;
pub(crate) mod connection;
mod connection_slots;
pub(crate) mod listener;
pub(crate) mod listener_router;
pub(crate) mod listener_service;
pub(crate) mod monitoring;
pub(crate) mod origin;
mod peer;
mod plain_text;
pub(crate) mod proxies;
mod stall_timeout;
mod streams;
pub(crate) mod tls;

#[cfg(test)]
mod tests;
