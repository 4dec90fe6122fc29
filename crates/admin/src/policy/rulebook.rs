//! The rules of a configuration, and what is known of the accounts that they are about.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_authority::{
    accounts::{AuthenticatorChain, ListedKey, Listing},
    policy::{Policy, RuleSet},
    subject::{Account, AccountId, AccountKind, AccountName, CredentialVersion, SourceName},
};
use portpass_config::{AccountSource, Config, Environment, Profile, Sources, TokenService};
use portpass_password::{
    CredentialCache, HashPool, PasswordCheck, htpasswd::HtpasswdError, pool::PoolSettings,
};
use portpass_state::Db;
use portpass_token::{Clock, Random, SystemClock, SystemRandom};

use super::{AdminError, Caller};
use crate::{account_sources, blocking};

/// The rules of a configuration. Where its installation is there, with the accounts and repositories that they
/// are about; without one, rules can be checked all the same, on a machine where no server ever ran.
#[derive(Debug)]
pub struct Rulebook {
    config: Config,
    installed: Option<Installed>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Installed {
    db: Db,
    chain: AuthenticatorChain,
}

impl Rulebook {
    /// Reads what `sources` and `environment` name; makes nothing.
    pub async fn open(sources: &Sources, environment: &Environment) -> Result<Self, AdminError> {
        let (sources, environment) = (sources.clone(), environment.clone());
        let config = blocking(move || Config::load(&sources, &environment)).await?;
        let service = config.token_service.as_ref().ok_or(AdminError::NoTokenService)?;
        let (clock, path) = (Arc::new(SystemClock), config.database());
        let installed = match path.try_exists() {
            Ok(true) => {
                let db = Db::open(&path).await?;
                let random: Arc<dyn Random> = Arc::new(SystemRandom);
                let chain = lookup_chain(service, &db, &random, &*clock).await?;
                Some(Installed { db, chain })
            }
            Ok(false) => None,
            Err(source) => return Err(AdminError::Inaccessible { path, source }),
        };
        Ok(Self { config, installed, clock })
    }

    /// What of the configuration should be seen.
    pub fn warnings(&self) -> &[String] {
        &self.config.warnings
    }

    /// Whether there are accounts to look up.
    pub fn is_installed(&self) -> bool {
        self.installed.is_some()
    }

    pub(super) fn chain(&self) -> Option<&AuthenticatorChain> {
        self.installed.as_ref().map(|installed| &installed.chain)
    }

    pub(super) fn service(&self) -> Result<&TokenService, AdminError> {
        self.config.token_service.as_ref().ok_or(AdminError::NoTokenService)
    }

    pub(super) fn policy(&self) -> Result<Arc<dyn Policy>, AdminError> {
        Ok(self.service()?.policy.policy())
    }

