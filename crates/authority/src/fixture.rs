//! A token service with accounts that tests can change while it runs.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_jose::{Algorithm, SigningKey};
use portpass_password::{
    CredentialCache, HashPool, Limits, PasswordCheck, QueueClass,
    limits::{RateSettings, RequestRates},
    pool::PoolSettings,
};
use portpass_protocol::Action;
use portpass_state::{AuditRecord, Db};
use portpass_token::{
    Claims, Clock, Issuer, KeyIdForm, Random, ServiceName, Verifier, VerifierSettings,
};
use secrecy::ExposeSecret;

use crate::{
    accounts::{
        Authenticator, AuthenticatorChain, Circumstances, Machines, Outcome, Unavailable,
        last_uses::LastUses, local::LocalAccounts,
    },
    audit::{AuditTrail, Writer},
    ceiling::Ceiling,
    groups::Groups,
    keyring::KeyRing,
    policy::{ActionBits, PathPattern, RuleContext, RuleSet, RuleText},
    refresh::RefreshLifetimes,
    request::{RefreshIssuance, Service, Services},
    service::{IntrospectionCallers, Lifetime, TokenService, TokenServiceParts},
    signer::Signer,
    subject::{
        Account, AccountId, AccountKind, AccountName, CredentialVersion, Labels, Login, SourceName,
    },
};

/// Of an act that nobody asks after.
pub(crate) fn record(at: SystemTime) -> AuditRecord {
    AuditRecord {
        at,
        action: "test".to_owned(),
        actor: None,
        object: None,
        address: None,
        request: None,
        detail: serde_json::json!({}),
    }
}

/// 2026-01-02T03:04:05Z
pub(crate) const NOW: u64 = 1_767_323_045;

#[derive(Debug)]
pub(crate) struct SetClock(AtomicU64);

impl SetClock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// Never the same bytes twice, always the same in the same order.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.fill(0xa5);
        let length = bytes.len().min(count.len());
        bytes[..length].copy_from_slice(&count[..length]);
    }
}

/// What becomes of an account of that name.
type Blow = (String, fn(&mut Known));

/// Accounts with plain passwords, in no database.
#[derive(Debug)]
pub(crate) struct Accounts {
    source: SourceName,
    check: PasswordCheck,
    known: Mutex<BTreeMap<String, Known>>,
    broken: Mutex<Option<String>>,
    last_queue_class: Mutex<Option<QueueClass>>,
    last_origin: Mutex<Option<(String, Option<IpAddr>)>>,
    after_next_login: Mutex<Option<Blow>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) password: String,
    pub(crate) groups: Vec<&'static str>,
    pub(crate) version: u32,
    pub(crate) enabled: bool,
    pub(crate) ceiling: Option<&'static str>,
    pub(crate) valid_until: Option<SystemTime>,
}

impl Accounts {
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Known)) {
        change(self.known.lock().unwrap().get_mut(name).unwrap());
    }

    /// Makes an account like that of `bob`.
    pub(crate) fn add(&self, name: &str) {
        let mut known = self.known.lock().unwrap();
        let bob = known["bob"].clone();
        known.insert(name.to_owned(), bob);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.known.lock().unwrap().remove(name).unwrap();
    }

    /// Changes an account when the next login has been decided.
    pub(crate) fn after_next_login(&self, name: &str, change: fn(&mut Known)) {
        *self.after_next_login.lock().unwrap() = Some((name.to_owned(), change));
    }

    pub(crate) fn break_down(&self, reason: &str) {
        *self.broken.lock().unwrap() = Some(reason.to_owned());
    }

    pub(crate) fn mend(&self) {
        *self.broken.lock().unwrap() = None;
    }

    /// Of whom it was last asked about.
    pub(crate) fn last_queue_class(&self) -> Option<QueueClass> {
        *self.last_queue_class.lock().unwrap()
    }

    /// For which registry, and from where.
    pub(crate) fn last_origin(&self) -> Option<(String, Option<IpAddr>)> {
        self.last_origin.lock().unwrap().clone()
    }

    fn known(&self, name: &str) -> Result<Option<Known>, Unavailable> {
        match self.broken.lock().unwrap().clone() {
            Some(reason) => Err(Unavailable::Source { source_name: self.source.clone(), reason }),
            None => Ok(self.known.lock().unwrap().get(name).cloned()),
        }
    }

    fn account(&self, name: &str, known: &Known) -> Account {
        Account {
            source: self.source.clone(),
            id: AccountId::new(format!("id-of-{name}")),
            version: CredentialVersion::new(known.version.to_string()),
            name: name.parse().unwrap(),
            groups: known.groups.iter().map(|group| group.parse().unwrap()).collect(),
            labels: Labels::default(),
            kind: AccountKind::Person,
            ceiling: known.ceiling.map(|repository| Arc::new(pull_from(repository))),
            valid_until: known.valid_until,
        }
    }
}

