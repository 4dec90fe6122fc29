//! The token endpoint and the key set, over HTTP.
//!
//! ```text
//! GET, POST /token                    a token, or an error that every client can read
//! POST      /oauth/revoke             the end of a refresh token (RFC 7009)
//! POST      /oauth/introspect         what a token is worth (RFC 7662)
//! GET, HEAD /.well-known/jwks.json    the keys that tokens are signed with
//! GET, HEAD /.well-known/oauth-authorization-server    where all this is (RFC 8414)
//! ```

use std::{future::poll_fn, str::FromStr, sync::Arc, task::Poll, time::Duration};

use axum::{Router, body::Body, extract::State, response::Response, routing::any};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use portpass_protocol::{
    access::{Access, Actions},
    origin::{ClientAddress, RequestId, UnnamedClient},
    outcome::RequestOutcome,
};
use secrecy::ExposeSecret;
use tokio::task::JoinError;
use tracing::Instrument;

mod introspect;
mod metadata;
mod refusal;
#[cfg(test)]
mod tests;

pub use metadata::{Endpoints, METADATA_PATH, Metadata, NoMetadata};

use crate::{
    refresh::RefreshSecret,
    request::{ClientInfo, Credential, MAX_FORM, RequestError, TokenRequest, revocation},
    service::{Issued, TokenError, TokenService},
    subject::AccountKind,
};

/// Where the token endpoint lies: `/token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPath(Box<str>);

impl TokenPath {
    /// As it stands behind the host.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TokenPath {
    fn default() -> Self {
        Self("/token".into())
    }
}

impl FromStr for TokenPath {
    type Err = TokenPathError;

    fn from_str(text: &str) -> Result<Self, TokenPathError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
        if !text.starts_with('/') || !text.bytes().all(legal) || text.contains("//") {
            return Err(TokenPathError::Malformed { path: text.into() });
        }
        let taken = ["/", "/v2", JWKS_PATH, REVOKE_PATH, INTROSPECT_PATH];
        let below = ["/v2/", METADATA_PATH];
        if taken.contains(&text) || below.iter().any(|path| text.starts_with(path)) {
            return Err(TokenPathError::Taken { path: text.into() });
        }
        Ok(Self(text.into()))
    }
}

/// A text that is no path for the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenPathError {
    /// Not a plain path.
    #[error(
        "{path:?} is no path: it must begin with `/` and contain only letters, digits and `/-._~`"
    )]
    Malformed {
        /// As typed.
        path: Box<str>,
    },
    /// Something else answers there.
    #[error("{path:?} is already taken by something else; `/token` is free")]
    Taken {
        /// As typed.
        path: Box<str>,
    },
}

/// Answers at the token path, the revocation path and the key set's; at those of introspection and of the
/// metadata where there are any; nowhere else.
pub fn router(service: Arc<TokenService>, path: &TokenPath, metadata: Option<Metadata>) -> Router {
    let mut router = Router::new()
        .route(path.as_str(), any(token))
        .route(REVOKE_PATH, any(revoke))
        .route(JWKS_PATH, any(jwks));
    if service.introspects() {
        router = router.route(INTROSPECT_PATH, any(introspect::introspect));
    }
    let mut router = router.with_state(service);
    if let Some(metadata) = metadata {
        let path = metadata.path().to_owned();
        router = router.route(&path, any(metadata::metadata).with_state(metadata));
    }
    router
}

async fn token(State(service): State<Arc<TokenService>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    if head.method == Method::OPTIONS {
        return options("GET, POST");
    }
    let allowed = [Method::GET, Method::POST];
    if !allowed.contains(&head.method) {
        return refusal::method("GET, POST");
    }
    let request = match read(&service, &head, body).await {
        Ok(request) => request,
        Err(error) => return refusal::respond(&service, None, &TokenError::Request(error)),
    };
    for error in &request.unread_scopes {
        // No reason to refuse the rest (T6), but the registry will say `insufficient_scope`.
        tracing::info!(request_id = request.client.request, "left out of a token: {error}");
    }
    let request = Arc::new(request);
    match issue(&service, &request).await {
        Ok(Ok(issued)) => {
            for limited in limited(&issued) {
                tracing::info!(
                    request_id = request.client.request,
                    "left out of a token: {limited}"
                );
            }
            success(&issued)
        }
        Ok(Err(error)) => refusal::respond(&service, Some(&request), &error),
        Err(panic) => refusal::internal(&panic.to_string()),
    }
}

/// A credential is checked to the end: a caller who hangs up escapes no limit and leaves nothing half done.
async fn issue(
    service: &Arc<TokenService>,
    request: &Arc<TokenRequest>,
) -> Result<Result<Issued, TokenError>, JoinError> {
    let now = service.now();
    if matches!(request.credential, Credential::Anonymous) {
        return Ok(service.issue(request, now).await);
    }
    let (service, request) = (Arc::clone(service), Arc::clone(request));
    to_its_end(async move { service.issue(&request, now).await }).await
}

/// Does all of `work`, even for a caller who hangs up. What ends at the first look, as a token for a robot's
/// secret does, needs no task of its own.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    let mut work = Box::pin(work.in_current_span());
    match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::spawn(work).await,
    }
}

