//! Local accounts and their groups.

use std::{collections::BTreeSet, time::SystemTime};

use secrecy::SecretString;

use crate::{AccountId, AuditRecord, Db, StateError};

/// An account of our own.
#[derive(Debug, Clone)]
pub struct Account {
    /// Which account, whatever its name.
    pub id: AccountId,
    /// What its owner types.
    pub name: String,
    /// The password's hash in its own notation (`$argon2id$…`); without one nobody logs in.
    pub password_hash: Option<SecretString>,
    /// Grows with each new password; what was issued for an older one is void.
    pub credential_version: u64,
    /// The groups that rules may name.
    pub groups: BTreeSet<String>,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: SystemTime,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may.
    Enabled,
    /// It may not, until it is enabled again.
    Disabled {
        /// Since when.
        since: SystemTime,
    },
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Fresh.
    pub id: AccountId,
    /// Checked by the caller; compared byte by byte.
    pub name: String,
    /// As in [`Account::password_hash`].
    pub password_hash: Option<SecretString>,
    /// Its groups.
    pub groups: BTreeSet<String>,
}

/// Whether something new came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the name may be taken"]
pub enum Addition {
    /// It was added.
    Added,
    /// There is one of this name; nothing was changed.
    Exists,
}

/// Whether there was something to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "there may be nothing of this name"]
pub enum Change {
    /// It is as it was asked for now.
    Done,
    /// There is nothing of this name; nothing was changed.
    Unknown,
}

impl Db {
    /// Adds an account, enabled.
    pub async fn add_account(
        &self,
        account: &NewAccount,
        audit: &AuditRecord,
    ) -> Result<Addition, StateError> {
        todo!("{account:?} {audit:?}")
    }

    /// The account of this name.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, StateError> {
        todo!("{name}")
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, StateError> {
        todo!()
    }

    /// Counts the changes of all accounts, by any process. Cheap enough to be asked every second;
    /// while it stands still, whatever was read of accounts is still true.
    pub async fn accounts_version(&self) -> Result<u64, StateError> {
        todo!()
    }

    /// Sets the password's hash, raises the credential version and revokes the account's refresh
    /// tokens, in one transaction.
    pub async fn set_password(
        &self,
        name: &str,
        hash: &SecretString,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        todo!("{name} {hash:?} {audit:?}")
    }

    /// Replaces a hash by another of the same password (a better scheme): no version is raised and
    /// nothing revoked. Does nothing if the password was changed since `version` was read.
    pub async fn rehash_password(
        &self,
        id: AccountId,
        version: u64,
        hash: &SecretString,
    ) -> Result<Change, StateError> {
        todo!("{id} {version} {hash:?}")
    }

    /// Enables or disables an account; disabling revokes its refresh tokens in the same transaction.
    pub async fn set_account_status(
        &self,
        name: &str,
        status: AccountStatus,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        todo!("{name} {status:?} {audit:?}")
    }

    /// Replaces an account's groups.
    pub async fn set_groups(
        &self,
        name: &str,
        groups: &BTreeSet<String>,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        todo!("{name} {groups:?} {audit:?}")
    }

    /// Removes an account and revokes its refresh tokens.
    pub async fn remove_account(
        &self,
        name: &str,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        todo!("{name} {audit:?}")
    }
}
