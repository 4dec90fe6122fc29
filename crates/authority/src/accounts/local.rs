//! Accounts in our own database.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_password::{
    Formats, PasswordCheck, PasswordHash, QueueClass, Verdict,
    cost::{Argon2Params, Cost},
    pool::SourceCosts,
};
use portpass_state::{self as state, AccountStatus, Db, StateError};
use secrecy::ExposeSecret as _;
use tokio::sync::{Mutex, watch};

use super::{Authenticator, Outcome, Unavailable};
use crate::subject::{
    Account, AccountId, AccountKind, AccountName, CredentialVersion, Labels, Login, SourceName,
};

/// Accounts in our own database, which other processes may change while we run.
///
/// All of them are held in memory; when somebody asks, and at most once a second, one small query
/// tells whether any has changed; and once more before a login is refused. So a login that succeeds
/// asks the database nothing about its own account, and whoever was disabled a second ago is, also
/// where the password was proved before.
#[derive(Debug)]
pub struct LocalAccounts {
    source: SourceName,
    db: Db,
    passwords: PasswordCheck,
    costs: SourceCosts,
    looks: watch::Sender<Looks>,
    looking: Mutex<()>,
    /// How many looks have begun.
    begun: AtomicU64,
}

/// What the latest looks at the database have brought.
#[derive(Debug, Default)]
struct Looks {
    known: Option<Known>,
    /// The number of a look that failed since, and why.
    failed: Option<(u64, Unavailable)>,
}

/// What is known at one moment.
#[derive(Debug)]
struct Known {
    accounts: Arc<Accounts>,
    looked: SystemTime,
    /// The number of the look that found it.
    look: u64,
}

/// All accounts, as of one version.
#[derive(Debug, Default)]
struct Accounts {
    version: u64,
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
}

impl LocalAccounts {
    /// Reads nothing yet: a database that is away is [`Unavailable`], each time.
    pub fn new(db: Db, passwords: PasswordCheck) -> Self {
        let costs = passwords.pool().source();
        // Also while there is no account: what refusals cost must not tell.
        costs.set([OURS]);
        Self {
            source: SourceName::local(),
            db,
            passwords,
            costs,
            looks: watch::Sender::default(),
            looking: Mutex::new(()),
            begun: AtomicU64::new(0),
        }
    }

    async fn accounts(&self, now: SystemTime) -> Result<Arc<Accounts>, Unavailable> {
        self.known(|known| known.is_fresh(now), now).await
    }

    /// The accounts as a look finds them that begins from now on.
    async fn latest(&self, now: SystemTime) -> Result<Arc<Accounts>, Unavailable> {
        self.known(|_| false, now).await
    }

    /// What is known already if it is `enough`, and what the next look brings otherwise. One looks for all
    /// who wait, and when it is done they go on together: were it one by one, whoever logs in would stand in
    /// line behind all who guess names.
    async fn known(
        &self,
        enough: impl Fn(&Known) -> bool,
        now: SystemTime,
    ) -> Result<Arc<Accounts>, Unavailable> {
        let begun = self.begun.load(Ordering::SeqCst);
        let answer = |looks: &Looks| looks.answer(begun, &enough);
        if let Some(answer) = answer(&self.looks.borrow()) {
            return answer;
        }
        let mut looks = self.looks.subscribe();
        let another =
            async { answer(&*looks.wait_for(|looks| answer(looks).is_some()).await.ok()?) };
        tokio::select! {
            biased;
            Some(answer) = another => answer,
            _turn = self.looking.lock() => {
                let done = answer(&self.looks.borrow());
                match done {
                    Some(answer) => answer,
                    None => self.renew(now).await,
                }
            }
        }
    }

    /// Takes what the database says now. The caller holds the turn.
    async fn renew(&self, now: SystemTime) -> Result<Arc<Accounts>, Unavailable> {
        let look = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let looked = self.look().await.map_err(|error| self.unavailable(&error));
        self.looks.send_modify(|looks| match &looked {
            Ok(accounts) => {
                let known = Known { accounts: Arc::clone(accounts), looked: now, look };
                *looks = Looks { known: Some(known), failed: None };
            }
            Err(error) => looks.failed = Some((look, error.clone())),
        });
        looked
    }

    /// By these accounts alone.
    async fn decide(
        &self,
        accounts: &Accounts,
        login: &Login,
        queue_class: QueueClass,
        now: SystemTime,
    ) -> Result<Outcome, Unavailable> {
        let Some(local) = accounts.by_name.get(&login.account) else { return Ok(Outcome::Unknown) };
        let credentials = login.credentials(self.source.as_str(), queue_class);
        let verdict = match local.stored(login) {
            Some(stored) => self.passwords.check(credentials, stored, now).await?,
            None => Verdict::Reject(self.passwords.refuse(credentials, now).await?),
        };
        Ok(match verdict {
            Verdict::Accept => Outcome::Authenticated(local.account.clone()),
            Verdict::Reject(paid) => Outcome::Rejected(paid.into()),
        })
    }

