//! What is served on each listener.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use http::HeaderMap;
use portpass_admin::{ADMIN, Administrator};
use portpass_config::{TokenListen, TrustedProxies};

use crate::{
    components::{Components, TokenComponent},
    http::{
        listener_router::ListenerRouter,
        monitoring::{Health, Monitoring},
        origin::OriginResolver,
        proxies::ChallengeRealm,
    },
    listeners::ListenerKind,
};

/// What the log calls what is served there.
pub(super) fn description(kind: ListenerKind, components: &Components) -> &'static str {
    let shared = |tokens: &TokenComponent| matches!(tokens.listen, TokenListen::Shared);
    match (kind, components.has_registry(), components.tokens.as_ref().is_some_and(shared)) {
        (ListenerKind::Http, true, true) => "the registry with its token service",
        (ListenerKind::Http, true, false) => "the registry",
        (ListenerKind::Http, false, _) | (ListenerKind::Tokens, _, _) => "the token service",
        (ListenerKind::Admin, _, _) => "the admin interface",
    }
}

/// What is served there.
pub(super) fn router(
    kind: ListenerKind,
    components: &Components,
    health: &Arc<Health>,
) -> ListenerRouter {
    let http = &components.http;
    let routes = |wanted: fn(&TokenListen) -> bool| {
        components
            .tokens
            .as_ref()
            .filter(|tokens| wanted(&tokens.listen))
            .map(|tokens| tokens.routes.clone())
    };
    match kind {
        ListenerKind::Http => {
            let challenges = components.registry.as_ref().map(|part| part.challenges);
            let challenges = challenges.unwrap_or(ChallengeRealm::Fixed);
            let origins =
                OriginResolver::new(http.host.clone(), http.trusted_proxies.clone(), challenges);
            ListenerRouter::new(origins, http.headers.clone())
                .with_idle_timeout(http.idle_timeout)
                .with_registry(components.registry.as_ref().map(|part| part.registry.clone()))
                .with_tokens(routes(|listen| matches!(listen, TokenListen::Shared)))
        }
        ListenerKind::Tokens => {
            let url = components.tokens.as_ref().and_then(|tokens| tokens.url.clone());
            let origins =
                OriginResolver::new(url, http.trusted_proxies.clone(), ChallengeRealm::Fixed);
            ListenerRouter::new(origins, http.headers.clone())
                .with_idle_timeout(http.idle_timeout)
                .with_tokens(routes(|listen| matches!(listen, TokenListen::Own { .. })))
        }
        ListenerKind::Admin => {
            let origins =
                OriginResolver::new(None, TrustedProxies::default(), ChallengeRealm::Fixed);
            ListenerRouter::new(origins, HeaderMap::new())
                .with_monitoring(Monitoring::new(components.shared.metrics.clone(), health.clone()))
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

pub(super) fn login(components: &Components, bound: SocketAddr) -> Option<Login> {
    if !components.registry.as_ref()?.guarded {
        return None;
    }
    let host = match &components.http.host {
        Some(origin) => origin.authority.to_string(),
        // All addresses: this machine can use the one that docker trusts without TLS.
        None if bound.ip().is_unspecified() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port())).to_string()
        }
        None => bound.to_string(),
    };
    let (account, password_file) = match components.administrator() {
        None => (None, None),
        Some(Administrator::Created { password_file, .. }) => (Some(ADMIN), password_file.clone()),
        Some(Administrator::InitialPassword { password_file }) => {
            (Some(ADMIN), Some(password_file.clone()))
        }
        Some(Administrator::Managed) => (Some(ADMIN), None),
    };
    Some(Login { host, account, password_file })
}
