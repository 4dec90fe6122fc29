//! The authorization of a request, and the next one after a 401.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Request, Session, TokenUpgrade};
use crate::{
    credentials::{Credential, FoundCredential},
    realm::Realm,
    registry::{self, RequiredAuthentication, missing, required_authentication, token_fault},
    scopes::Scopes,
    tokens::{IssuedToken, TokenError, TokenRequest, TokenSource, basic},
    transport::BufferedResponse,
};

/// Scopes of a challenge above which it is not about the request that it answers.
const MAX_SCOPES: usize = 32;
/// Challenges that one request answers: a password or a token, one with more rights, a new one, and
/// each of that once more for a registry that changes its mind.
const MAX_ATTEMPTS: u8 = 6;
/// Entries of what is remembered above which it is forgotten.
const MAX_REMEMBERED: usize = 1024;

/// What a session remembers of a registry's authentication.
#[derive(Debug, Default)]
pub(super) struct AuthenticationCache {
    demand: Mutex<Option<Scheme>>,
    credentials: tokio::sync::Mutex<HashMap<Option<String>, Option<FoundCredential>>>,
    /// Scopes that turned out not to be enough, with those that were.
    widened: Mutex<HashMap<BTreeSet<String>, Scopes>>,
}

/// The authentication scheme of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    None,
    Basic,
    Bearer { realm: String, service: Option<String> },
}

/// The authorization of a request.
#[derive(Debug)]
pub(super) enum Authorization {
    None,
    /// `Basic`
    Basic(SecretString),
    /// A token for the registry itself, from the credential store.
    RegistryToken(SecretString),
    Bearer(Box<Token>),
}

/// A token with what it was asked for.
#[derive(Debug)]
pub(super) struct Token {
    request: TokenRequest,
    issued: Arc<IssuedToken>,
    source: TokenSource,
    found: Option<FoundCredential>,
}

impl Authorization {
    pub(super) fn header(&self) -> Option<SecretString> {
        match self {
            Self::None => None,
            Self::Basic(basic) => Some(basic.clone()),
            Self::RegistryToken(token) => Some(bearer(token)),
            Self::Bearer(token) => Some(bearer(&token.issued.token)),
        }
    }
}

/// The attempts that are left to one request: each kind once (CL11).
#[derive(Debug)]
pub(super) struct RemainingAttempts {
    upgrade: TokenUpgrade,
    renewal: TokenUpgrade,
    /// Challenges that may be answered at all: one that asks for a password and a token in turn is
    /// answered by neither an upgrade nor a renewal.
    attempts: u8,
}

impl RemainingAttempts {
    pub(super) fn of(request: &Request<'_>) -> Self {
        Self { upgrade: request.upgrade, renewal: request.upgrade, attempts: MAX_ATTEMPTS }
    }

    /// What was sent cannot be sent again, so nothing more is asked for.
    pub(super) fn none() -> Self {
        Self { upgrade: TokenUpgrade::No, renewal: TokenUpgrade::No, attempts: 0 }
    }

    /// Whether one more challenge may be answered.
    pub(super) fn take_attempt(&mut self) -> bool {
        let remaining = self.attempts.checked_sub(1);
        self.attempts = remaining.unwrap_or_default();
        remaining.is_some()
    }

    fn take(one: &mut TokenUpgrade) -> bool {
        std::mem::replace(one, TokenUpgrade::No) == TokenUpgrade::Once
    }
}

impl Session {
    /// The authorization of the first attempt, by the registry's last challenge.
    pub(super) async fn first_authorization(
        &self,
        request: &Request<'_>,
    ) -> Result<Authorization, Error> {
        let remembered = lock(&self.memory.demand).clone();
        let wanted = match remembered {
            Some(wanted) => wanted,
            None => self.remember(&self.registry.first_required_authentication().await?),
        };
        let found = match wanted {
            Scheme::None => return Ok(Authorization::None),
            Scheme::Basic | Scheme::Bearer { .. } => self.credential(request).await?,
        };
        match (wanted, found) {
            (_, Some(FoundCredential { credential: Credential::RegistryToken(token), .. })) => {
                Ok(Authorization::RegistryToken(token))
            }
            (Scheme::Bearer { realm, service }, found) => {
                let known = lock(&self.memory.widened).get(&request.scopes.canonical()).cloned();
                let scopes = known.unwrap_or_else(|| request.scopes.clone());
                self.token(&realm, service, scopes, found).await
            }
            (
                _,
                Some(FoundCredential {
                    credential: Credential::Password { username, password },
                    ..
                }),
            ) => Ok(Authorization::Basic(basic(&username, &password))),
            _ => Ok(Authorization::None),
        }
    }

    /// The authorization after a 401, or why there is no better one.
    pub(super) async fn next_authorization(
        &self,
        request: &Request<'_>,
        answer: &BufferedResponse,
        authorization: Authorization,
        remaining: &mut RemainingAttempts,
    ) -> Result<Authorization, Error> {
        let demand = required_authentication(answer)?;
        self.remember(&demand);
        let RequiredAuthentication::Bearer { realm, service, scope, error } = demand else {
            return self.password(request, answer, &authorization).await;
        };
        let wanted = request.scopes.clone().union(&of_challenge(&scope));
        let token = match authorization {
            Authorization::None | Authorization::Basic(_) => {
                let found = self.credential(request).await?;
                if let Some(FoundCredential {
                    credential: Credential::RegistryToken(token), ..
                }) = found
                {
                    return Ok(Authorization::RegistryToken(token));
                }
                return self.token(&realm, service, wanted, found).await;
            }
            Authorization::RegistryToken(token) => {
                let why = token_fault(token.expose_secret());
                return Err(self.refused(error, why));
            }
            Authorization::Bearer(token) => token,
        };
        let widened = token.request.scopes.clone().union(&wanted);
        let other_service = token.request.service != service
            || Url::parse(&realm).ok().as_ref() != Some(token.request.realm.url());
        let wider = widened.canonical() != token.request.scopes.canonical();
        if (wider || other_service) && RemainingAttempts::take(&mut remaining.upgrade) {
            return self.token(&realm, service, widened, token.found).await;
        }
        self.registry.forget(&token.request, token.found.as_ref(), &token.issued).await;
        if token.source == TokenSource::Cached && RemainingAttempts::take(&mut remaining.renewal) {
            return self.token(&realm, service, token.request.scopes, token.found).await;
        }
        Err(self.denied_or_refused(answer, &token, error))
    }

