//! Requests to a registry, each with the token that it needs.
//!
//! ```text
//! request ── what was wanted the last time: nothing, Basic, a token for its scopes
//!    │
//!    ├─ 401 ─> the challenge's scopes too (once); a kept token anew (once); else Denied
//!    ├─ 429, 503, no answer ─> wait, if the same may be sent again and not for too long
//!    └─ anything else ─> the answer, of the registry or of where it redirects without credentials
//! ```

use std::sync::Arc;

use portpass_protocol::{Access, RepositoryName};
use reqwest::{Method, StatusCode, Url, header::HeaderMap};

use crate::{
    realm::RegistryEndpoint,
    registry::{self, Registry},
    scopes::Scopes,
    tokens::TokenError,
    transport::{
        BufferedResponse, Content, MAX_BODY, StreamingRequest, StreamingResponse, TransportError,
        retry_after, shown,
    },
};

mod access;
mod error;
mod listing;
mod retry;
#[cfg(test)]
mod tests;

use access::{AuthenticationCache, RemainingAttempts};
pub use error::Error;
pub(crate) use listing::{List, excerpt, read_unencoded};
pub(crate) use retry::RetryPolicy;
pub use retry::{MAX_WAIT, RetryTimer, SystemRetryTimer};
use retry::{Retries, RetryReason};

/// Sends requests to one registry. It remembers which authentication, tokens and scopes the
/// registry needs. Share one session for all work with a registry; requests may run in parallel.
#[derive(Debug)]
pub struct Session {
    registry: Registry,
    timer: Arc<dyn RetryTimer>,
    memory: AuthenticationCache,
}

/// A request to the registry, before anything is shown with it.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Below the registry's origin, or of it.
    pub(crate) target: Target,
    /// Whose credential counts, where some are kept per repository.
    pub(crate) repository: Option<&'a RepositoryName>,
    pub(crate) scopes: Scopes,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) retry: RetryPolicy,
    pub(crate) upgrade: TokenUpgrade,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Path and query.
    Path(String),
    /// A URL that has been found to be of the registry's origin.
    Url(Url),
}

/// Whether more is asked of the token service when a first token is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenUpgrade {
    Once,
    No,
}

impl<'a> Request<'a> {
    /// One that only reads.
    pub(crate) fn read(method: Method, path: impl Into<String>, scopes: Scopes) -> Self {
        Self {
            method,
            target: Target::Path(path.into()),
            repository: None,
            scopes,
            headers: HeaderMap::new(),
            content: Content::Nothing,
            retry: RetryPolicy::Always,
            upgrade: TokenUpgrade::Once,
        }
    }

    /// One that changes something.
    pub(crate) fn write(method: Method, path: impl Into<String>, scopes: Scopes) -> Self {
        Self { retry: RetryPolicy::IfNotProcessed, ..Self::read(method, path, scopes) }
    }

    pub(crate) fn of(self, repository: &'a RepositoryName) -> Self {
        Self { repository: Some(repository), ..self }
    }

    fn outgoing(
        &mut self,
        origin: &RegistryEndpoint,
        authorization: &access::Authorization,
    ) -> StreamingRequest {
        let url = match &self.target {
            // Names, tags and digests have nothing in them that would make another URL of it.
            Target::Path(path) => {
                origin.origin.join(path).unwrap_or_else(|_| origin.origin.clone())
            }
            Target::Url(url) => url.clone(),
        };
        StreamingRequest {
            method: self.method.clone(),
            url,
            authorization: authorization.header(),
            headers: self.headers.clone(),
            content: self.content.take(),
            redirect_zone: origin.zone,
        }
    }
}

impl Registry {
    /// Makes a session, which sends requests with the tokens that they need.
    pub fn into_session(self) -> Arc<Session> {
        Arc::new(Session::new(self))
    }
}

impl Session {
    /// A session with this registry. No request is sent yet.
    pub fn new(registry: Registry) -> Self {
        Self::with_timer(registry, Arc::new(SystemRetryTimer))
    }

