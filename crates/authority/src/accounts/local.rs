//! Accounts in our own database.

mod upgrade;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use portpass_password::{
    Formats, PasswordCheck, PasswordHash, Verdict,
    cost::{Argon2Params, Cost},
    pool::SourceCosts,
};
use portpass_state::{self as state, AccountStatus, Db, StateError};
use portpass_token::Random;
use secrecy::ExposeSecret as _;
use tracing::Instrument as _;

use self::upgrade::{HashUpgrades, OutdatedHash};
use super::{
    Authenticator, Circumstances, Outcome, Unavailable,
    watched::{Table, Watched, issue_time},
};
use crate::subject::{
    Account, AccountId, AccountKind, AccountName, CredentialVersion, Labels, Login, SourceName,
};

/// Accounts in our own database, which other processes may change while we run.
///
/// All of them are held in memory, and looked at once more before a login is refused. So a login that
/// succeeds asks the database nothing about its own account, and whoever was disabled a second ago is, also
/// where the password was proved before.
#[derive(Debug)]
pub struct LocalAccounts {
    source: SourceName,
    passwords: PasswordCheck,
    accounts: Watched<AccountTable>,
    upgrades: Option<Arc<HashUpgrades>>,
}

#[derive(Debug)]
struct AccountTable {
    source: SourceName,
    db: Db,
    costs: SourceCosts,
}

/// All accounts.
#[derive(Debug, Default)]
struct Accounts {
    by_name: HashMap<AccountName, Arc<Local>>,
    by_id: HashMap<AccountId, Arc<Local>>,
}

#[derive(Debug)]
struct Local {
    account: Account,
    status: AccountStatus,
    /// From when on its tokens count.
    tokens_from: Option<SystemTime>,
    /// `None`: there is no password, or a hash that we cannot read; nobody logs in.
    hash: Option<Arc<PasswordHash>>,
    row: state::AccountId,
    /// Whether the hash is being replaced, or was since the account was read.
    is_upgraded: AtomicBool,
}

impl LocalAccounts {
    /// Reads nothing yet: a database that is away is [`Unavailable`], each time.
    pub fn new(db: Db, passwords: PasswordCheck) -> Self {
        let costs = passwords.pool().source();
        // Also while there is no account: what refusals cost must not tell.
        costs.set([OURS]);
        let source = SourceName::local();
        let table = AccountTable { source: source.clone(), db, costs };
        let accounts = Watched::new(source.clone(), table);
        Self { source, passwords, accounts, upgrades: None }
    }

    /// The same, and a right password that is stored as an older or weaker hash is hashed again, in the background. The
    /// salt comes from `random`.
    #[must_use]
    pub fn with_upgrades(self, random: Arc<dyn Random>) -> Self {
        let (db, pool) = (self.accounts.table().db.clone(), self.passwords.pool().clone());
        Self { upgrades: Some(Arc::new(HashUpgrades::new(db, pool, random))), ..self }
    }

    /// By these accounts alone.
    async fn decide(
        &self,
        accounts: &Accounts,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Outcome, Unavailable> {
        let Some(local) = accounts.by_name.get(&login.account) else { return Ok(Outcome::Unknown) };
        let credentials = login.credentials(self.source.as_str(), at.queue_class);
        let verdict = match local.stored(login) {
            Some(stored) => self.passwords.check(credentials, stored, at.now).await?,
            None => Verdict::Reject(self.passwords.refuse(credentials, at.now).await?),
        };
        Ok(match verdict {
            Verdict::Accept => {
                self.upgrade(local, login, at.now);
                Outcome::Authenticated(local.account.clone())
            }
            Verdict::Reject(paid) => Outcome::Rejected(paid.into()),
        })
    }

    /// Begins to replace the hash of a password that was right, if new ones are hashed with more. One login of all that
    /// come meanwhile does so, and nobody waits for it.
    fn upgrade(&self, local: &Arc<Local>, login: &Login, now: SystemTime) {
        let (Some(upgrades), Some(stored)) = (&self.upgrades, &local.hash) else { return };
        if !stored.is_outdated() || local.is_upgraded.swap(true, Ordering::AcqRel) {
            return;
        }
        let outdated = OutdatedHash {
            id: local.row,
            name: local.account.name.clone(),
            stored: Arc::clone(stored),
            password: login.password.clone(),
        };
        let (upgrades, local) = (Arc::clone(upgrades), Arc::clone(local));
        let work = async move {
            if let Err(error) = upgrades.replace(outdated, now).await {
                local.is_upgraded.store(false, Ordering::Release);
                let account = &local.account.name;
                tracing::warn!(%account, %error, "the older hash of a password stays until the next login");
            }
        };
        tokio::spawn(work.in_current_span());
    }
}

#[async_trait]
impl Table for AccountTable {
    type Rows = Accounts;

