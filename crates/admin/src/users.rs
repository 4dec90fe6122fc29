//! Accounts of the database.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    path::PathBuf,
    time::SystemTime,
};

use portpass_authority::{
    accounts::{ListedAccount, Listing, Namesake},
    audit::Action,
    policy::RuleSet,
    subject::{Account, AccountName, Group, ROBOT_PREFIX, SourceName},
};
use portpass_config::{AccountSource, Part, TokenService};
use portpass_password::PasswordHash;
use portpass_protocol::RepositoryName;
use portpass_state::{
    AccountId, AccountKey, AccountStatus, Addition, Change, GroupChange, NewAccount,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{AdminError, Installation, serialize_optional_time, serialize_time};
use crate::{
    account_key::account_key,
    blocking,
    first_start::{ADMIN, remove_initial_password},
};

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Letters and digits of any script and `._@+-`.
    pub name: String,
    /// As long as `token_service.passwords.min_length` says.
    pub password: SecretString,
    /// What rules for `group:…` look at.
    pub groups: Vec<String>,
}

/// An account of a person, of the database or of another source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// What its owner types.
    pub name: String,
    /// Where it comes from.
    pub source: String,
    /// In order.
    pub groups: Vec<String>,
    /// Whether it may be used.
    #[serde(flatten)]
    pub status: UserStatus,
    /// When it was made; of other sources than the database nobody knows.
    #[serde(serialize_with = "serialize_optional_time")]
    pub created_at: Option<SystemTime>,
    /// When it last got a token, if it ever did; some seconds behind.
    #[serde(serialize_with = "serialize_optional_time")]
    pub used_at: Option<SystemTime>,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum UserStatus {
    /// It may.
    Enabled,
    /// It may not.
    Disabled {
        /// Since when.
        #[serde(rename = "disabled_at", serialize_with = "serialize_time")]
        since: SystemTime,
    },
    /// Its source knows it and lets nobody in, as where a hash is of no accepted form.
    Unusable,
}

impl User {
    fn new(
        account: &Account,
        status: UserStatus,
        last_uses: &HashMap<AccountKey, SystemTime>,
    ) -> Self {
        Self {
            name: account.name.to_string(),
            source: account.source.to_string(),
            groups: account.groups.iter().map(ToString::to_string).collect(),
            status,
            created_at: None,
            used_at: last_uses.get(&account_key(account)).copied(),
        }
    }
}

impl From<AccountStatus> for UserStatus {
    fn from(status: AccountStatus) -> Self {
        match status {
            AccountStatus::Enabled => Self::Enabled,
            AccountStatus::Disabled { since } => Self::Disabled { since },
        }
    }
}

/// What may not be as it was meant when an account is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountDoubt {
    /// The rules give it less than they seem to.
    UnusableNamespace {
        /// The account.
        name: AccountName,
        /// What they name for it.
        namespace: String,
    },
    /// Another source has an account of the name.
    Namesake {
        /// The account.
        name: AccountName,
        /// Which source.
        other: Namesake,
    },
}

impl fmt::Display for AccountDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnusableNamespace { name, namespace } => write!(
                f,
                "the rules give `{name}` the repositories below `{namespace}/`, but there can be none: their names are \
                 lower-case letters and digits, joined by `.`, `_`, `__` or dashes"
            ),
            Self::Namesake { name, other: Namesake { source, is_first: true } } => write!(
                f,
                "`{source}` is asked first and has the name `{name}`: nobody logs in to the new account; rename one of both"
            ),
            Self::Namesake { name, other: Namesake { source, is_first: false } } => write!(
                f,
                "`{source}` has the name `{name}` too: its account gets no token any more, whether by password, API key, \
                 session or workload token, and `{name}/` is the new account's; rename one of both"
            ),
        }
    }
}

impl Installation {
    /// Fails for a name or group that can be no account's, before anybody is asked for a password.
    pub async fn check_new_user(&self, name: &str, groups: &[String]) -> Result<(), AdminError> {
        let parsed = account_name(name)?;
        if name.starts_with(ROBOT_PREFIX) {
            return Err(AdminError::ReservedForRobots { name: name.to_owned() });
        }
        // They may reserve the name.
        self.config.require(Part::Accounts)?;
        self.config.require(Part::Rules)?;
        let rules = self.local_accounts()?.policy.rules();
        if let Some(rule) = rules.and_then(|rules| rules.reserves(&parsed)) {
            return Err(AdminError::Reserved { name: name.to_owned(), rule: rule.to_string() });
        }
        self::groups(groups.to_vec())?;
        match self.db.account(name).await? {
            None => Ok(()),
            Some(_) => Err(AdminError::AccountExists { name: name.to_owned() }),
        }
    }

