//! What is shown to a registry, and what comes next when it says 401.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Request, Session, Upgrade};
use crate::{
    credentials::{Credential, Found},
    realm::Realm,
    registry::{self, Demand, demand, fault, missing},
    scopes::Scopes,
    tokens::{Ask, Issued, Source, TokenError, basic},
    transport::Answer,
};

/// Scopes of a challenge above which it is not about the request that it answers.
const MAX_SCOPES: usize = 32;
/// Challenges that one request answers: a password or a token, one with more rights, a new one, and
/// each of that once more for a registry that changes its mind.
const MAX_TURNS: u8 = 6;
/// Entries of what is remembered above which it is forgotten.
const MAX_REMEMBERED: usize = 1024;

/// What a registry has taught us.
#[derive(Debug, Default)]
pub(super) struct Memory {
    demand: Mutex<Option<Wanted>>,
    credentials: tokio::sync::Mutex<HashMap<Option<String>, Option<Found>>>,
    /// Scopes that turned out not to be enough, with those that were.
    widened: Mutex<HashMap<BTreeSet<String>, Scopes>>,
}

/// With what a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Password,
    Token { realm: String, service: Option<String> },
}

/// What a request shows.
#[derive(Debug)]
pub(super) enum Shown {
    Nothing,
    /// `Basic`
    Password(SecretString),
    /// A token that somebody has put in the place of a password.
    Ready(SecretString),
    Token(Box<Token>),
}

/// A token with what it was asked for.
#[derive(Debug)]
pub(super) struct Token {
    ask: Ask,
    issued: Arc<Issued>,
    source: Source,
    found: Option<Found>,
}

impl Shown {
    pub(super) fn authorization(&self) -> Option<SecretString> {
        match self {
            Self::Nothing => None,
            Self::Password(basic) => Some(basic.clone()),
            Self::Ready(token) => Some(bearer(token)),
            Self::Token(token) => Some(bearer(&token.issued.token)),
        }
    }
}

/// What one request may still ask of the token service: each once (CL11).
#[derive(Debug)]
pub(super) struct Left {
    upgrade: Upgrade,
    renewal: Upgrade,
    /// Challenges that may be answered at all: one that asks for a password and a token in turn is
    /// answered by neither an upgrade nor a renewal.
    turns: u8,
}

impl Left {
    pub(super) fn of(request: &Request<'_>) -> Self {
        Self { upgrade: request.upgrade, renewal: request.upgrade, turns: MAX_TURNS }
    }

    /// What was sent cannot be sent again, so nothing more is asked for.
    pub(super) fn none() -> Self {
        Self { upgrade: Upgrade::No, renewal: Upgrade::No, turns: 0 }
    }

    /// Whether one more challenge may be answered.
    pub(super) fn take_turn(&mut self) -> bool {
        let left = self.turns.checked_sub(1);
        self.turns = left.unwrap_or_default();
        left.is_some()
    }

    fn take(one: &mut Upgrade) -> bool {
        std::mem::replace(one, Upgrade::No) == Upgrade::Once
    }
}

impl Session {
    /// What to show at first: as the registry wanted it the last time.
    pub(super) async fn first_shown(&self, request: &Request<'_>) -> Result<Shown, Error> {
        let remembered = lock(&self.memory.demand).clone();
        let wanted = match remembered {
            Some(wanted) => wanted,
            None => self.remember(&self.registry.first_demand().await?),
        };
        let found = match wanted {
            Wanted::Nothing => return Ok(Shown::Nothing),
            Wanted::Password | Wanted::Token { .. } => self.credential(request).await?,
        };
        match (wanted, found) {
            (_, Some(Found { credential: Credential::RegistryToken(token), .. })) => {
                Ok(Shown::Ready(token))
            }
            (Wanted::Token { realm, service }, found) => {
                let known = lock(&self.memory.widened).get(&request.scopes.canonical()).cloned();
                let scopes = known.unwrap_or_else(|| request.scopes.clone());
                self.token(&realm, service, scopes, found).await
            }
            (_, Some(Found { credential: Credential::Password { username, password }, .. })) => {
                Ok(Shown::Password(basic(&username, &password)))
            }
            _ => Ok(Shown::Nothing),
        }
    }

