//! What is served on one listener.

use std::time::Duration;

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use portpass_authority::http::{JWKS_PATH, REVOKE_PATH, TokenPath};
use portpass_protocol::RequestOutcome;
use portpass_registry::Registry;
use tower::ServiceExt;

use super::{monitoring::Monitoring, origin::OriginResolver, plain_text::plain_text};
use crate::metrics::RouteKind;
use portpass_config::DEFAULT_IDLE_TIMEOUT;
use portpass_protocol::advice::RefusedBy;

/// Everything behind one address.
#[derive(Debug)]
pub(crate) struct ListenerRouter {
    origins: OriginResolver,
    headers: HeaderMap,
    idle_timeout: Duration,
    registry: Option<Registry>,
    tokens: Option<TokenRoutes>,
    monitoring: Option<Monitoring>,
}

/// The token service's part of a listener.
#[derive(Clone, Debug)]
pub(crate) struct TokenRoutes {
    /// The path of the token endpoint.
    pub(crate) path: TokenPath,
    /// Those that not every token service has.
    pub(crate) optional: Vec<(Box<str>, RouteKind)>,
    /// Answers there, and where keys are read and refresh tokens ended.
    pub(crate) router: Router,
}

impl TokenRoutes {
    /// What a request to this path is, if it is one of these.
    fn kind(&self, path: &str) -> Option<RouteKind> {
        match path {
            JWKS_PATH => Some(RouteKind::Keys),
            REVOKE_PATH => Some(RouteKind::Revoke),
            _ if path == self.path.as_str() => Some(RouteKind::Token),
            _ => {
                let known = self.optional.iter().find(|(known, _)| **known == *path);
                known.map(|(_, kind)| *kind)
            }
        }
    }
}

impl ListenerRouter {
    /// Serves nothing yet; `headers` are added to every answer.
    pub(crate) fn new(origins: OriginResolver, headers: HeaderMap) -> Self {
        let idle_timeout = DEFAULT_IDLE_TIMEOUT;
        Self { origins, headers, idle_timeout, registry: None, tokens: None, monitoring: None }
    }

    /// Ends connections on which nothing is asked for so long.
    #[must_use]
    pub(crate) fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self { idle_timeout, ..self }
    }

    /// Adds the registry under `/v2/`.
    #[must_use]
    pub(crate) fn with_registry(mut self, registry: Option<Registry>) -> Self {
        self.registry = registry;
        self
    }

    /// Adds the token service.
    #[must_use]
    pub(crate) fn with_tokens(mut self, tokens: Option<TokenRoutes>) -> Self {
        self.tokens = tokens;
        self
    }

    /// Serves health and metrics, and nothing else.
    #[must_use]
    pub(crate) fn with_monitoring(mut self, monitoring: Monitoring) -> Self {
        self.monitoring = Some(monitoring);
        self
    }

    pub(crate) fn origins(&self) -> &OriginResolver {
        &self.origins
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What a request is counted as, and who answers it. Asks for the path alone.
    pub(crate) fn kind(&self, uri: &Uri) -> RouteKind {
        let path = uri.path();
        if self.monitoring.is_some() {
            return RouteKind::Admin;
        }
        if let Some(kind) = self.tokens.as_ref().and_then(|tokens| tokens.kind(path)) {
            return kind;
        }
        match (path.strip_prefix("/v2"), &self.registry) {
            (Some(rest), Some(_)) => registry_kind(rest),
            (None, _) | (Some(_), None) => RouteKind::Other,
        }
    }

    /// Answers. `kind` is what [`ListenerRouter::kind`] said.
    pub(crate) async fn serve(&self, kind: RouteKind, request: Request<Body>) -> Response<Body> {
        if let Some(monitoring) = &self.monitoring {
            let (head, _) = request.into_parts();
            return monitoring.serve(&head.method, head.uri.path()).await;
        }
        let is_of_tokens = kind.answered_by() == RefusedBy::TokenService;
        match (&self.tokens, &self.registry) {
            (Some(tokens), _) if is_of_tokens => {
                let Ok(response) = tokens.router.clone().oneshot(request).await;
                response
            }
            _ if request.uri().path() == "/" => alive(request.method()),
            (_, Some(registry)) => {
                let cause = rewritten(request.uri().path());
                let mut response = registry.handle(request).await;
                if let Some(cause) = cause {
                    add_cause(&mut response, &cause);
                }
                response
            }
            (_, None) => nothing_here(),
        }
    }
}