    async fn version(&self) -> Result<u64, StateError> {
        self.db.accounts_version().await
    }

    async fn read(&self) -> Result<Accounts, StateError> {
        let mut accounts = Accounts::default();
        for row in self.db.accounts().await? {
            accounts.add(&self.source, &row);
        }
        let hashes = accounts.by_id.values().filter_map(|local| local.hash.as_ref());
        self.costs.set(hashes.map(|hash| hash.cost()).chain([OURS]));
        Ok(accounts)
    }
}

#[async_trait]
impl Authenticator for LocalAccounts {
    fn source(&self) -> &SourceName {
        &self.source
    }

    async fn authenticate(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Outcome, Unavailable> {
        let accounts = self.accounts.recent(at.now).await?;
        let decided = self.decide(&accounts, login, at).await;
        if matches!(decided, Ok(Outcome::Authenticated(_))) {
            return decided;
        }
        // Nobody is refused for what was set right a moment ago. Who finds no room for hashing waits for this
        // too: that takes as long for a name that nobody has. A second decision takes time again, so it is made
        // only where this account has changed, not where others have.
        let latest = self.accounts.latest(at.now).await?;
        if latest.state(&login.account) == accounts.state(&login.account) {
            return decided;
        }
        self.decide(&latest, login, at).await
    }

    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        let accounts = self.accounts.recent(now).await?;
        let local = accounts.by_id.get(id).filter(|local| local.status == AccountStatus::Enabled);
        Ok(local.map(|local| local.account.clone()))
    }

    async fn by_name(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let accounts = self.accounts.recent(now).await?;
        Ok(accounts.by_name.get(name).map(|local| local.account.clone()))
    }

    /// [`issue_time`] has the reasons.
    fn issue_time(&self, account: &Account, now: SystemTime) -> SystemTime {
        let seen = self.accounts.seen();
        let known = seen.as_ref().and_then(|accounts| accounts.by_id.get(&account.id));
        let same = known.filter(|known| known.account.version == account.version);
        issue_time(same.and_then(|known| known.tokens_from), now)
    }

    async fn obstacle(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<String>, Unavailable> {
        let accounts = self.accounts.recent(now).await?;
        let local = accounts.by_name.get(name);
        let disabled = local.is_some_and(|local| local.status != AccountStatus::Enabled);
        Ok(disabled.then(|| "the account is disabled".to_owned()))
    }

    /// Keeps nothing: whoever is added right after the start can log in at once.
    async fn names(&self, _: SystemTime) -> Result<Vec<AccountName>, Unavailable> {
        let accounts = self.accounts.look().await?;
        Ok(accounts.by_name.keys().cloned().collect())
    }

    fn names_all(&self) -> bool {
        true
    }
}

impl Accounts {
    /// What a change of the account changes here.
    fn state(&self, name: &AccountName) -> Option<(&Account, AccountStatus)> {
        self.by_name.get(name).map(|local| (&local.account, local.status))
    }

    fn add(&mut self, source: &SourceName, row: &state::Account) {
        let name: AccountName = match row.name.parse() {
            Ok(name) => name,
            Err(error) => {
                return tracing::warn!(id = %row.id, %error, "a local account is left out");
            }
        };
        let hash = row.password_hash.as_ref().and_then(|text| {
            let hash = PasswordHash::parse(text.expose_secret(), Formats::Current);
            hash.inspect_err(
                |error| tracing::error!(account = %name, %error, "a local account cannot log in"),
            )
            .ok()
        });
        let groups = row.groups.iter().filter_map(|group| group.parse().ok()).collect();
        let account = Account {
            source: source.clone(),
            id: AccountId::new(row.id.to_string()),
            version: CredentialVersion::new(row.credential_version.to_string()),
            name: name.clone(),
            groups,
            labels: Labels::default(),
            kind: AccountKind::Person,
            ceiling: None,
            valid_until: None,
        };
        let id = account.id.clone();
        let (status, tokens_from, hash) = (row.status, row.tokens_from, hash.map(Arc::new));
        let is_upgraded = AtomicBool::new(false);
        let local =
            Arc::new(Local { account, status, tokens_from, hash, row: row.id, is_upgraded });
        self.by_name.insert(name, Arc::clone(&local));
        self.by_id.insert(id, local);
    }
}

impl Local {
    /// What the password is compared with, if it can be right at all.
    fn stored(&self, login: &Login) -> Option<&Arc<PasswordHash>> {
        let possible =
            self.status == AccountStatus::Enabled && !login.password.expose_secret().is_empty();
        self.hash.as_ref().filter(|_| possible)
    }
}

/// What new local passwords are hashed with.
const OURS: Cost = Cost::Argon2id(Argon2Params::DEFAULT);

#[cfg(test)]
mod tests;