    /// What to show after a 401, or why there is nothing better.
    pub(super) async fn next_shown(
        &self,
        request: &Request<'_>,
        answer: &Answer,
        shown: Shown,
        left: &mut Left,
    ) -> Result<Shown, Error> {
        let demand = demand(answer)?;
        self.remember(&demand);
        let Demand::Token { realm, service, scope, error } = demand else {
            return self.password(request, answer, &shown).await;
        };
        let wanted = request.scopes.clone().union(&of_challenge(&scope));
        let token = match shown {
            Shown::Nothing | Shown::Password(_) => {
                let found = self.credential(request).await?;
                if let Some(Found { credential: Credential::RegistryToken(token), .. }) = found {
                    return Ok(Shown::Ready(token));
                }
                return self.token(&realm, service, wanted, found).await;
            }
            Shown::Ready(token) => {
                let why = fault(token.expose_secret());
                return Err(self.refused(error, why));
            }
            Shown::Token(token) => token,
        };
        let widened = token.ask.scopes.clone().union(&wanted);
        let elsewhere = token.ask.service != service
            || Url::parse(&realm).ok().as_ref() != Some(token.ask.realm.url());
        let wider = widened.canonical() != token.ask.scopes.canonical();
        if (wider || elsewhere) && Left::take(&mut left.upgrade) {
            return self.token(&realm, service, widened, token.found).await;
        }
        self.registry.forget(&token.ask, token.found.as_ref(), &token.issued).await;
        if token.source == Source::Kept && Left::take(&mut left.renewal) {
            return self.token(&realm, service, token.ask.scopes, token.found).await;
        }
        Err(self.last_word(answer, &token, error))
    }

    /// Remembers which scopes sufficed, so that the next request need not be refused first.
    pub(super) fn learn(&self, request: &Request<'_>, shown: &Shown) {
        let Shown::Token(token) = shown else { return };
        let asked = request.scopes.canonical();
        if token.ask.scopes.canonical() != asked {
            let mut widened = lock(&self.memory.widened);
            if widened.len() >= MAX_REMEMBERED {
                widened.clear();
            }
            widened.insert(asked, token.ask.scopes.clone());
        }
    }

    fn remember(&self, demand: &Demand) -> Wanted {
        let wanted = match demand {
            Demand::Nothing => Wanted::Nothing,
            Demand::Password => Wanted::Password,
            Demand::Token { realm, service, .. } => {
                Wanted::Token { realm: realm.clone(), service: service.clone() }
            }
        };
        *lock(&self.memory.demand) = Some(wanted.clone());
        wanted
    }

    async fn password(
        &self,
        request: &Request<'_>,
        answer: &Answer,
        shown: &Shown,
    ) -> Result<Shown, Error> {
        let host = self.registry.host().to_string();
        if matches!(shown, Shown::Password(_)) {
            self.memory.credentials.lock().await.clear();
            return Err(registry::Error::Password { host, said: answer.said() }.into());
        }
        match self.credential(request).await? {
            Some(Found { credential: Credential::Password { username, password }, .. }) => {
                Ok(Shown::Password(basic(&username, &password)))
            }
            _ => Err(Error::Denied {
                host,
                needed: request.scopes.to_string(),
                whom: "anybody without a password".to_owned(),
                said: answer.said(),
            }),
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scopes: Scopes,
        found: Option<Found>,
    ) -> Result<Shown, Error> {
        let realm =
            Realm::check(realm, self.registry.reached().await?).map_err(registry::Error::Realm)?;
        let ask = Ask { realm, service, scopes, offline: false };
        let credential = found.as_ref().map(|found| &found.credential);
        let obtained = self.registry.tokens().obtain(&ask, credential).await;
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
        if source == Source::New && self.registry.keep_renewed(credential, &issued).await?.is_some()
        {
            self.memory.credentials.lock().await.clear();
        }
        Ok(Shown::Token(Box::new(Token { ask, issued, source, found })))
    }

    /// The credential for a request, looked up once: helpers are programs, and slow.
    async fn credential(&self, request: &Request<'_>) -> Result<Option<Found>, Error> {
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
    fn last_word(&self, answer: &Answer, token: &Token, error: Option<String>) -> Error {
        let lacking = missing(&token.issued, &token.ask.scopes);
        let lacks = error.as_deref() == Some("insufficient_scope") || !lacking.is_empty();
        if !lacks {
            return self.refused(error, fault(token.issued.token.expose_secret()));
        }
        let lacking: Scopes = lacking.into_iter().collect();
        let needed = if lacking.is_empty() { &token.ask.scopes } else { &lacking };
        let name = token.found.as_ref().map(|found| found.credential.username());
        Error::Denied {
            host: self.registry.host().to_string(),
            needed: needed.to_string(),
            whom: match name {
                None => "those who are not logged in".to_owned(),
                Some(name) => name.unwrap_or("whoever is logged in").to_owned(),
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
