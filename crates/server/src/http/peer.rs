//! The two ends of a connection.

use std::net::SocketAddr;

use portpass_protocol::origin::Scheme;

/// The connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The other end.
    pub(crate) remote: SocketAddr,
    /// Our end.
    pub(crate) local: SocketAddr,
    /// Whether it is encrypted.
    pub(crate) scheme: Scheme,
}
