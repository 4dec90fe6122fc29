//! Which listeners there are, and what is served on each.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use http::HeaderMap;
use portpass_admin::{ADMIN, Administrator};
use portpass_config::{Address, Config, TlsFiles, TokenListen, TrustedProxies};

use crate::{
    admin::{Admin, Health},
    http::{origin::Origins, proxies::Challenges, surface::Surface},
    parts::{Parts, TokenPart},
};

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// The registry, and the token service if it has no address of its own.
    Http,
    /// The token service.
    Tokens,
    /// Health and metrics.
    Admin,
}

impl Site {
    /// What metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tokens => "token_service",
            Self::Admin => "admin",
        }
    }

    /// The setting that names its address.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Http => "http.addr",
            Self::Tokens => "token_service.addr",
            Self::Admin => "admin.addr",
        }
    }
}

/// What the log calls what is served there.
pub(super) fn what(site: Site, parts: &Parts) -> &'static str {
    let shared = |tokens: &TokenPart| matches!(tokens.listen, TokenListen::Shared);
    match (site, parts.has_registry(), parts.tokens.as_ref().is_some_and(shared)) {
        (Site::Http, true, true) => "the registry with its token service",
        (Site::Http, true, false) => "the registry",
        (Site::Http, false, _) | (Site::Tokens, _, _) => "the token service",
        (Site::Admin, _, _) => "the admin interface",
    }
}

/// A listener that a configuration asks for.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) site: Site,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsFiles>,
}

impl Place {
    /// Whether a socket for the one is a socket for the other.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let files =
            |place: &Self| place.tls.as_ref().map(|tls| (tls.certificate.clone(), tls.key.clone()));
        (self.site, self.address, files(self)) == (other.site, other.address, files(other))
    }
}

/// A listener exists only where something is served on it.
pub(crate) fn places(config: &Config) -> Vec<Place> {
    let place = |site, address: Address, tls: &Option<TlsFiles>| Place {
        site,
        address: address.socket(),
        tls: tls.clone(),
    };
    let mut places = Vec::new();
    if config.serves_http() {
        places.push(place(Site::Http, config.http.addr, &config.http.tls));
    }
    if let Some(service) = &config.token_service
        && let TokenListen::Own { addr, tls } = &service.listen
    {
        places.push(place(Site::Tokens, *addr, tls));
    }
    if let Some(admin) = &config.admin {
        places.push(place(Site::Admin, admin.addr, &None));
    }
    places
}

/// What is served there.
pub(super) fn surface(site: Site, parts: &Parts, health: &Arc<Health>) -> Surface {
    let http = &parts.http;
    let routes = |wanted: fn(&TokenListen) -> bool| {
        parts
            .tokens
            .as_ref()
            .filter(|tokens| wanted(&tokens.listen))
            .map(|tokens| tokens.routes.clone())
    };
    match site {
        Site::Http => {
            let challenges = parts.registry.as_ref().map(|part| part.challenges);
            let challenges = challenges.unwrap_or(Challenges::NameOthers);
            let origins = Origins::new(http.host.clone(), http.trusted_proxies.clone(), challenges);
            Surface::new(origins, http.headers.clone())
                .with_idle_timeout(http.idle_timeout)
                .with_registry(parts.registry.as_ref().map(|part| part.registry.clone()))
                .with_tokens(routes(|listen| matches!(listen, TokenListen::Shared)))
        }
        Site::Tokens => {
            let url = parts.tokens.as_ref().and_then(|tokens| tokens.url.clone());
            let origins = Origins::new(url, http.trusted_proxies.clone(), Challenges::NameOthers);
            Surface::new(origins, http.headers.clone())
                .with_idle_timeout(http.idle_timeout)
                .with_tokens(routes(|listen| matches!(listen, TokenListen::Own { .. })))
        }
        Site::Admin => {
            let origins = Origins::new(None, TrustedProxies::default(), Challenges::NameOthers);
            Surface::new(origins, HeaderMap::new())
                .with_admin(Admin::new(parts.base.metrics.clone(), health.clone()))
        }
    }
}

/// What somebody types to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `host:port`, as docker wants it.
    pub host: String,
    /// The account of the first start, if there is one here.
    pub account: Option<&'static str>,
    /// Where its password stands, as long as it is the first one.
    pub password_file: Option<PathBuf>,
}

pub(super) fn login(parts: &Parts, bound: SocketAddr) -> Option<Login> {
    if !parts.registry.as_ref()?.guarded {
        return None;
    }
    let host = match &parts.http.host {
        Some(origin) => origin.authority.to_string(),
        // All addresses: this machine can use the one that docker trusts without TLS.
        None if bound.ip().is_unspecified() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port())).to_string()
        }
        None => bound.to_string(),
    };
    let (account, password_file) = match parts.administrator() {
        None => (None, None),
        Some(Administrator::Made { password_file, .. }) => (Some(ADMIN), password_file.clone()),
        Some(Administrator::Known { password_file }) => (Some(ADMIN), Some(password_file.clone())),
        Some(Administrator::Managed) => (Some(ADMIN), None),
    };
    Some(Login { host, account, password_file })
}
