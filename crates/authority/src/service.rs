//! The token service: who asks, what of it the rules allow, and a signature under the answer.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::prelude::*;
use portpass_password::{Limits, QueueClass, limits::RequestRates};
use portpass_protocol::{
    access::{Access, AccessSet},
    token_response::TokenResponse,
};
use portpass_state::{Db, RefreshToken, TokenAddition};
use portpass_token::{
    Audience, Claims, Clock, Issuer, NumericDate, Random, ServiceName, VerifierSettings,
};

mod attempt;
mod authenticated;
mod error;
mod introspect;
mod rates;
mod signed_tokens;

use introspect::Introspector;
pub use {
    error::TokenError,
    introspect::{Introspection, IntrospectionCallers, IntrospectionRequest},
};

pub use crate::lifetime::{Lifetime, LifetimeError};
use attempt::conclude;
use authenticated::Authenticated;
use signed_tokens::SignedTokens;

use crate::{
    accounts::{AuthenticatorChain, Circumstances, last_uses::LastUses},
    audit::{AuditTrail, Event, EventKind},
    keyring::KeyRing,
    policy::{self, Decision, Policy},
    refresh::{
        LookUpError, RefreshLifetimes, RefreshProblem, RefreshSecret, RefreshTokens, Session,
    },
    request::{ClientInfo, Credential, Leg, Services, TokenRequest},
    subject::{Account, Subject},
};

/// What a token service is made of.
#[derive(Debug)]
pub struct TokenServiceParts {
    /// Signs, as registries know it.
    pub issuer: Issuer,
    /// How long tokens live.
    pub lifetime: Lifetime,
    /// The registries that tokens are signed for.
    pub services: Services,
    /// Who is asked about passwords.
    pub accounts: AuthenticatorChain,
    /// Whether anybody may ask without credentials.
    pub anonymous: bool,
    /// Who may do what.
    pub policy: Arc<dyn Policy>,
    /// What signs.
    pub keys: Arc<KeyRing>,
    /// Where refresh tokens are kept.
    pub db: Db,
    /// How long those live.
    pub refresh: RefreshLifetimes,
    /// Where it is noted who was here last.
    pub uses: Arc<LastUses>,
    /// How often one may try.
    pub limits: Arc<Limits>,
    /// How often one may ask.
    pub rates: Arc<RequestRates>,
    /// Who may ask what tokens are worth; absent: nobody.
    pub introspection: Option<IntrospectionCallers>,
    /// Where it is written down.
    pub trail: AuditTrail,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where secrets come from.
    pub random: Arc<dyn Random>,
}

/// Authenticates, narrows, signs.
#[derive(Debug)]
pub struct TokenService {
    issuer: Issuer,
    lifetime: Lifetime,
    services: Services,
    accounts: AuthenticatorChain,
    anonymous: bool,
    policy: Arc<dyn Policy>,
    keys: Arc<KeyRing>,
    refresh: RefreshTokens,
    uses: Arc<LastUses>,
    limits: Arc<Limits>,
    rates: Arc<RequestRates>,
    introspector: Option<Introspector>,
    trail: AuditTrail,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    signed: SignedTokens,
}

/// What a client gets, and what was decided about it.
#[derive(Debug)]
pub struct Issued {
    /// The answer's body.
    pub response: TokenResponse,
    /// Who it was.
    pub subject: Subject,
    /// One per resource, in the order asked.
    pub decisions: Arc<[Decision]>,
}

impl TokenService {
    /// A service that has issued nothing yet.
    pub fn new(parts: TokenServiceParts) -> Self {
        let refresh = RefreshTokens::new(parts.db, parts.refresh, Arc::clone(&parts.random));
        let settings = parts.services.iter().map(|service| VerifierSettings {
            // Whoever asks adds its own leeway.
            leeway: Duration::ZERO,
            ..VerifierSettings::new(parts.issuer.clone(), service.name.clone())
        });
        let introspector =
            parts.introspection.map(|callers| Introspector::new(callers, settings, &parts.keys));
        Self {
            issuer: parts.issuer,
            lifetime: parts.lifetime,
            services: parts.services,
            accounts: parts.accounts,
            anonymous: parts.anonymous,
            policy: parts.policy,
            keys: parts.keys,
            refresh,
            uses: parts.uses,
            limits: parts.limits,
            rates: parts.rates,
            introspector,
            trail: parts.trail,
            clock: parts.clock,
            random: parts.random,
            signed: SignedTokens::new(),
        }
    }

    /// The registries that tokens are signed for.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The sources of accounts.
    pub fn accounts(&self) -> &AuthenticatorChain {
        &self.accounts
    }

    /// Who signs.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What signs.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// What time it is for this service.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Authenticates, narrows, signs. What the rules do not allow is left out of the token, never an
    /// error (TG4, T7).
    pub async fn issue(
        &self,
        request: &TokenRequest,
        now: SystemTime,
    ) -> Result<Issued, TokenError> {
        let issued = self.answer(request, now).await;
        if let Err(error) = &issued {
            rates::refused(&self.rates, request, error, now);
            let claimed = request.credential.account().map(ToString::to_string);
            self.trail.record(event(
                request,
                None,
                EventKind::Refused { reason: error.id(), claimed },
                now,
            ));
        }
        issued
    }

