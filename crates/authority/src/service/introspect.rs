//! What a token is worth at this moment (RFC 7662), for callers that may know it.

use std::{sync::Arc, time::SystemTime};

use portpass_state::{RefreshState, RefreshToken};
use portpass_token::{Claims, Invalid, Verifier, VerifierSettings};
use secrecy::{ExposeSecret, SecretString};

use super::{TokenError, TokenService, attempt::conclude};
use crate::{
    accounts::Circumstances,
    policy::{Caller, Principal, Request},
    refresh::{LookUpError, RefreshSecret},
    request::{ClientInfo, Credential},
    subject::{AccountKind, Subject},
};

/// Who may ask what a token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionCallers(Vec<Principal>);

impl IntrospectionCallers {
    /// Accounts and groups. Words for callers without an account name nobody: RFC 7662 §2.1 has every caller
    /// authenticated.
    pub fn new(to: Vec<Principal>) -> Self {
        Self(to)
    }
}

/// A question about a token.
#[derive(Debug)]
pub struct IntrospectionRequest {
    /// Who asks.
    pub credential: Credential,
    /// What is asked about.
    pub token: SecretString,
    /// For the limits.
    pub client: ClientInfo,
}

/// The answer. It says nothing of a token that counts no more, or never did.
#[derive(Debug)]
pub enum Introspection {
    /// An access token that the registries of this service take.
    Access(Arc<Claims>),
    /// A refresh token that the token endpoint takes.
    Refresh {
        /// The account's name.
        account: String,
        /// Its row.
        row: Box<RefreshToken>,
        /// When it dies if nobody uses it.
        until: SystemTime,
    },
    /// Anything else. Why is for the log.
    Inactive {
        /// A sentence without the token.
        reason: String,
    },
}

/// Who may ask, and what checks the tokens.
#[derive(Debug)]
pub(super) struct Introspector {
    callers: IntrospectionCallers,
    verifiers: Vec<Arc<Verifier>>,
}

impl Introspector {
    /// One verifier for each service; each follows the keys.
    pub(super) fn new(
        callers: IntrospectionCallers,
        settings: impl Iterator<Item = VerifierSettings>,
        keys: &crate::keyring::KeyRing,
    ) -> Self {
        let verifier = |settings| {
            let verifier = Arc::new(Verifier::with_settings(settings, keys.current().trust()));
            keys.trusted_by(Arc::clone(&verifier));
            verifier
        };
        Self { callers, verifiers: settings.map(verifier).collect() }
    }

    /// The claims, whichever of the services they are for.
    fn verify(&self, token: &str, now: SystemTime) -> Result<Arc<Claims>, Invalid> {
        let mut verdict = Err(Invalid::Audience("there is no service".to_owned()));
        for verifier in &self.verifiers {
            verdict = verifier.verify(token, now);
            if !matches!(verdict, Err(Invalid::Audience(_))) {
                break;
            }
        }
        verdict
    }
}

impl TokenService {
    /// Whether there is introspection at all.
    pub fn introspects(&self) -> bool {
        self.introspector.is_some()
    }

    /// What checks the tokens that are asked about: to be told what is revoked.
    pub fn verifiers(&self) -> impl Iterator<Item = &Arc<Verifier>> {
        self.introspector.iter().flat_map(|introspector| &introspector.verifiers)
    }

    /// Says what a token is worth.
    pub async fn introspect(
        &self,
        request: &IntrospectionRequest,
        now: SystemTime,
    ) -> Result<Introspection, TokenError> {
        let Some(introspector) = &self.introspector else {
            return Err(TokenError::IntrospectionDenied { account: None });
        };
        let caller = self.log_in(&request.credential, &request.client, now).await?;
        self.check_caller(introspector, &caller, &request.client, now)?;
        let token = request.token.expose_secret();
        match token.parse::<RefreshSecret>() {
            Ok(secret) => self.introspect_refresh(&secret, now).await,
            Err(_) => Ok(match introspector.verify(token, now) {
                Ok(claims) => Introspection::Access(claims),
                Err(invalid) => Introspection::Inactive { reason: invalid.to_string() },
            }),
        }
    }

    async fn introspect_refresh(
        &self,
        secret: &RefreshSecret,
        now: SystemTime,
    ) -> Result<Introspection, TokenError> {
        match self.refresh.find(secret, &self.accounts, now).await {
            Ok((row, account)) => {
                let RefreshState::Valid { until } = row.state else {
                    return Ok(Introspection::Inactive { reason: "it has ended".to_owned() });
                };
                Ok(Introspection::Refresh {
                    account: account.name.to_string(),
                    row: Box::new(row),
                    until,
                })
            }
            Err(LookUpError::Invalid(problem)) => {
                Ok(Introspection::Inactive { reason: problem.to_string() })
            }
            Err(error @ (LookUpError::State(_) | LookUpError::Unavailable(_))) => Err(error.into()),
        }
    }

    /// Counted among the attempts at that account, as those at the token endpoint are.
    async fn log_in(
        &self,
        credential: &Credential,
        client: &ClientInfo,
        now: SystemTime,
    ) -> Result<Subject, TokenError> {
        let admission = self.admit(credential, client, now).await?;
        let at = Circumstances {
            service: &self.services.first().name,
            address: client.known_address(),
            queue_class: admission.queue_class(),
            now,
        };
        let checked = match credential {
            Credential::Password(login) => self.by_password(login, &at).await,
            Credential::Machine(login) => self.by_secret(login, &at).await,
            Credential::Token(login) => self.by_token(login, &at).await,
            Credential::Anonymous | Credential::Refresh(_) | Credential::Exchange(_) => {
                Err(TokenError::NoCredentials)
            }
        };
        Ok(conclude(admission, checked, now)?.subject())
    }

    fn check_caller(
        &self,
        introspector: &Introspector,
        subject: &Subject,
        client: &ClientInfo,
        now: SystemTime,
    ) -> Result<(), TokenError> {
        let service = &self.services.first().name;
        let asked = Request { subject, service, address: client.known_address(), now };
        let caller = Caller::new(&asked);
        // What a token is worth lies in no repository, so within the limit of no key.
        let is_key = subject.account().is_some_and(|account| account.kind == AccountKind::ApiKey);
        if !is_key && introspector.callers.0.iter().any(|principal| principal.is(caller)) {
            Ok(())
        } else {
            let account = subject.account().map(|account| account.name.clone());
            Err(TokenError::IntrospectionDenied { account })
        }
    }
}
