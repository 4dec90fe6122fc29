//! The rules of a configuration, and what is known of the accounts that they are about.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_authority::{
    accounts::{AuthenticatorChain, ListedKey, Listing},
    policy::{Policy, RuleSet},
    subject::{
        Account, AccountId, AccountKind, AccountName, CredentialVersion, SourceName, Subject,
    },
};
use portpass_config::{Config, Environment, Profile, Sources, TokenService};
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
    chain: Option<AuthenticatorChain>,
    clock: Arc<dyn Clock>,
}

impl Rulebook {
    /// Reads what `sources` and `environment` name; makes nothing.
    pub async fn open(sources: &Sources, environment: &Environment) -> Result<Self, AdminError> {
        let (sources, environment) = (sources.clone(), environment.clone());
        let config = blocking(move || Config::load(&sources, &environment)).await?;
        let service = config.token_service.as_ref().ok_or(AdminError::NoTokenService)?;
        let (clock, path) = (Arc::new(SystemClock), config.database());
        let chain = match path.try_exists() {
            Ok(true) => {
                let db = Db::open(&path).await?;
                let random: Arc<dyn Random> = Arc::new(SystemRandom);
                Some(lookup_chain(service, &db, &random, &*clock).await?)
            }
            Ok(false) => None,
            Err(source) => return Err(AdminError::Inaccessible { path, source }),
        };
        Ok(Self { config, chain, clock })
    }

    /// What of the configuration should be seen.
    pub fn warnings(&self) -> &[String] {
        &self.config.warnings
    }

    /// Whether there are accounts to look up.
    pub fn is_installed(&self) -> bool {
        self.chain.is_some()
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

    /// Who that is; with a profile, no source is asked.
    pub(super) async fn subject(
        &self,
        who: &Caller,
        profile: Option<&Profile>,
    ) -> Result<Subject, AdminError> {
        match (who, profile) {
            (Caller::Anonymous, _) => Ok(Subject::Anonymous),
            (_, Some(profile)) => {
                let source =
                    self.service()?.accounts.first().map(portpass_config::AccountSource::name);
                let account = made_up(who, source.unwrap_or_else(SourceName::local), profile)?;
                Ok(self.service()?.groups.join(account).into())
            }
            (Caller::Account(_) | Caller::Robot(_) | Caller::Key(_), None) => {
                let account = match &self.chain {
                    Some(chain) => find(chain, who, self.now()).await?,
                    None => None,
                };
                let account = account.ok_or_else(|| self.unknown(who))?;
                Ok(account.into())
            }
        }
    }

    fn unknown(&self, who: &Caller) -> AdminError {
        let sources = self.config.token_service.iter().flat_map(|service| &service.accounts);
        AdminError::UnknownAccount {
            name: who.to_string(),
            sources: sources.map(|source| source.name().to_string()).collect(),
        }
    }

    /// The accounts of every source, but for those whose name a source before it has: no login reaches them.
    pub(super) async fn listings(&self) -> Vec<Listing> {
        match &self.chain {
            Some(chain) => chain.list(self.now()).await,
            None => Vec::new(),
        }
    }

    /// The API keys of all persons who can log in.
    pub(super) async fn keys(&self) -> Result<Vec<ListedKey>, AdminError> {
        match &self.chain {
            Some(chain) => Ok(chain.list_keys(self.now()).await?),
            None => Ok(Vec::new()),
        }
    }

    pub(super) async fn squatters(&self, rules: &RuleSet) -> Vec<String> {
        match &self.chain {
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

/// An account that no source need know.
fn made_up(who: &Caller, first: SourceName, profile: &Profile) -> Result<Account, AdminError> {
    let name = who.account_names().into_iter().next();
    let name =
        name.ok_or_else(|| AdminError::UnknownAccount { name: who.to_string(), sources: vec![] })?;
    let kind = match who {
        Caller::Robot(_) => AccountKind::Robot,
        Caller::Key(_) => AccountKind::ApiKey,
        Caller::Anonymous | Caller::Account(_) => AccountKind::Person,
    };
    Ok(account(who.source().unwrap_or(first), name, kind, profile))
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