    pub(super) fn rules(&self) -> Result<&Arc<RuleSet>, AdminError> {
        self.service()?.policy.rules().ok_or(AdminError::NoRules)
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The account of that name; without a database there is none.
    pub(super) async fn find(&self, who: &Caller) -> Result<Account, AdminError> {
        match &self.installed {
            Some(Installed { db, chain }) => {
                find_known(chain, db, self.service()?, who, self.now()).await
            }
            None => Err(self.unknown(who)),
        }
    }

    pub(super) fn unknown(&self, who: &Caller) -> AdminError {
        let sources = self.config.token_service.iter().flat_map(|service| &service.accounts);
        unknown(who, sources)
    }

    /// The accounts of every source, but for those whose name a source before it has: no login reaches them.
    pub(super) async fn listings(&self) -> Vec<Listing> {
        match self.chain() {
            Some(chain) => chain.list(self.now()).await,
            None => Vec::new(),
        }
    }

    /// The API keys of all persons who can log in.
    pub(super) async fn keys(&self) -> Result<Vec<ListedKey>, AdminError> {
        match self.chain() {
            Some(chain) => Ok(chain.list_keys(self.now()).await?),
            None => Ok(Vec::new()),
        }
    }

    pub(super) async fn squatters(&self, rules: &RuleSet) -> Vec<String> {
        match self.chain() {
            Some(chain) => {
                let found = chain.squatters(rules, self.now()).await;
                found.iter().map(ToString::to_string).collect()
            }
            None => Vec::new(),
        }
    }
}

/// The account that a login of that name would be.
pub(super) async fn find(
    chain: &AuthenticatorChain,
    who: &Caller,
    now: SystemTime,
) -> Result<Option<Account>, AdminError> {
    if let Caller::Key(id) = who {
        let Ok(id) = id.parse() else { return Ok(None) };
        return Ok(chain.by_key(id, now).await?);
    }
    let source = who.source();
    for name in who.account_names() {
        let source = source.as_ref().map(SourceName::as_str);
        let Some(account) = chain.by_name(source, &name, now).await? else { continue };
        let is_meant = match who {
            Caller::Robot(_) => account.kind == AccountKind::Robot,
            Caller::Account(_) => true,
            Caller::Anonymous | Caller::Key(_) => false,
        };
        if is_meant {
            return Ok(Some(account));
        }
    }
    Ok(None)
}

/// The same; where there is none, the error says of what.
pub(super) async fn find_known(
    chain: &AuthenticatorChain,
    db: &Db,
    service: &TokenService,
    who: &Caller,
    now: SystemTime,
) -> Result<Account, AdminError> {
    if let Some(account) = find(chain, who, now).await? {
        return Ok(account);
    }
    if let Caller::Key(id) = who {
        let key = db.api_keys().await?.into_iter().find(|key| key.id.to_string() == *id);
        if let Some(key) = key {
            return Err(AdminError::KeyOwnerGone { id: id.clone(), name: key.account_name });
        }
    }
    Err(unknown(who, &service.accounts))
}

fn unknown<'a>(who: &Caller, sources: impl IntoIterator<Item = &'a AccountSource>) -> AdminError {
    match who {
        Caller::Robot(name) => AdminError::UnknownRobot { name: name.clone() },
        Caller::Key(id) => AdminError::UnknownKey { id: id.clone() },
        Caller::Anonymous | Caller::Account(_) => AdminError::UnknownAccount {
            name: who.to_string(),
            sources: sources.into_iter().map(|source| source.name().to_string()).collect(),
        },
    }
}

/// What keeps an account from getting any token.
pub(super) async fn obstacle(
    chain: &AuthenticatorChain,
    account: &Account,
    now: SystemTime,
) -> Result<Option<String>, AdminError> {
    if account.kind == AccountKind::ApiKey && account.valid_until.is_some_and(|end| end <= now) {
        return Ok(Some("the API key has expired: it gets no token".to_owned()));
    }
    if let Some(shadowed) = chain.shadow(account, now).await? {
        return Ok(Some(format!("`{}` gets no token: {shadowed}", account.name)));
    }
    let obstacle = chain.obstacle(account, now).await?;
    Ok(obstacle.map(|why| format!("`{}` gets no token: {why}", account.name)))
}

/// An account that nobody was asked about.
pub(crate) fn account(
    source: SourceName,
    name: AccountName,
    kind: AccountKind,
    profile: &Profile,
) -> Account {
    Account {
        source,
        id: AccountId::new(name.as_str()),
        version: CredentialVersion::new(""),
        name,
        groups: profile.groups.clone(),
        labels: profile.labels.clone(),
        kind,
        ceiling: None,
        valid_until: None,
    }
}

/// The sources of accounts, for looking names up: no password is checked here.
pub(super) async fn lookup_chain(
    service: &TokenService,
    db: &Db,
    random: &Arc<dyn Random>,
    clock: &dyn Clock,
) -> Result<AuthenticatorChain, HtpasswdError> {
    let mut key = [0; 32];
    random.fill(&mut key);
    let pool = HashPool::new(PoolSettings::for_cores(NonZeroUsize::MIN));
    let cache = CredentialCache::new(key, NonZeroUsize::MIN, Duration::ZERO);
    let check = PasswordCheck::new(pool, Arc::new(cache));
    account_sources(service, db, &check, clock, random).await
}