    /// A session that waits between retries with this timer.
    pub fn with_timer(registry: Registry, timer: Arc<dyn RetryTimer>) -> Self {
        Self { registry, timer, memory: AuthenticationCache::default() }
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The names of all repositories that the credential may see, in the registry's order.
    ///
    /// # Errors
    /// The registry refuses, cannot be reached, or its list is unreadable or longer than the limits.
    pub async fn catalog(&self) -> Result<Vec<RepositoryName>, Error> {
        let scopes = Scopes::from_iter([Access::catalog()]);
        // Without `n`: a registry may refuse more than it has been told to give (DX1).
        let request = Request::read(Method::GET, "/v2/_catalog", scopes);
        self.list(request, List::Repositories).await
    }

    /// Sends a request until it is answered with neither 401 nor "not now", or we run out of patience.
    pub(crate) async fn send(&self, mut request: Request<'_>) -> Result<StreamingResponse, Error> {
        // A registry that cannot be found at all is told of at once.
        self.registry.endpoint().await?;
        let mut tries = Retries::new(request.retry);
        loop {
            let outcome = self.authorized(&mut request).await;
            let Some(retry_reason) = self.retry_reason(&outcome) else { return outcome };
            let again = if request.content.is_spent() {
                None
            } else {
                self.again(&mut tries, retry_reason)
            };
            match (again, outcome) {
                (Some(wait), outcome) => {
                    drop(outcome);
                    self.timer.wait(wait).await;
                }
                (None, Ok(incoming)) => return Err(self.busy_error(incoming).await),
                (None, outcome) => return outcome,
            }
        }
    }

    /// The same, and the answer has one of these statuses.
    pub(crate) async fn expect(
        &self,
        request: Request<'_>,
        statuses: &[StatusCode],
    ) -> Result<StreamingResponse, Error> {
        let incoming = self.send(request).await?;
        if statuses.contains(&incoming.status()) {
            Ok(incoming)
        } else {
            Err(unexpected(incoming).await)
        }
    }

    /// Where a header of an answer leads: it has to be within the registry, for credentials and content
    /// go there (CVE-2026-50151, R10).
    pub(crate) async fn check_origin(
        &self,
        from: &Url,
        to: Url,
        header: &'static str,
    ) -> Result<Url, Error> {
        let ours = &self.registry.endpoint().await?.origin;
        if to.origin() == ours.origin() {
            return Ok(to);
        }
        Err(Error::Origin { url: shown(from), to: shown(&to), header })
    }

    async fn authorized(&self, request: &mut Request<'_>) -> Result<StreamingResponse, Error> {
        let endpoint = self.registry.endpoint().await?;
        let mut remaining = RemainingAttempts::of(request);
        let mut authorization = self.first_authorization(request).await?;
        loop {
            let outgoing = request.outgoing(endpoint, &authorization);
            let incoming = self.registry.transport().open(outgoing).await?;
            if incoming.status() != StatusCode::UNAUTHORIZED {
                if incoming.status().is_success() {
                    self.remember_scopes(request, &authorization);
                }
                return Ok(incoming);
            }
            // Where a redirect has led, our credentials are nobody's business (CVE-2020-15157).
            if incoming.url().origin() != endpoint.origin.origin() {
                return Err(unexpected(incoming).await);
            }
            let answer = incoming.buffered(MAX_BODY).await?;
            if request.content.is_spent() {
                remaining = RemainingAttempts::none();
            }
            authorization =
                self.next_authorization(request, &answer, authorization, &mut remaining).await?;
            if request.content.is_spent() || !remaining.take_attempt() {
                return Err(status(&answer));
            }
        }
    }

    fn again(&self, tries: &mut Retries, retry_reason: RetryReason) -> Option<std::time::Duration> {
        tries.next(retry_reason, self.timer.random())
    }

    /// Why an outcome may be another one next time.
    fn retry_reason(&self, outcome: &Result<StreamingResponse, Error>) -> Option<RetryReason> {
        match outcome {
            Ok(incoming) => match incoming.status() {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(
                    RetryReason::NotProcessed(retry_after(incoming.headers(), self.registry.now())),
                ),
                StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Some(RetryReason::Unknown),
                _ => None,
            },
            Err(Error::Registry(registry::Error::Transport(error))) => match error {
                TransportError::Connect { .. } => Some(RetryReason::NotProcessed(None)),
                error => error.is_transient().then_some(RetryReason::Unknown),
            },
            // The registry itself has not been asked yet.
            Err(Error::Registry(registry::Error::Token(error))) => match error {
                TokenError::Status { status: 429 | 502..=504, after, .. } => {
                    Some(RetryReason::NotProcessed(*after))
                }
                TokenError::Transport { error } => {
                    error.is_transient().then_some(RetryReason::NotProcessed(None))
                }
                _ => None,
            },
            Err(_) => None,
        }
    }

    async fn busy_error(&self, incoming: StreamingResponse) -> Error {
        let after = retry_after(incoming.headers(), self.registry.now());
        match incoming.buffered(MAX_BODY).await {
            Ok(answer) => Error::Busy {
                url: answer.shown_url(),
                status: answer.status,
                after,
                said: answer.said(),
            },
            Err(error) => error.into(),
        }
    }
}

/// An answer that does not belong here, with what it says.
pub(crate) async fn unexpected(incoming: StreamingResponse) -> Error {
    match incoming.buffered(MAX_BODY).await {
        Ok(answer) => status(&answer),
        Err(error) => error.into(),
    }
}

fn status(answer: &BufferedResponse) -> Error {
    let (url, said) = (answer.shown_url(), answer.said());
    registry::Error::Status { url, status: answer.status, said }.into()
}