    /// Makes an account. What may not be as it was meant is told.
    pub async fn add_user(&self, user: NewUser) -> Result<Vec<AccountDoubt>, AdminError> {
        self.check_new_user(&user.name, &user.groups).await?;
        let service = self.local_accounts()?;
        service.min_password_length.check(&user.password)?;
        let name = account_name(&user.name)?;
        let account = NewAccount {
            id: AccountId::from_random(self.random_id()),
            name: name.as_str().to_owned(),
            password_hash: Some(self.hash(user.password).await?),
            groups: groups(user.groups)?,
        };
        match self
            .db
            .add_account(&account, &self.record(Action::AccountAdded, name.as_str()))
            .await?
        {
            Addition::Added => self.doubts(service, name).await,
            Addition::Exists => Err(AdminError::AccountExists { name: user.name }),
        }
    }

    async fn doubts(
        &self,
        service: &TokenService,
        name: AccountName,
    ) -> Result<Vec<AccountDoubt>, AdminError> {
        let chain = self.chain(service).await?;
        let namesakes = chain.namesakes(&SourceName::local(), &name, self.now()).await;
        let namesake = |other| AccountDoubt::Namesake { name: name.clone(), other };
        let mut doubts: Vec<AccountDoubt> = namesakes.into_iter().map(namesake).collect();
        doubts.extend(service.policy.rules().and_then(|rules| unusable_namespace(rules, name)));
        Ok(doubts)
    }

    /// The accounts of all sources that can name theirs, by name, those of the database first. Where another source has
    /// the name of an account that is asked for before it, no login reaches it, and it is left out.
    pub async fn users(&self) -> Result<Vec<User>, AdminError> {
        let service = self.token_service()?;
        let last_uses = self.db.account_uses().await?;
        let is_asked = service.accounts.contains(&AccountSource::Local);
        let rows = if is_asked { self.db.accounts().await? } else { Vec::new() };
        let chain = self.chain(service).await?;
        let mut users = Vec::new();
        for row in rows {
            let name = row.name.parse();
            // What could not be made here has no account.
            let Ok(name) = name else { continue };
            let local = Some(AccountKey::LOCAL);
            let Some(account) = chain.by_name(local, &name, self.now()).await? else { continue };
            let mut user = User::new(&account, row.status.into(), &last_uses);
            user.created_at = Some(row.created_at);
            users.push(user);
        }
        let elsewhere = |listing: &Listing| {
            ![SourceName::local(), SourceName::robot()].contains(&listing.source)
        };
        for listing in chain.list(self.now()).await.into_iter().filter(elsewhere) {
            for ListedAccount { account, is_disabled } in listing.accounts? {
                let status = if is_disabled { UserStatus::Unusable } else { UserStatus::Enabled };
                users.push(User::new(&account, status, &last_uses));
            }
        }
        Ok(users)
    }

    /// Puts an account of the database into groups and takes it out of others; all groups that it is in then.
    pub async fn change_groups(
        &self,
        name: &str,
        add: &[String],
        remove: &[String],
    ) -> Result<Vec<String>, AdminError> {
        let service = self.local_accounts()?;
        let (add, remove) = (groups(add.to_vec())?, groups(remove.to_vec())?);
        if let Some(group) = add.intersection(&remove).next() {
            return Err(AdminError::BothWays { group: group.clone() });
        }
        // Until nobody else has changed them meanwhile.
        while !self.try_change_groups(service, name, &add, &remove).await? {}
        self.all_groups(service, name).await
    }

    /// Whether it was done, and not undone by somebody who was faster.
    async fn try_change_groups(
        &self,
        service: &TokenService,
        name: &str,
        add: &BTreeSet<String>,
        remove: &BTreeSet<String>,
    ) -> Result<bool, AdminError> {
        let before = self.db.account(name).await?.ok_or_else(|| unknown(name))?.groups;
        if let Some(group) = remove.iter().find(|group| !before.contains(*group)) {
            let (name, group) = (name.to_owned(), group.clone());
            return Err(if self.all_groups(service, &name).await?.contains(&group) {
                AdminError::ConfiguredGroup { name, group }
            } else {
                AdminError::NotInGroup { name, group }
            });
        }
        let after: BTreeSet<String> = (&before | add).difference(remove).cloned().collect();
        if after == before {
            return Ok(true);
        }
        let mut record = self.record(Action::GroupsChanged, name);
        record.detail["groups"] = serde_json::json!(after);
        match self.db.replace_groups(name, &before, &after, &record).await? {
            GroupChange::Done => Ok(true),
            GroupChange::Outdated => Ok(false),
            GroupChange::Unknown => Err(unknown(name)),
        }
    }

