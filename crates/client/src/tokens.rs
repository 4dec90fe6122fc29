//! Tokens of a token service, cached until shortly before they expire. Equal requests share one
//! response.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use portpass_protocol::{Digest, token_response::TokenOddity};
use portpass_token::Clock;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{credentials::Credential, realm::Realm, scopes::Scopes, transport::Transport};

mod error;
mod exchange;
mod flow;
mod revoke;
#[cfg(test)]
mod tests;

pub use error::TokenError;
pub(crate) use exchange::basic;
pub use flow::TokenFlow;
pub use revoke::Revocation;

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a token lives if the token service does not say (TG5).
const DEFAULT_LIFE: u64 = 60;
/// Entries above which those that have expired are dropped.
const SWEEP_ABOVE: usize = 256;

/// A request for a token.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The token service.
    pub realm: Realm,
    /// The registry's name for itself; omitted if the challenge names none (T10).
    pub service: Option<String>,
    /// The requested scopes; none for a login.
    pub scopes: Scopes,
    /// Whether to request a refresh token too (TG7).
    pub offline: bool,
}

/// A token and the rest of the token service's response.
#[derive(Clone)]
pub struct IssuedToken {
    /// The token, for `Authorization: Bearer`.
    pub token: SecretString,
    /// A new refresh token, or the one that was sent (TP2).
    pub refresh_token: Option<SecretString>,
    /// Lifetime in seconds; 60 if the response names none.
    pub expires_in: u64,
    /// When the client stops using it: 5 seconds before it expires.
    pub until: SystemTime,
    /// The granted scopes, if the response names them.
    pub scope: Option<String>,
    /// Deviations of the response from the specification.
    pub oddities: Vec<TokenOddity>,
    /// How it was requested.
    pub flow: TokenFlow,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("expires_in", &self.expires_in)
            .field("until", &self.until)
            .field("scope", &self.scope)
            .field("oddities", &self.oddities)
            .field("flow", &self.flow)
            .finish_non_exhaustive()
    }
}

/// Whether a token comes from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// From the cache. Rights may have changed since it was issued.
    Cached,
    /// Just issued, for this caller or for an equal request.
    Fetched,
}

/// Requests tokens and caches them.
#[derive(Debug)]
pub struct Tokens {
    transport: Arc<Transport>,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

/// Everything that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    realm: Realm,
    service: Option<String>,
    scopes: BTreeSet<String>,
    offline: bool,
    identity: Identity,
}

/// Who asks: a fingerprint, so that no secret lies in a map's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    Anonymous,
    Known(Digest),
}

/// Where a token is kept, and where requests wait for it.
#[derive(Debug, Default)]
struct Slot {
    state: tokio::sync::Mutex<SlotState>,
    /// Requests answered so far, for telling whether one was while we waited.
    answered: std::sync::atomic::AtomicU64,
}

#[derive(Debug, Default)]
struct SlotState {
    issued: Option<Arc<IssuedToken>>,
    failed: Option<TokenError>,
}

impl Tokens {
    /// An empty cache.
    pub fn new(transport: Arc<Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { transport, clock, slots: Mutex::default() }
    }

    /// A token from the cache or a new one; see [`Tokens::obtain`].
    pub async fn get(
        &self,
        request: &TokenRequest,
        credential: Option<&Credential>,
    ) -> Result<Arc<IssuedToken>, TokenError> {
        self.obtain(request, credential).await.map(|(issued, _)| issued)
    }

    /// A token from the cache or a new one, and which of the two it is.
    ///
    /// A caller with an equal request waits for the response to the first one. If that fails, all
    /// waiting callers get its error: ten wrong passwords at once would lock an account (T8).
    pub async fn obtain(
        &self,
        request: &TokenRequest,
        credential: Option<&Credential>,
    ) -> Result<(Arc<IssuedToken>, TokenSource), TokenError> {
        use std::sync::atomic::Ordering;
        let slot = self.slot(request, credential);
        let answered_before = slot.answered.load(Ordering::SeqCst);
        let mut state = slot.state.lock().await;
        if let Some(issued) = state.issued.as_ref().filter(|issued| self.clock.now() < issued.until)
        {
            let waited = slot.answered.load(Ordering::SeqCst) != answered_before;
            let source = if waited { TokenSource::Fetched } else { TokenSource::Cached };
            return Ok((Arc::clone(issued), source));
        }
        if slot.answered.load(Ordering::SeqCst) != answered_before
            && let Some(error) = &state.failed
        {
            return Err(error.clone());
        }
        *state = SlotState::default();
        let result = self.fetch(request, credential).await;
        slot.answered.fetch_add(1, Ordering::SeqCst);
        match result {
            Ok(issued) => {
                let issued = Arc::new(issued);
                state.issued = Some(Arc::clone(&issued));
                Ok((issued, TokenSource::Fetched))
            }
            Err(error) => {
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Drops a token that a registry has refused (CL11). A newer token stays, so many refused
    /// requests cause one new token request.
    pub async fn forget(
        &self,
        request: &TokenRequest,
        credential: Option<&Credential>,
        refused: &Arc<IssuedToken>,
    ) {
        let slot = self.slot(request, credential);
        let mut state = slot.state.lock().await;
        state.issued.take_if(|kept| Arc::ptr_eq(kept, refused));
    }

    /// The time that tokens are measured by.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Revokes a refresh token (RFC 7009).
    pub async fn revoke(&self, realm: &Realm, token: &SecretString) -> Revocation {
        revoke::revoke(&self.transport, realm, token).await
    }

    async fn fetch(
        &self,
        request: &TokenRequest,
        credential: Option<&Credential>,
    ) -> Result<IssuedToken, TokenError> {
        let sent = self.clock.now();
        let (answer, flow) = exchange::exchange(&self.transport, request, credential, sent).await?;
        let expires_in = answer.expires_in.unwrap_or(DEFAULT_LIFE);
        let life = Duration::from_secs(expires_in).saturating_sub(MARGIN);
        let now = self.clock.now();
        Ok(IssuedToken {
            token: answer.token.into(),
            refresh_token: answer.refresh_token.map(SecretString::from),
            expires_in,
            // A life beyond the end of time is one we do not believe.
            until: now.checked_add(life).unwrap_or(now),
            scope: answer.scope,
            oddities: answer.oddities,
            flow,
        })
    }

    fn slot(&self, request: &TokenRequest, credential: Option<&Credential>) -> Arc<Slot> {
        let key = Key {
            realm: request.realm.clone(),
            service: request.service.clone(),
            scopes: request.scopes.canonical(),
            offline: request.offline,
            identity: credential.map_or(Identity::Anonymous, identity),
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() > SWEEP_ABOVE {
            let now = self.clock.now();
            slots.retain(|_, slot| slot.is_wanted(now));
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Slot {
    /// Whether somebody waits here, or a token that still lives lies here.
    fn is_wanted(self: &Arc<Self>, now: SystemTime) -> bool {
        Arc::strong_count(self) > 1
            || self
                .state
                .try_lock()
                .is_ok_and(|state| state.issued.as_ref().is_some_and(|issued| now < issued.until))
    }
}

fn identity(credential: &Credential) -> Identity {
    let (kind, name, secret) = match credential {
        Credential::Password { username, password } => ("password", username.as_str(), password),
        Credential::IdentityToken { username, token } => {
            ("identity", username.as_deref().unwrap_or_default(), token)
        }
        Credential::RegistryToken(token) => ("registry", "", token),
    };
    let secret = secret.expose_secret();
    Identity::Known(Digest::sha256(format!("{kind}\0{name}\0{secret}").as_bytes()))
}