#[async_trait]
impl Authenticator for Accounts {
    fn source(&self) -> &SourceName {
        &self.source
    }

    async fn authenticate(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Outcome, Unavailable> {
        *self.last_queue_class.lock().unwrap() = Some(at.queue_class);
        *self.last_origin.lock().unwrap() = Some((at.service.to_string(), at.address));
        let (name, password) = (login.account.as_str(), &login.password);
        let known = self.known(name)?;
        if let Some((name, change)) = self.after_next_login.lock().unwrap().take() {
            self.change(&name, change);
        }
        match known {
            None => Ok(Outcome::Unknown),
            Some(known) if known.enabled && known.password == password.expose_secret() => {
                Ok(Outcome::Authenticated(self.account(name, &known)))
            }
            Some(_) => {
                let credentials = login.credentials(self.source.as_str(), at.queue_class);
                Ok(Outcome::Rejected(self.check.refuse(credentials, at.now).await?.into()))
            }
        }
    }

    async fn by_id(&self, id: &AccountId, _: SystemTime) -> Result<Option<Account>, Unavailable> {
        let name = id.as_str().strip_prefix("id-of-").unwrap();
        let known = self.known(name)?.filter(|known| known.enabled);
        Ok(known.map(|known| self.account(name, &known)))
    }

    async fn by_name(
        &self,
        name: &AccountName,
        _: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        Ok(self.known(name.as_str())?.map(|known| self.account(name.as_str(), &known)))
    }
}

/// Of somebody who was never here before, from an address that nobody knows.
pub(crate) fn unproved(now: SystemTime) -> Circumstances<'static> {
    static REGISTRY: LazyLock<ServiceName> = LazyLock::new(|| ServiceName::new("registry"));
    Circumstances { service: &REGISTRY, address: None, queue_class: QueueClass::Unproved, now }
}

/// Everything around a token service.
pub(crate) struct Fixture {
    pub(crate) service: Arc<TokenService>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) db: Db,
    pub(crate) uses: Arc<LastUses>,
    pub(crate) writer: Writer,
}