    /// The groups of an account of the database, those of the configuration too.
    async fn all_groups(
        &self,
        service: &TokenService,
        name: &str,
    ) -> Result<Vec<String>, AdminError> {
        let (chain, local) = (self.chain(service).await?, Some(AccountKey::LOCAL));
        let account = chain.by_name(local, &account_name(name)?, self.now()).await?;
        let groups = account.map(|account| account.groups).unwrap_or_default();
        Ok(groups.iter().map(ToString::to_string).collect())
    }

    /// Sets a password. The account's tokens end with it. The file with the first
    /// password of `admin` is removed when that counts no more; its path is told.
    pub async fn set_password(
        &self,
        name: &str,
        password: SecretString,
    ) -> Result<Option<PathBuf>, AdminError> {
        self.check_user_exists(name).await?;
        self.local_accounts()?.min_password_length.check(&password)?;
        let hash = self.hash(password).await?;
        let record = self.record(Action::PasswordChanged, name);
        known(name, self.db.set_password(name, &hash, &record).await?)?;
        if name != ADMIN {
            return Ok(None);
        }
        let data = self.config.data.clone();
        blocking(move || {
            remove_initial_password(&data)
                .map_err(|source| AdminError::StalePasswordFile { path: data, source })
        })
        .await
    }

    /// Lets an account log in again. What was revoked stays revoked.
    pub async fn enable_user(&self, name: &str) -> Result<(), AdminError> {
        self.local_accounts()?;
        let record = self.record(Action::AccountEnabled, name);
        let change = self.db.set_account_status(name, AccountStatus::Enabled, &record).await?;
        known(name, change)
    }

    /// Keeps an account from logging in, and ends its tokens.
    pub async fn disable_user(&self, name: &str) -> Result<(), AdminError> {
        self.local_accounts()?;
        let status = AccountStatus::Disabled { since: self.now() };
        let record = self.record(Action::AccountDisabled, name);
        known(name, self.db.set_account_status(name, status, &record).await?)
    }

    /// Removes an account, and ends its tokens.
    pub async fn remove_user(&self, name: &str) -> Result<(), AdminError> {
        self.local_accounts()?;
        known(name, self.db.remove_account(name, &self.record(Action::AccountRemoved, name)).await?)
    }

    /// Fails for an account that does not exist, before anybody is asked for its password.
    pub async fn check_user_exists(&self, name: &str) -> Result<(), AdminError> {
        self.local_accounts()?;
        let there = self.db.account(name).await?;
        there.map(drop).ok_or_else(|| unknown(name))
    }

    /// The token service, if it asks the accounts of the database.
    fn local_accounts(&self) -> Result<&TokenService, AdminError> {
        let service = self.token_service()?;
        if service.accounts.contains(&AccountSource::Local) {
            Ok(service)
        } else {
            Err(AdminError::NoLocalAccounts)
        }
    }

    async fn hash(&self, password: SecretString) -> Result<SecretString, AdminError> {
        let salt = self.random_id();
        blocking(move || {
            let hash = PasswordHash::argon2id(password.expose_secret().as_bytes(), salt);
            Ok(SecretString::from(hash.expose()))
        })
        .await
    }
}

/// `${account}/**` is nobody's where no repository can be called like the account.
fn unusable_namespace(rules: &RuleSet, name: AccountName) -> Option<AccountDoubt> {
    let lost = |namespace: &String| namespace.parse::<RepositoryName>().is_err();
    let namespace = rules.own_namespaces(&name).find(lost)?;
    Some(AccountDoubt::UnusableNamespace { name, namespace })
}

pub(super) fn account_name(text: &str) -> Result<AccountName, AdminError> {
    text.parse().map_err(|why| AdminError::InvalidName { text: text.to_owned(), why })
}

fn groups(texts: Vec<String>) -> Result<BTreeSet<String>, AdminError> {
    let check = |text: String| match text.parse::<Group>() {
        Ok(_) => Ok(text),
        Err(why) => Err(AdminError::InvalidGroup { text, why }),
    };
    texts.into_iter().map(check).collect()
}

fn known(name: &str, change: Change) -> Result<(), AdminError> {
    match change {
        Change::Done => Ok(()),
        Change::Unknown => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> AdminError {
    AdminError::UnknownAccount { name: name.to_owned(), sources: vec!["local".to_owned()] }
}