    fn unavailable(&self, error: &StateError) -> Unavailable {
        Unavailable::Source { source_name: self.source.clone(), reason: error.to_string() }
    }

    /// The version is read first: what is read after it can only be newer than it says.
    async fn look(&self) -> Result<Arc<Accounts>, StateError> {
        let version = self.db.accounts_version().await?;
        if let Some(Known { accounts, .. }) = &self.looks.borrow().known
            && accounts.version == version
        {
            return Ok(Arc::clone(accounts));
        }
        let mut accounts = Accounts { version, ..Accounts::default() };
        for row in self.db.accounts().await? {
            accounts.add(&self.source, &row);
        }
        let hashes = accounts.by_id.values().filter_map(|local| local.hash.as_ref());
        self.costs.set(hashes.map(|hash| hash.cost()).chain([OURS]));
        Ok(Arc::new(accounts))
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
        queue_class: QueueClass,
        now: SystemTime,
    ) -> Result<Outcome, Unavailable> {
        let accounts = self.accounts(now).await?;
        let decided = self.decide(&accounts, login, queue_class, now).await;
        if matches!(decided, Ok(Outcome::Authenticated(_))) {
            return decided;
        }
        // Nobody is refused for what was set right a moment ago. Who finds no room for hashing waits for this
        // too: that takes as long for a name that nobody has. A second decision takes time again, so it is made
        // only where this account has changed, not where others have.
        let latest = self.latest(now).await?;
        if latest.state(&login.account) == accounts.state(&login.account) {
            return decided;
        }
        self.decide(&latest, login, queue_class, now).await
    }

    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        let accounts = self.accounts(now).await?;
        let local = accounts.by_id.get(id).filter(|local| local.status == AccountStatus::Enabled);
        Ok(local.map(|local| local.account.clone()))
    }

    async fn by_name(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let accounts = self.accounts(now).await?;
        Ok(accounts.by_name.get(name).map(|local| local.account.clone()))
    }

    /// What an account was found to be may be [`LOOK_EVERY`] old, and whatever changed it may have come into
    /// force [`WRITTEN_WITHIN`] after its time. So a token for an account that is given up, or is about to be,
    /// is said to be that much older, and ends with those from before the change. One for an account that
    /// has been through the change counts from then on, without waiting for that time to pass.
    fn issue_time(&self, account: &Account, now: SystemTime) -> SystemTime {
        let earliest = now - LOOK_EVERY - WRITTEN_WITHIN;
        let looks = self.looks.borrow();
        let known = looks.known.as_ref().and_then(|known| known.accounts.by_id.get(&account.id));
        let same = known.filter(|known| known.account.version == account.version);
        same.and_then(|known| known.tokens_from).map_or(earliest, |from| from.max(earliest))
    }

    /// Keeps nothing: whoever is added right after the start can log in at once.
    async fn names(&self, _: SystemTime) -> Result<Vec<AccountName>, Unavailable> {
        let accounts = self.look().await.map_err(|error| self.unavailable(&error))?;
        Ok(accounts.by_name.keys().cloned().collect())
    }

    fn names_all(&self) -> bool {
        true
    }
}

impl Looks {
    /// For who came when so many looks had begun.
    fn answer(
        &self,
        begun: u64,
        enough: impl Fn(&Known) -> bool,
    ) -> Option<Result<Arc<Accounts>, Unavailable>> {
        let known = self.known.as_ref().filter(|known| known.look > begun || enough(known));
        let failed = self.failed.as_ref().filter(|(look, _)| *look > begun);
        match (known, failed) {
            (Some(known), _) => Some(Ok(Arc::clone(&known.accounts))),
            (None, Some((_, error))) => Some(Err(error.clone())),
            (None, None) => None,
        }
    }
}

impl Known {
    /// Requests bring their own `now`, so one may be a little earlier than the last look.
    fn is_fresh(&self, now: SystemTime) -> bool {
        let age = match now.duration_since(self.looked) {
            Ok(age) => age,
            Err(earlier) => earlier.duration(),
        };
        age < LOOK_EVERY
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
        let local = Arc::new(Local { account, status, tokens_from, hash });
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
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A change waits five seconds for the database, and then for the disk.
const WRITTEN_WITHIN: Duration = Duration::from_secs(9);

#[cfg(test)]
mod tests;