async fn read(
    service: &TokenService,
    head: &Parts,
    body: Body,
) -> Result<TokenRequest, RequestError> {
    let query = head.uri.query().unwrap_or_default();
    let request = if head.method == Method::POST {
        let form = collect(body).await?;
        TokenRequest::from_form(&form, query, &head.headers, service.services())?
    } else {
        TokenRequest::from_query(query, &head.headers, service.services())?
    };
    Ok(request.from_client(client(head)))
}

/// What the listener said of the caller.
fn client(head: &Parts) -> ClientInfo {
    ClientInfo {
        id: None,
        address: head.extensions.get::<ClientAddress>().map(|address| address.0),
        is_unnamed: head.extensions.get::<UnnamedClient>().is_some(),
        request: head.extensions.get::<RequestId>().map(|id| id.0.clone()),
    }
}

/// The whole form, with or without a `Content-Length`, as far as a form may be long and slow.
async fn collect(body: Body) -> Result<Bytes, RequestError> {
    let body = Limited::new(body, MAX_FORM).collect();
    match tokio::time::timeout(FORM_TIMEOUT, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(RequestError::FormTooLong),
        Ok(Err(error)) => Err(RequestError::Broken { reason: error.to_string() }),
        Err(_) => Err(RequestError::Broken {
            reason: format!("it took longer than {} s", FORM_TIMEOUT.as_secs()),
        }),
    }
}

/// What the limit of a robot or an API key left out: the rules do not say it.
fn limited(issued: &Issued) -> impl Iterator<Item = String> {
    let account = issued.subject.account();
    let limit = account.and_then(|account| Some((account, account.ceiling.as_deref()?)));
    limit.into_iter().flat_map(|(account, ceiling)| {
        issued.decisions.iter().filter_map(move |decision| {
            let Access { resource, actions } = &decision.requested;
            let outside = actions.iter().filter(|action| !ceiling.covers(resource, action));
            let outside: Actions = outside.cloned().collect();
            let key = if account.kind == AccountKind::ApiKey { "this API key of " } else { "" };
            let name = &account.name;
            (!outside.is_empty())
                .then(|| format!("{outside} on {resource}: {key}{name} is limited to {ceiling}"))
        })
    })
}

fn success(issued: &Issued) -> Response {
    let mut response = Response::new(Body::from(issued.response.to_json()));
    json(response.headers_mut());
    never_stored(response.headers_mut());
    response.extensions_mut().insert(RequestOutcome::served(issued.subject.name()));
    response
}

/// RFC 7009: whatever was sent, once it is read, the token is no good any more.
async fn revoke(State(service): State<Arc<TokenService>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    if head.method == Method::OPTIONS {
        return options("POST");
    }
    if head.method != Method::POST {
        return refusal::method("POST");
    }
    let ended = async {
        let form = collect(body).await?;
        match revocation(&form, &head.headers)?.expose_secret().parse::<RefreshSecret>() {
            Ok(secret) => service.log_out(&secret, client(&head), service.now()).await,
            Err(_) => Ok(()),
        }
    };
    match ended.await {
        Ok(()) => {
            let mut response = Response::default();
            never_stored(response.headers_mut());
            response
        }
        Err(error) => refusal::respond(&service, None, &error),
    }
}

async fn jwks(State(service): State<Arc<TokenService>>, request: Request<Body>) -> Response {
    if *request.method() == Method::OPTIONS {
        return options("GET, HEAD");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return refusal::method("GET, HEAD");
    }
    let ring = service.keys().current();
    let (body, tag) = (ring.jwks(), ring.jwks_tag());
    let held = request.headers().get_all(header::IF_NONE_MATCH).iter();
    let fresh = held.filter_map(|value| value.to_str().ok()).any(|list| names(list, tag));
    let mut response = Response::new(Body::empty());
    if fresh {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = Body::from(body);
        set(response.headers_mut(), header::CONTENT_TYPE, "application/jwk-set+json");
    }
    set(response.headers_mut(), header::ETAG, tag);
    set(response.headers_mut(), header::CACHE_CONTROL, JWKS_CACHING);
    response
}

/// Whether an `If-None-Match` names the tag (RFC 9110 §13.1.2; the weak comparison).
fn names(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|held| held == "*" || held.trim_start_matches("W/") == tag)
}

/// What a browser asks before it lets a page of another origin send a request (the CORS preflight of the Fetch standard).
/// Which pages may stands in the headers that the listener adds.
fn options(allowed: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    set(response.headers_mut(), header::ALLOW, allowed);
    response
}

fn json(headers: &mut HeaderMap) {
    set(headers, header::CONTENT_TYPE, "application/json");
}

/// RFC 6749 §5.1
fn never_stored(headers: &mut HeaderMap) {
    set(headers, header::CACHE_CONTROL, "no-store");
    set(headers, header::PRAGMA, "no-cache");
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Where the key set lies.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";
/// Where refresh tokens are given back.
pub const REVOKE_PATH: &str = "/oauth/revoke";
/// Where a registry asks what a token is worth.
pub const INTROSPECT_PATH: &str = "/oauth/introspect";
/// Keys are announced long before they sign, so a set may be old by some minutes.
const JWKS_CACHING: &str = "public, max-age=300";
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
