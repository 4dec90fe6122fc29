//! Local accounts and their groups.

use std::{collections::BTreeSet, time::SystemTime};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    AccountId, AccountKey, AuditRecord, Change, Db, Revocation, StateError,
    api_key::remove_keys_of,
    last_use::forget_use,
    meta::Counter,
    not_before::end_tokens,
    refresh::revoke_account,
    sql::{Row, sql},
    writer::Write,
};

/// An account of our own.
#[derive(Debug, Clone)]
pub struct Account {
    /// Which account, whatever its name.
    pub id: AccountId,
    /// What its owner types.
    pub name: String,
    /// The password's hash in its own notation (`$argon2id$…`); without one nobody logs in.
    pub password_hash: Option<SecretString>,
    /// Grows with each new password and each time it is disabled; what was issued for an older one is
    /// void.
    pub credential_version: u64,
    /// The groups that rules may name.
    pub groups: BTreeSet<String>,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: SystemTime,
    /// From when on its tokens count, if some from before may not have ended by themselves: a whole second.
    pub tokens_from: Option<SystemTime>,
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

impl Db {
    /// Adds an account, enabled.
    pub async fn add_account(
        &self,
        account: &NewAccount,
        audit: &AuditRecord,
    ) -> Result<Addition, StateError> {
        let mut write = self.write().await?;
        let statement =
            sql("INSERT INTO account (id, name, password_hash, credential_version, created_at)
             VALUES ($1, $2, $3, 1, $4) ON CONFLICT (name) DO NOTHING")
            .bind(account.id)
            .bind(account.name.as_str())
            .bind(account.password_hash.as_ref().map(ExposeSecret::expose_secret))
            .bind(audit.at);
        if write.run(statement).await? == 0 {
            write.roll_back().await?;
            return Ok(Addition::Exists);
        }
        insert_groups(account.id, &account.groups, &mut write).await?;
        commit(write, audit).await?;
        Ok(Addition::Added)
    }

    /// The account of this name.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, StateError> {
        let statement = sql(
            "SELECT a.id, a.name, a.password_hash, a.credential_version, a.disabled_at, a.created_at,
                    g.name AS group_name, n.at AS tokens_from
             FROM account a LEFT JOIN account_group g ON g.account = a.id
             LEFT JOIN not_before n ON n.subject = a.name
             WHERE a.name = $1",
        );
        let rows = self.read().all(statement.bind(name)).await?;
        Ok(read_accounts(&rows)?.into_iter().next())
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, StateError> {
        let statement = sql(
            "SELECT a.id, a.name, a.password_hash, a.credential_version, a.disabled_at, a.created_at,
                    g.name AS group_name, n.at AS tokens_from
             FROM account a LEFT JOIN account_group g ON g.account = a.id
             LEFT JOIN not_before n ON n.subject = a.name
             ORDER BY a.name",
        );
        read_accounts(&self.read().all(statement).await?)
    }

    /// Counts the changes of all accounts, by any process. Cheap enough to be asked every second;
    /// while it stands still, whatever was read of accounts is still true.
    pub async fn accounts_version(&self) -> Result<u64, StateError> {
        Counter::Accounts.read(self.read()).await
    }

    /// Sets the password's hash, raises the credential version and ends the account's tokens, in one
    /// transaction.
    pub async fn set_password(
        &self,
        name: &str,
        hash: &SecretString,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        let statement = sql(
            "UPDATE account SET password_hash = $2, credential_version = credential_version + 1
             WHERE name = $1 RETURNING id",
        );
        let Some(row) = write.first(statement.bind(name).bind(hash.expose_secret())).await? else {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        };
        revoke_local(&row, name, Revocation::PasswordChanged, audit, &mut write).await?;
        commit(write, audit).await?;
        Ok(Change::Done)
    }

    /// Puts another hash of the same password in the place of `old`: nothing that was issued ends.
    /// `Unknown` if the account has another hash by now.
    pub async fn replace_hash(
        &self,
        id: AccountId,
        old: &SecretString,
        new: &SecretString,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        let statement =
            sql("UPDATE account SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
                .bind(id)
                .bind(old.expose_secret())
                .bind(new.expose_secret());
        if write.run(statement).await? == 0 {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        }
        commit(write, audit).await?;
        Ok(Change::Done)
    }

    /// Enables or disables an account; disabling raises the credential version and ends the account's
    /// tokens in the same transaction.
    pub async fn set_account_status(
        &self,
        name: &str,
        status: AccountStatus,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        let statement = match status {
            AccountStatus::Enabled => {
                sql("UPDATE account SET disabled_at = NULL WHERE name = $1 RETURNING id").bind(name)
            }
            AccountStatus::Disabled { since } => {
                sql("UPDATE account SET disabled_at = COALESCE(disabled_at, $2),
                     credential_version = credential_version + 1
                 WHERE name = $1 RETURNING id")
                .bind(name)
                .bind(since)
            }
        };
        let Some(row) = write.first(statement).await? else {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        };
        if let AccountStatus::Disabled { .. } = status {
            revoke_local(&row, name, Revocation::AccountDisabled, audit, &mut write).await?;
        }
        commit(write, audit).await?;
        Ok(Change::Done)
    }

    /// Replaces an account's groups, if they are still those of `before`: another change at the same time is not
    /// lost.
    pub async fn replace_groups(
        &self,
        name: &str,
        before: &BTreeSet<String>,
        groups: &BTreeSet<String>,
        audit: &AuditRecord,
    ) -> Result<GroupChange, StateError> {
        let mut write = self.write().await?;
        let statement = sql("SELECT id FROM account WHERE name = $1");
        let Some(row) = write.first(statement.bind(name)).await? else {
            write.roll_back().await?;
            return Ok(GroupChange::Unknown);
        };
        let id = read_id(&row)?;
        let removed = sql("DELETE FROM account_group WHERE account = $1 RETURNING name").bind(id);
        let removed: Result<BTreeSet<_>, _> =
            write.all(removed).await?.iter().map(|row| row.text("name")).collect();
        if removed? != *before {
            write.roll_back().await?;
            return Ok(GroupChange::Outdated);
        }
        insert_groups(id, groups, &mut write).await?;
        commit(write, audit).await?;
        Ok(GroupChange::Done)
    }

    /// Removes an account with its API keys, and ends its tokens.
    pub async fn remove_account(
        &self,
        name: &str,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        let statement = sql("DELETE FROM account WHERE name = $1 RETURNING id");
        let Some(row) = write.first(statement.bind(name)).await? else {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        };
        revoke_local(&row, name, Revocation::AccountRemoved, audit, &mut write).await?;
        let account = AccountKey::local(read_id(&row)?);
        forget_use(&account, &mut write).await?;
        if remove_keys_of(&account, audit.at, &mut write).await? > 0 {
            Counter::Robots.raise(&mut write).await?;
        }
        commit(write, audit).await?;
        Ok(Change::Done)
    }
}

/// Ends a transaction that changed an account: the record goes with the change, and whoever watches
/// the version learns of it.
async fn commit(mut write: Write, audit: &AuditRecord) -> Result<(), StateError> {
    Counter::Accounts.raise(&mut write).await?;
    audit.append(&mut write).await?;
    write.commit().await
}

/// What became of a change of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the groups may have been changed meanwhile"]
pub enum GroupChange {
    /// The account is in these groups now.
    Done,
    /// It was in other groups than those that the change began with; nothing was changed.
    Outdated,
    /// There is no account of this name.
    Unknown,
}

async fn insert_groups(
    id: AccountId,
    groups: &BTreeSet<String>,
    write: &mut Write,
) -> Result<(), StateError> {
    for group in groups {
        let statement = sql("INSERT INTO account_group (account, name) VALUES ($1, $2)");
        write.run(statement.bind(id).bind(group.as_str())).await?;
    }
    Ok(())
}

/// Revokes the refresh tokens of the local account whose row was changed, and ends its other tokens.
async fn revoke_local(
    row: &Row,
    name: &str,
    why: Revocation,
    audit: &AuditRecord,
    write: &mut Write,
) -> Result<(), StateError> {
    revoke_account(&AccountKey::local(read_id(row)?), why, audit.at, write).await?;
    end_tokens(name, audit.at, write).await
}

/// Rows of one account follow each other, one for each group.
fn read_accounts(rows: &[Row]) -> Result<Vec<Account>, StateError> {
    let mut accounts: Vec<Account> = Vec::new();
    for row in rows {
        let id = read_id(row)?;
        let group = row.optional_text("group_name")?;
        match accounts.last_mut() {
            Some(account) if account.id == id => account.groups.extend(group),
            _ => accounts.push(read_account(row, id, group.into_iter().collect())?),
        }
    }
    Ok(accounts)
}

fn read_account(row: &Row, id: AccountId, groups: BTreeSet<String>) -> Result<Account, StateError> {
    let status = match row.optional_time("disabled_at")? {
        None => AccountStatus::Enabled,
        Some(since) => AccountStatus::Disabled { since },
    };
    Ok(Account {
        id,
        name: row.text("name")?,
        password_hash: row.optional_text("password_hash")?.map(SecretString::from),
        credential_version: row.count("credential_version")?,
        groups,
        status,
        created_at: row.time("created_at")?,
        tokens_from: row.optional_time("tokens_from")?,
    })
}

fn read_id(row: &Row) -> Result<AccountId, StateError> {
    AccountId::read("id", &row.bytes("id")?)
}