    /// Ends a refresh token for whoever holds it (RFC 7009).
    pub async fn log_out(
        &self,
        secret: &RefreshSecret,
        client: ClientInfo,
        now: SystemTime,
    ) -> Result<(), TokenError> {
        let record = |token: &RefreshToken| {
            let kind = EventKind::Revoked { refresh: token.id.to_string(), reason: "logged-out" };
            let account = Some(token.account_name.clone());
            let service = Some(ServiceName::new(&*token.service));
            Event { at: now, kind, account, service, leg: None, client }.into_record()
        };
        Ok(self.refresh.log_out(secret, now, record).await?)
    }

    async fn answer(&self, request: &TokenRequest, now: SystemTime) -> Result<Issued, TokenError> {
        rates::admit(&self.rates, request, now)?;
        let admission = self.admit(&request.credential, &request.client, now).await?;
        let checked = self.authenticate(request, admission.queue_class(), now).await;
        let who = conclude(admission, checked, now)?;
        if let Some(account) = who.account() {
            rates::admit_account(&self.rates, account, now)?;
        }
        let subject = who.subject();
        let decisions = self.decide(&who, &subject, request, now);
        // Signed before anything is written: a refresh token is not kept for an answer that fails.
        let expires = self.expires(&subject, &decisions, now);
        let token = self.sign(request, &subject, &decisions, expires, now).await?;
        let refresh_token = self.settle(&who, request, &decisions, now).await?;
        if let Some(used) = who.used() {
            self.uses.note(used, now);
        }
        let response = TokenResponse {
            token,
            expires_in: expires.duration_since(now).unwrap_or_default().as_secs(),
            issued_at: now,
            scope: (request.leg == Leg::Post).then(|| granted(&decisions).to_string()),
            refresh_token,
            issued_token_type: request.credential.issued_token_type(),
        };
        Ok(Issued { response, subject, decisions })
    }

    async fn authenticate(
        &self,
        request: &TokenRequest,
        queue_class: QueueClass,
        now: SystemTime,
    ) -> Result<Authenticated, TokenError> {
        let (service, address) = (&request.service.name, request.client.known_address());
        let at = Circumstances { service, address, queue_class, now };
        match &request.credential {
            Credential::Anonymous if self.anonymous => Ok(Authenticated::Nobody),
            Credential::Anonymous => Err(TokenError::NoCredentials),
            Credential::Password(login) => Box::pin(self.by_password(login, &at)).await,
            Credential::Token(login) => Box::pin(self.by_token(login, &at)).await,
            Credential::Exchange(token) => {
                match Box::pin(self.accounts.exchange(token, &at)).await? {
                    Ok(account) => Ok(Authenticated::ByPassword(Arc::new(account))),
                    Err(rejected) => Err(TokenError::SubjectToken { reason: rejected.reason }),
                }
            }
            Credential::Machine(login) => self.by_secret(login, &at).await,
            Credential::Refresh(secret) => {
                let session = Box::pin(self.look_up(secret, request, now)).await?;
                let account = Arc::new(session.account.clone());
                Ok(Authenticated::ByRefresh(account, session, secret.clone()))
            }
        }
    }

    async fn look_up(
        &self,
        secret: &RefreshSecret,
        request: &TokenRequest,
        now: SystemTime,
    ) -> Result<Session, TokenError> {
        let found = self.refresh.look_up(secret, &request.service.name, &self.accounts, now).await;
        if let Err(LookUpError::Invalid(problem @ RefreshProblem::Password { id, name })) = &found {
            let (refresh, reason) = (id.to_string(), problem.id());
            let kind = EventKind::Revoked { refresh, reason };
            let record = event(request, Some(name.clone()), kind, now).into_record();
            self.refresh.revoke(*id, &record).await?;
        }
        Ok(found?)
    }

    fn decide(
        &self,
        who: &Authenticated,
        subject: &Subject,
        request: &TokenRequest,
        now: SystemTime,
    ) -> Arc<[Decision]> {
        let session_limit = match who {
            Authenticated::ByRefresh(_, session, _) => session.ceiling.as_ref(),
            Authenticated::Nobody | Authenticated::ByPassword(_) | Authenticated::BySecret(..) => {
                None
            }
        };
        let address = request.client.known_address();
        let asked = policy::Request { subject, service: &request.service.name, address, now };
        let decide = |requested: &Access| {
            policy::decide_for(&*self.policy, &asked, requested).within(session_limit)
        };
        request.requested.iter().map(decide).collect()
    }

    /// A token lives no longer than the shortest-lived of what it grants, and than what proved its subject.
    fn expires(&self, subject: &Subject, decisions: &[Decision], now: SystemTime) -> SystemTime {
        let of = |decision: &Decision| decision.lifetime(self.lifetime);
        let lifetime = decisions.iter().filter_map(of).min().unwrap_or(self.lifetime);
        let expires = now + lifetime.as_duration();
        let most = subject.account().and_then(|account| account.valid_until);
        most.map_or(expires, |most| most.min(expires))
    }

