//! API keys: secrets of a person's account, of whatever source, with limits of their own.

use std::time::SystemTime;

use crate::{
    AccountKey, AuditRecord, Change, Db, KeyId, Permission, SecretEnd, StateError, TokenHash,
    permission::commit,
    sql::{Row, sql},
    writer::Write,
};

/// An API key, of which only the hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Which key; no secret.
    pub id: KeyId,
    /// Of the text.
    pub hash: TokenHash,
    /// Whose it is.
    pub account: AccountKey,
    /// The account's name when the key was made, for lists.
    pub account_name: String,
    /// What it is for.
    pub description: String,
    /// The most that it reaches of what its account may.
    pub permission: Permission,
    /// When it ends; absent: with its account.
    pub expires_at: Option<SystemTime>,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it was used last, if it ever was.
    pub used_at: Option<SystemTime>,
}

/// An API key to be kept.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Fresh.
    pub id: KeyId,
    /// Of the text that its owner gets.
    pub hash: TokenHash,
    /// Whose it is.
    pub account: AccountKey,
    /// As in [`ApiKey::account_name`].
    pub account_name: String,
    /// As in [`ApiKey::description`].
    pub description: String,
    /// As in [`ApiKey::permission`].
    pub permission: Permission,
    /// As in [`ApiKey::expires_at`].
    pub expires_at: Option<SystemTime>,
}

impl Db {
    /// Keeps a key. Whether its account exists is the caller's to know.
    pub async fn add_api_key(
        &self,
        key: &NewApiKey,
        audit: &AuditRecord,
    ) -> Result<(), StateError> {
        let mut write = self.write().await?;
        let statement =
            sql("INSERT INTO api_key (id, hash, source, account, account_name, description,
                 permission, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(key.id)
            .bind(&key.hash)
            .bind(key.account.source.as_str())
            .bind(key.account.id.as_str())
            .bind(key.account_name.as_str())
            .bind(key.description.as_str())
            .bind(key.permission.to_json())
            .bind(key.expires_at)
            .bind(audit.at);
        write.run(statement).await?;
        commit(write, audit).await
    }

    /// All keys, in the order in which they were made.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StateError> {
        let statement = sql("SELECT * FROM api_key ORDER BY created_at, id");
        self.read().all(statement).await?.iter().map(ApiKey::read).collect()
    }

    /// Removes a key. `Unknown` if there is none.
    pub async fn revoke_api_key(
        &self,
        id: KeyId,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        if end(id, SecretEnd::KeyRevoked, audit.at, &mut write).await? == 0 {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        }
        commit(write, audit).await?;
        Ok(Change::Done)
    }
}

/// Removes the keys of one account within the transaction that removes the account.
pub(crate) async fn remove_keys_of(
    account: &AccountKey,
    at: SystemTime,
    write: &mut Write,
) -> Result<u64, StateError> {
    let statement = sql("SELECT id FROM api_key WHERE source = $1 AND account = $2");
    let statement = statement.bind(account.source.as_str()).bind(account.id.as_str());
    let mut removed = 0;
    for row in write.all(statement).await? {
        let id = KeyId::read("id", &row.bytes("id")?)?;
        removed += end(id, SecretEnd::AccountRemoved, at, write).await?;
    }
    Ok(removed)
}

/// Removes a key, and keeps in mind that its secret was one; says how many there were.
async fn end(
    id: KeyId,
    why: SecretEnd,
    at: SystemTime,
    write: &mut Write,
) -> Result<u64, StateError> {
    let statement =
        sql("INSERT INTO ended_secret (hash, owner, why, ended_at) SELECT hash, $2, $3, $4
         FROM api_key WHERE id = $1 ON CONFLICT (hash) DO NOTHING");
    let statement = statement.bind(id).bind(id.to_string()).bind(why.as_str()).bind(at);
    write.run(statement).await?;
    write.run(sql("DELETE FROM api_key WHERE id = $1").bind(id)).await
}

impl ApiKey {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            id: KeyId::read("id", &row.bytes("id")?)?,
            hash: TokenHash::read(row)?,
            account: AccountKey::read(row)?,
            account_name: row.text("account_name")?,
            description: row.text("description")?,
            permission: Permission::read(row)?,
            expires_at: row.optional_time("expires_at")?,
            created_at: row.time("created_at")?,
            used_at: row.optional_time("used_at")?,
        })
    }
}