/// What differs from test to test.
pub(crate) struct Settings {
    pub(crate) anonymous: bool,
    pub(crate) limits: Limits,
    pub(crate) rates: RateSettings,
    pub(crate) groups: Groups,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            anonymous: true,
            limits: Limits::off(),
            rates: RateSettings::default(),
            groups: Groups::default(),
        }
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let clock = Arc::new(SetClock(AtomicU64::new(NOW)));
        let db = Db::in_memory().await.unwrap();
        let check = password_check();
        let accounts = Arc::new(Accounts {
            source: source(),
            check: check.clone(),
            known: Mutex::new(known()),
            broken: Mutex::default(),
            last_queue_class: Mutex::default(),
            last_origin: Mutex::default(),
            after_next_login: Mutex::default(),
        });
        let local = LocalAccounts::new(db.clone(), check.clone());
        let keys = Arc::new(KeyRing::fixed(SigningKey::generate(Algorithm::Es256).unwrap()));
        let (trail, writer) = AuditTrail::new(db.clone());
        let service = |name: &str| Service {
            name: ServiceName::new(name),
            signer: Signer::default(),
            key_id: KeyIdForm::Rfc7638,
            refresh: RefreshIssuance::Given,
        };
        let password_only =
            Service { refresh: RefreshIssuance::Withheld, ..service("password-only") };
        let uses = Arc::new(LastUses::new(db.clone()));
        let service = TokenService::new(TokenServiceParts {
            issuer: Issuer::new("dtest"),
            lifetime: Lifetime::from_seconds(300).unwrap(),
            services: Services::new(service("registry"), vec![service("other"), password_only]),
            accounts: AuthenticatorChain::new(vec![accounts.clone(), Arc::new(local)], check)
                .with_machines(Arc::new(Machines::new(db.clone())))
                .with_groups(settings.groups),
            anonymous: settings.anonymous,
            policy: Arc::new(policy()),
            keys: keys.clone(),
            db: db.clone(),
            refresh: RefreshLifetimes::default(),
            uses: uses.clone(),
            limits: Arc::new(settings.limits),
            rates: Arc::new(RequestRates::new(settings.rates, [2; 32])),
            introspection: Some(IntrospectionCallers::new(vec![
                "user:staff/admin".parse().unwrap(),
                "group:registries".parse().unwrap(),
            ])),
            trail,
            clock: clock.clone(),
            random: Arc::new(Counter::default()),
        });
        Self { service: Arc::new(service), clock, accounts, keys, db, uses, writer }
    }

    /// The account of that name as its source knows it.
    pub(crate) async fn account(&self, name: &str) -> Account {
        let name = name.parse().unwrap();
        self.accounts.by_name(&name, self.clock.now()).await.unwrap().unwrap()
    }

    /// What a registry that trusts the service reads in a token.
    pub(crate) fn verify(&self, token: &str, service: &str) -> Arc<Claims> {
        let settings = VerifierSettings::new(Issuer::new("dtest"), ServiceName::new(service));
        let verifier = Verifier::with_settings(settings, self.keys.current().trust());
        verifier.verify(token, self.clock.now()).unwrap()
    }
}

fn known() -> BTreeMap<String, Known> {
    let account = |groups: &[&'static str], ceiling| Known {
        password: "secret".to_owned(),
        groups: groups.to_vec(),
        version: 1,
        enabled: true,
        ceiling,
        valid_until: None,
    };
    BTreeMap::from([
        ("admin".to_owned(), account(&[], None)),
        ("ann".to_owned(), account(&["developers"], None)),
        ("bob".to_owned(), account(&[], None)),
        ("ci".to_owned(), account(&[], Some("ci/app"))),
    ])
}

fn pull_from(repository: &str) -> Ceiling {
    let mut actions = ActionBits::default();
    actions.insert(&Action::Pull);
    Ceiling::new(actions, vec![PathPattern::parse(repository).unwrap()])
}

/// One pool with the least work there is.
fn password_check() -> PasswordCheck {
    let one = NonZeroUsize::MIN;
    let pool = HashPool::new(PoolSettings { threads: one, queue: 64 });
    let cache = CredentialCache::new([7; 32], one, Duration::from_mins(1));
    PasswordCheck::new(pool, Arc::new(cache))
}

/// Of the accounts that tests change.
pub(crate) fn source() -> SourceName {
    "staff".parse().unwrap()
}

pub(crate) fn policy_and_service() -> (RuleSet, ServiceName) {
    (policy(), ServiceName::new("registry"))
}

fn policy() -> RuleSet {
    let rule = |actions: &[&str], repository: &str, to: &str| RuleText {
        allow: Some(actions.iter().map(ToString::to_string).collect()),
        repository: Some(repository.to_owned()),
        to: vec![to.to_owned()],
        ..RuleText::default()
    };
    let catalog = RuleText {
        repository: None,
        registry: Some("catalog".to_owned()),
        ..rule(&["*"], "", "user:staff/admin")
    };
    let rules = [
        rule(&["pull"], "public/**", "anyone"),
        rule(&["pull", "push"], "${account}/**", "signed-in"),
        rule(&["pull", "push", "delete"], "team/**", "group:developers"),
        rule(&["*"], "**", "user:staff/admin"),
        catalog,
    ];
    let around = RuleContext {
        sources: vec![source(), SourceName::local()],
        services: vec![],
        anonymous: true,
        ..RuleContext::default()
    };
    RuleSet::parse(&rules, &around).unwrap()
}