/// What is asked of the registry, read from the path's end like the registry itself does: any word may be
/// part of a repository's name.
fn registry_kind(rest: &str) -> RouteKind {
    let mut segments = rest.rsplit('/');
    let (last, before, third) = (segments.next(), segments.next(), segments.next());
    match (third, before, last) {
        (None, None | Some(""), Some("")) => RouteKind::Base,
        (None, Some(""), Some("_catalog")) => RouteKind::Catalog,
        (_, Some("tags"), Some("list")) => RouteKind::Tags,
        (_, Some("manifests"), Some(_)) => RouteKind::Manifest,
        (Some("blobs"), Some("uploads"), Some(_)) | (_, Some("blobs"), Some("uploads")) => {
            RouteKind::Upload
        }
        (_, Some("blobs"), Some(_)) => RouteKind::Blob,
        (_, Some("referrers"), Some(_)) => RouteKind::Referrers,
        _ => RouteKind::Other,
    }
}

/// What a proxy seems to have done to a path that is none of ours, although what is left of it is.
/// Clients ask below `/v2/` at the root of a host, and nowhere else.
fn rewritten(path: &str) -> Option<String> {
    if path == "/v2" || path.starts_with("/v2/") {
        return None;
    }
    let is_ours = |rest: &str| registry_kind(rest) != RouteKind::Other;
    match path.find("/v2/") {
        Some(at) if is_ours(&path[at + "/v2".len()..]) => {
            Some(format!("a proxy in front puts `{}` before `/v2/`", &path[..at]))
        }
        _ => is_ours(path).then(|| "a proxy in front cuts `/v2` off".to_owned()),
    }
}

fn add_cause(response: &mut Response<Body>, cause: &str) {
    let handled = response.extensions_mut().get_mut::<RequestOutcome>();
    if let Some(refusal) = handled.and_then(|handled| handled.refusal.as_mut()) {
        refusal.text = format!(
            "{}; it looks as if {cause}: its rule has to keep the path (nginx: proxy_pass without a path)",
            refusal.text
        );
    }
}

/// AR15: whoever asks `/` wants to know whether anybody is there.
fn alive(method: &Method) -> Response<Body> {
    let body = if method == Method::HEAD { Body::empty() } else { Body::from("portpass\n") };
    plain_text(StatusCode::OK, body)
}

fn nothing_here() -> Response<Body> {
    let mut response = plain_text(StatusCode::NOT_FOUND, Body::from("not found\n"));
    response.extensions_mut().insert(RequestOutcome::refused(
        None,
        "unknown-path",
        "the server has nothing at this path",
    ));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_ask_of_the_registry() {
        for (rest, kind) in [
            ("", RouteKind::Base),
            ("/", RouteKind::Base),
            ("/_catalog", RouteKind::Catalog),
            ("/a/b/tags/list", RouteKind::Tags),
            ("/a/b/manifests/1.0", RouteKind::Manifest),
            ("/a/tags/list/manifests/blobs", RouteKind::Manifest),
            ("/a/blobs/sha256:00", RouteKind::Blob),
            ("/a/blobs/uploads/", RouteKind::Upload),
            ("/a/blobs/uploads", RouteKind::Upload),
            ("/a/blobs/uploads/0190", RouteKind::Upload),
            ("/a/referrers/sha256:00", RouteKind::Referrers),
            ("x", RouteKind::Other),
            ("/a/b", RouteKind::Other),
        ] {
            assert_eq!(registry_kind(rest), kind, "/v2{rest}");
        }
    }

    #[test]
    fn a_path_that_a_proxy_has_changed_is_known_by_what_is_left_of_it() {
        let (cut, added) = (Some("cuts `/v2` off"), Some("puts `/registry` before `/v2/`"));
        for (path, cause) in [
            ("/v2", None),
            ("/v2/", None),
            ("/v2/a/b", None),
            ("/favicon.ico", None),
            ("/login", None),
            ("/a/blobs/uploads/", cut),
            ("/a/b/manifests/1.0", cut),
            ("/_catalog", cut),
            ("/registry/v2/", added),
            ("/registry/v2/a/tags/list", added),
            ("/registry/v2/x", None),
        ] {
            let said = rewritten(path);
            assert_eq!(said.is_some(), cause.is_some(), "{path}: {said:?}");
            assert!(said.unwrap_or_default().contains(cause.unwrap_or_default()), "{path}");
        }
    }
}