    /// Remembers which scopes sufficed, so that the next request need not be refused first.
    pub(super) fn remember_scopes(&self, request: &Request<'_>, authorization: &Authorization) {
        let Authorization::Bearer(token) = authorization else { return };
        let asked = request.scopes.canonical();
        if token.request.scopes.canonical() != asked {
            let mut widened = lock(&self.memory.widened);
            if widened.len() >= MAX_REMEMBERED {
                widened.clear();
            }
            widened.insert(asked, token.request.scopes.clone());
        }
    }

    fn remember(&self, demand: &RequiredAuthentication) -> Scheme {
        let wanted = match demand {
            RequiredAuthentication::None => Scheme::None,
            RequiredAuthentication::Basic => Scheme::Basic,
            RequiredAuthentication::Bearer { realm, service, .. } => {
                Scheme::Bearer { realm: realm.clone(), service: service.clone() }
            }
        };
        *lock(&self.memory.demand) = Some(wanted.clone());
        wanted
    }

    async fn password(
        &self,
        request: &Request<'_>,
        answer: &BufferedResponse,
        authorization: &Authorization,
    ) -> Result<Authorization, Error> {
        let host = self.registry.host().to_string();
        if matches!(authorization, Authorization::Basic(_)) {
            self.memory.credentials.lock().await.clear();
            return Err(registry::Error::Password { host, said: answer.said() }.into());
        }
        match self.credential(request).await? {
            Some(FoundCredential {
                credential: Credential::Password { username, password },
                ..
            }) => Ok(Authorization::Basic(basic(&username, &password))),
            _ => Err(Error::Denied {
                host,
                needed: request.scopes.to_string(),
                whom: "anonymous users".to_owned(),
                said: answer.said(),
            }),
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scopes: Scopes,
        found: Option<FoundCredential>,
    ) -> Result<Authorization, Error> {
        let realm =
            Realm::check(realm, self.registry.endpoint().await?).map_err(registry::Error::Realm)?;
        let request = TokenRequest { realm, service, scopes, offline: false };
        let credential = found.as_ref().map(|found| &found.credential);
        let obtained = self.registry.tokens().obtain(&request, credential).await;
        let (issued, source) = match obtained {
            Ok(obtained) => obtained,
            Err(error) => {
                if matches!(error, TokenError::Refused { .. }) {
                    // Somebody may log in meanwhile.
                    self.memory.credentials.lock().await.clear();
                }
                return Err(registry::Error::Token(error).into());
            }
        };
        if source == TokenSource::Fetched
            && self.registry.keep_renewed(credential, &issued).await?.is_some()
        {
            self.memory.credentials.lock().await.clear();
        }
        Ok(Authorization::Bearer(Box::new(Token { request, issued, source, found })))
    }

    /// The credential for a request, looked up once: helpers are programs, and slow.
    async fn credential(&self, request: &Request<'_>) -> Result<Option<FoundCredential>, Error> {
        let name = request.repository.map(ToString::to_string);
        let mut known = self.memory.credentials.lock().await;
        if let Some(found) = known.get(&name) {
            return Ok(found.clone());
        }
        let found = self.registry.credential(name.as_deref()).await?;
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(name, found.clone());
        Ok(found)
    }

    /// Rights that were not granted, or a token that is not taken at all.
    fn denied_or_refused(
        &self,
        answer: &BufferedResponse,
        token: &Token,
        error: Option<String>,
    ) -> Error {
        let lacking = missing(&token.issued, &token.request.scopes);
        let lacks = error.as_deref() == Some("insufficient_scope") || !lacking.is_empty();
        if !lacks {
            return self.refused(error, token_fault(token.issued.token.expose_secret()));
        }
        let lacking: Scopes = lacking.into_iter().collect();
        let needed = if lacking.is_empty() { &token.request.scopes } else { &lacking };
        let name = token.found.as_ref().map(|found| found.credential.username());
        Error::Denied {
            host: self.registry.host().to_string(),
            needed: needed.to_string(),
            whom: match name {
                None => "anonymous users".to_owned(),
                Some(name) => name.unwrap_or("the logged-in user").to_owned(),
            },
            said: answer.said(),
        }
    }

    fn refused(&self, error: Option<String>, why: Option<String>) -> Error {
        let host = self.registry.host().to_string();
        registry::Error::TokenRefused { host, error, why }.into()
    }
}

fn bearer(token: &SecretString) -> SecretString {
    format!("Bearer {}", token.expose_secret()).into()
}

/// The scopes that a challenge names, if they are as few as one request can need.
fn of_challenge(scope: &str) -> Scopes {
    let few = scope.split_ascii_whitespace().nth(MAX_SCOPES).is_none();
    if few { Scopes::parse(scope) } else { Scopes::none() }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
