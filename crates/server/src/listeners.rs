//! The listeners that a configuration asks for.

use std::net::SocketAddr;

use portpass_config::{Address, Config, TlsFiles, TokenListen};

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    /// The registry, and the token service if it has no address of its own.
    Http,
    /// The token service.
    Tokens,
    /// Health and metrics.
    Admin,
}

impl ListenerKind {
    /// What metrics call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tokens => "token_service",
            Self::Admin => "admin",
        }
    }

    /// The setting that names its address.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Http => "http.addr",
            Self::Tokens => "token_service.addr",
            Self::Admin => "admin.addr",
        }
    }
}

/// A listener that a configuration asks for.
#[derive(Clone, Debug)]
pub(crate) struct ListenerConfig {
    pub(crate) kind: ListenerKind,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsFiles>,
}

impl ListenerConfig {
    /// Whether a socket for the one is a socket for the other.
    pub(crate) fn has_socket_of(&self, other: &Self) -> bool {
        let files = |listener: &Self| {
            listener.tls.as_ref().map(|tls| (tls.certificate.clone(), tls.key.clone()))
        };
        (self.kind, self.address, files(self)) == (other.kind, other.address, files(other))
    }
}

/// A listener exists only where something is served on it.
pub(crate) fn listeners(config: &Config) -> Vec<ListenerConfig> {
    let listener = |kind, address: Address, tls: &Option<TlsFiles>| ListenerConfig {
        kind,
        address: address.socket(),
        tls: tls.clone(),
    };
    let mut listeners = Vec::new();
    if config.serves_http() {
        listeners.push(listener(ListenerKind::Http, config.http.addr, &config.http.tls));
    }
    if let Some(service) = &config.token_service
        && let TokenListen::Own { addr, tls } = &service.listen
    {
        listeners.push(listener(ListenerKind::Tokens, *addr, tls));
    }
    if let Some(admin) = &config.admin {
        listeners.push(listener(ListenerKind::Admin, admin.addr, &None));
    }
    listeners
}