    async fn sign(
        &self,
        request: &TokenRequest,
        subject: &Subject,
        decisions: &[Decision],
        expires: SystemTime,
        now: SystemTime,
    ) -> Result<String, TokenError> {
        let account = subject.account();
        let issued_at = account.map_or(now, |account| self.accounts.issue_time(account, now));
        let mut claims = Claims {
            issuer: self.issuer.clone(),
            subject: subject.name().to_owned(),
            audience: Audience::one(request.service.name.clone()),
            expires: NumericDate::from(expires),
            not_before: Some(NumericDate::from(now - CLOCKS_APART)),
            issued_at: Some(NumericDate::from(issued_at)),
            id: None,
            // What was asked for and denied stays, with no actions: a registry can tell it from
            // what was never asked for.
            access: decisions.iter().map(Decision::to_access).collect(),
        };
        let (signer, form) = (request.service.signer, request.service.key_id);
        let keys = self.keys.ready(signer, form, now).await?;
        let key = keys.signing(signer)?.id();
        let granted = claims.to_json().ok().map(|claims| signed_tokens::Content::of(claims, key));
        if let Some(token) = granted.as_ref().and_then(|content| self.signed.get(content)) {
            return Ok(token.to_string());
        }
        claims.id = Some(self.token_id());
        let token = keys.mint(signer, form, &claims)?;
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong { length: token.len() });
        }
        if let Some(content) = granted {
            self.signed.insert(content, &token);
        }
        Ok(token)
    }

    /// Writes down what was issued, and with it the refresh token's row where there is one.
    async fn settle(
        &self,
        who: &Authenticated,
        request: &TokenRequest,
        decisions: &Arc<[Decision]>,
        now: SystemTime,
    ) -> Result<Option<String>, TokenError> {
        let decisions = Arc::clone(decisions);
        let name = |account: &Account| Some(account.name.to_string());
        match who {
            Authenticated::ByRefresh(account, session, secret) => {
                let kind = EventKind::Refreshed { decisions, refresh: session.id.to_string() };
                let record = event(request, name(account), kind, now).into_record();
                Box::pin(self.refresh.touch(session, now, &record)).await?;
                // The same one again, never another (TP2, T9).
                Ok(request.wants_refresh.then(|| secret.expose().to_owned()))
            }
            Authenticated::ByPassword(account)
                if request.wants_refresh && account.kind.has_sessions() =>
            {
                let draft = self.refresh.draft();
                let kind =
                    EventKind::IssuedWithRefresh { decisions, refresh: draft.id.to_string() };
                let record = event(request, name(account), kind, now).into_record();
                let client = request.client.id.as_deref();
                Box::pin(self.is_as_it_was(account)).await?;
                let kept = self.refresh.store(
                    &draft,
                    account,
                    &request.service.name,
                    client,
                    now,
                    &record,
                );
                match Box::pin(kept).await? {
                    TokenAddition::Added(_) => Ok(Some(draft.secret.expose().to_owned())),
                    TokenAddition::AccountChanged => Err(changed(account)),
                }
            }
            // An anonymous caller gets none, whatever it asks for (TG7); nor does who can show a token again.
            Authenticated::Nobody | Authenticated::ByPassword(_) | Authenticated::BySecret(..) => {
                let account = who.account().and_then(|account| name(account));
                let kind = EventKind::Issued { decisions, key: who.key() };
                self.trail.record(event(request, account, kind, now));
                Ok(None)
            }
        }
    }

    /// Asks the source again before a refresh token is kept: since it was asked, the password may have
    /// waited for its hash. Local accounts are looked at once more by the transaction that keeps it.
    async fn is_as_it_was(&self, account: &Account) -> Result<(), TokenError> {
        let source = account.source.as_str();
        let latest = self.accounts.by_id(source, &account.id, self.now()).await?;
        match latest {
            Some(latest) if latest.version == account.version => Ok(()),
            Some(_) | None => Err(changed(account)),
        }
    }

    fn token_id(&self) -> String {
        let mut bits = [0; 16];
        self.random.fill(&mut bits);
        BASE64_URL_SAFE_NO_PAD.encode(bits)
    }
}

fn granted(decisions: &[Decision]) -> AccessSet {
    decisions.iter().map(Decision::to_access).filter(|access| !access.actions.is_empty()).collect()
}

fn changed(account: &Account) -> TokenError {
    TokenError::AccountChanged { account: account.name.clone() }
}

fn event(
    request: &TokenRequest,
    account: Option<String>,
    kind: EventKind,
    now: SystemTime,
) -> Event {
    Event {
        at: now,
        kind,
        account,
        service: Some(request.service.name.clone()),
        leg: Some(request.leg),
        client: request.client.clone(),
    }
}

/// A registry's clock may be behind ours by so much, with the leeway that it has itself by twice
/// (T11).
const CLOCKS_APART: Duration = Duration::from_mins(1);
/// With this and twice the token, an answer stays below what the strictest client reads (T3), and a
/// request with the token below what registries take as a header.
const MAX_TOKEN: usize = 24 * 1024;
