//! Refresh tokens: reusable, never rotated on use, each revocable by itself.

mod limits;

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::SystemTime,
};

use portpass_protocol::AccessSet;

use crate::{
    AccountId, AuditRecord, Change, Db, RefreshId, RobotId, StateError,
    sql::{Row, Statement, Value, sql},
    writer::Write,
};

pub use self::limits::EvictedToken;

/// SHA-256 of the secret of a refresh token, a robot or an API key: all that we keep of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

/// A hash needs no hashing: its first bytes are as good.
impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, ..] = self.0.as_chunks::<8>().0 else { return };
        state.write_u64(u64::from_ne_bytes(*first));
    }
}

impl TokenHash {
    pub(crate) fn read(row: &Row) -> Result<Self, StateError> {
        let bytes = row.bytes("hash")?;
        let hash = bytes.try_into();
        hash.map(Self).map_err(|_| StateError::inconsistent("hash", "it has not 32 bytes"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Whose token it is: an account of one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// The source of accounts, `local` for our own.
    pub source: String,
    /// The account's identifier in that source: stable where the source has one, else its name.
    pub id: String,
}

impl AccountKey {
    /// The source of the accounts in this database.
    pub const LOCAL: &'static str = "local";

    /// The source of the robots in this database.
    pub const ROBOT: &'static str = "robot";

    /// An account in this database.
    pub fn local(id: AccountId) -> Self {
        Self { source: Self::LOCAL.to_owned(), id: id.to_string() }
    }

    /// A robot.
    pub fn robot(id: RobotId) -> Self {
        Self { source: Self::ROBOT.to_owned(), id: id.to_string() }
    }

    pub(crate) fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self { source: row.text("source")?, id: row.text("account")? })
    }
}

/// Accounts as people call them: by the name that they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountNamed<'a> {
    /// Only those of this source; absent: of every one.
    pub source: Option<&'a str>,
    /// The name.
    pub name: &'a str,
}

impl<'a> From<&'a str> for AccountNamed<'a> {
    fn from(name: &'a str) -> Self {
        Self { source: None, name }
    }
}

/// A refresh token to be kept.
#[derive(Debug, Clone)]
pub struct NewRefreshToken {
    /// Fresh.
    pub id: RefreshId,
    /// Of the secret that the client gets.
    pub hash: TokenHash,
    /// Whose it is.
    pub account: AccountKey,
    /// The account's name at this time, for lists.
    pub account_name: String,
    /// The version of the credential it was issued for.
    pub credential_version: String,
    /// The one service it may ask tokens for.
    pub service: String,
    /// The client's name for itself (`client_id`).
    pub client: String,
    /// What it can never reach beyond; absent: whatever the rules allow.
    pub ceiling: Option<AccessSet>,
    /// When it dies, however much it is used.
    pub expires_at: SystemTime,
    /// When it dies if nobody uses it.
    pub idle_until: SystemTime,
}

/// A refresh token's row and its state at the time it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Which token.
    pub id: RefreshId,
    /// Whose it is.
    pub account: AccountKey,
    /// The account's name when it was issued.
    pub account_name: String,
    /// As in [`NewRefreshToken`].
    pub credential_version: String,
    /// The one service it may ask tokens for.
    pub service: String,
    /// The client's name for itself.
    pub client: String,
    /// What it can never reach beyond.
    pub ceiling: Option<AccessSet>,
    /// When it was issued.
    pub created_at: SystemTime,
    /// When it was used last, if it ever was.
    pub used_at: Option<SystemTime>,
    /// What it is good for.
    pub state: RefreshState,
}

/// What a refresh token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshState {
    /// Until then, unless it is used again or revoked.
    Valid {
        /// The earlier of its idle and its absolute end.
        until: SystemTime,
    },
    /// Nothing, and nobody took it back.
    Expired {
        /// Since when.
        at: SystemTime,
    },
    /// Nothing: it was taken back.
    Revoked {
        /// Since when.
        at: SystemTime,
        /// Why.
        why: Revocation,
    },
}

/// Why a refresh token was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The account was disabled.
    AccountDisabled,
    /// The account was removed.
    AccountRemoved,
    /// Newer ones of the same account took its place.
    Crowded,
    /// Its holder logged out.
    LoggedOut,
    /// The account got another password.
    PasswordChanged,
    /// An administrator ended the session.
    SessionRevoked,
}

/// Whether a refresh token was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "there may be no such token"]
pub enum TokenAddition {
    /// It was, and these had to go for it.
    Added(Vec<EvictedToken>),
    /// The account was disabled, removed or given another password since it was looked at; nothing was
    /// written.
    AccountChanged,
}

/// Whether a use was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the token may have been revoked meanwhile"]
pub enum Touch {
    /// It was valid, and is until its new idle end.
    Used,
    /// It is not valid (any more), or its account is not what it was; nothing was written.
    Void,
}

impl Db {
    /// Keeps a refresh token together with the record of its issue. Above
    /// [`Db::LIVE_REFRESH_TOKENS`] of the same account and client, and above
    /// [`Db::LIVE_REFRESH_TOKENS_OF_ACCOUNT`], those go that were never used, then the least recently
    /// used. Whether the account
    /// still is what it was is decided in the same transaction: what ends the account's tokens ends this
    /// one, or there is none.
    pub async fn add_refresh_token(
        &self,
        token: &NewRefreshToken,
        now: SystemTime,
        audit: &AuditRecord,
    ) -> Result<TokenAddition, StateError> {
        let mut write = self.write().await?;
        if !is_account_unchanged(&token.account, &token.credential_version, &mut write).await? {
            write.roll_back().await?;
            return Ok(TokenAddition::AccountChanged);
        }
        let crowded = limits::enforce_limits(token, now, &mut write).await?;
        write.run(insert(token, now)).await?;
        audit.append(&mut write).await?;
        write.commit().await?;
        Ok(TokenAddition::Added(crowded))
    }

    /// The token of this secret, in its state at `now`.
    pub async fn refresh_token(
        &self,
        hash: &TokenHash,
        now: SystemTime,
    ) -> Result<Option<RefreshToken>, StateError> {
        let statement = sql("SELECT * FROM refresh_token WHERE hash = $1").bind(hash);
        let row = self.read().first(statement).await?;
        row.map(|row| RefreshToken::read(&row, now)).transpose()
    }

    /// Records a use together with its audit record, and moves the idle end.
    pub async fn touch_refresh_token(
        &self,
        id: RefreshId,
        now: SystemTime,
        idle_until: SystemTime,
        audit: &AuditRecord,
    ) -> Result<Touch, StateError> {
        let mut write = self.write().await?;
        let statement = sql("UPDATE refresh_token SET last_used_at = $2,
                 idle_until = CASE WHEN $3 < expires_at THEN $3 ELSE expires_at END
             WHERE id = $1 AND revoked_at IS NULL AND idle_until > $2
             RETURNING source, account, credential_version");
        let used = match write.first(statement.bind(id).bind(now).bind(idle_until)).await? {
            Some(row) => {
                let version = row.text("credential_version")?;
                is_account_unchanged(&AccountKey::read(&row)?, &version, &mut write).await?
            }
            None => false,
        };
        if !used {
            write.roll_back().await?;
            return Ok(Touch::Void);
        }
        audit.append(&mut write).await?;
        write.commit().await?;
        Ok(Touch::Used)
    }

    /// The tokens of the accounts of this name, or of all; newest first.
    pub async fn refresh_tokens(
        &self,
        account: Option<AccountNamed<'_>>,
        now: SystemTime,
    ) -> Result<Vec<RefreshToken>, StateError> {
        let statement = match account {
            None => sql("SELECT * FROM refresh_token ORDER BY created_at DESC, id"),
            Some(account) => sql("SELECT * FROM refresh_token
                 WHERE account_name = $1 AND ($2 IS NULL OR source = $2)
                 ORDER BY created_at DESC, id")
            .bind(account.name)
            .bind(account.source),
        };
        let rows = self.read().all(statement).await?;
        rows.iter().map(|row| RefreshToken::read(row, now)).collect()
    }

    /// Revokes one token, as of the record's time. `Unknown` if there is none or it was revoked
    /// before.
    pub async fn revoke_refresh_token(
        &self,
        id: RefreshId,
        why: Revocation,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let statement = sql("UPDATE refresh_token SET revoked_at = $2, revoked_why = $3
             WHERE id = $1 AND revoked_at IS NULL");
        match self.revoke(statement.bind(id), why, audit).await? {
            0 => Ok(Change::Unknown),
            _ => Ok(Change::Done),
        }
    }

    /// Revokes every token of the accounts of this name that was not revoked yet, as of the
    /// record's time, and says how many there were.
    pub async fn revoke_refresh_tokens(
        &self,
        account: AccountNamed<'_>,
        why: Revocation,
        audit: &AuditRecord,
    ) -> Result<u64, StateError> {
        let statement = sql("UPDATE refresh_token SET revoked_at = $3, revoked_why = $4
             WHERE account_name = $1 AND ($2 IS NULL OR source = $2) AND revoked_at IS NULL");
        self.revoke(statement.bind(account.name).bind(account.source), why, audit).await
    }

    /// Puts tokens that have expired among the dead, and forgets those that have been dead since before
    /// `before`; says how many it forgot.
    pub async fn prune_refresh_tokens(
        &self,
        before: SystemTime,
        now: SystemTime,
    ) -> Result<u64, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql("UPDATE refresh_token SET revoked_at = idle_until, revoked_why = $2
             WHERE revoked_at IS NULL AND idle_until <= $1");
        write.run(statement.bind(now).bind(EXPIRED)).await?;
        let statement = sql("DELETE FROM refresh_token WHERE revoked_at < $1");
        let forgotten = write.run(statement.bind(before)).await?;
        write.commit().await?;
        Ok(forgotten)
    }

    /// Runs a statement that lacks the time (`$2`) and the reason (`$3`) yet; the record is kept if
    /// anything was revoked.
    async fn revoke(
        &self,
        statement: Statement,
        why: Revocation,
        audit: &AuditRecord,
    ) -> Result<u64, StateError> {
        let mut write = self.write().await?;
        let revoked = write.run(statement.bind(audit.at).bind(why.as_str())).await?;
        if revoked == 0 {
            write.roll_back().await?;
        } else {
            audit.append(&mut write).await?;
            write.commit().await?;
        }
        Ok(revoked)
    }
}

/// Revokes the tokens of one account within the transaction that gives the reason.
pub(crate) async fn revoke_account(
    account: &AccountKey,
    why: Revocation,
    at: SystemTime,
    write: &mut Write,
) -> Result<(), StateError> {
    let statement = sql("UPDATE refresh_token SET revoked_at = $3, revoked_why = $4
         WHERE source = $1 AND account = $2 AND revoked_at IS NULL")
    .bind(account.source.as_str())
    .bind(account.id.as_str())
    .bind(at)
    .bind(why.as_str());
    write.run(statement).await?;
    Ok(())
}

/// Whether an account may be used, and its credential is of this version still. Of accounts of other
/// sources there are no rows: those are what their source says at each use.
async fn is_account_unchanged(
    account: &AccountKey,
    credential_version: &str,
    write: &mut Write,
) -> Result<bool, StateError> {
    if account.source != AccountKey::LOCAL {
        return Ok(true);
    }
    let (Ok(id), Ok(version)) =
        (account.id.parse::<AccountId>(), credential_version.parse::<u64>())
    else {
        return Ok(false);
    };
    let statement = sql("SELECT id FROM account
         WHERE id = $1 AND credential_version = $2 AND disabled_at IS NULL");
    Ok(write.first(statement.bind(id).bind(version)).await?.is_some())
}

fn insert(token: &NewRefreshToken, now: SystemTime) -> Statement {
    // An access set without entries is a ceiling too: nothing at all.
    let ceiling = token.ceiling.as_ref().map(|ceiling| serde_json::json!(ceiling).to_string());
    sql("INSERT INTO refresh_token (id, hash, source, account, account_name, credential_version,
             service, client, ceiling, created_at, idle_until, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
    .bind(token.id)
    .bind(&token.hash)
    .bind(token.account.source.as_str())
    .bind(token.account.id.as_str())
    .bind(token.account_name.as_str())
    .bind(token.credential_version.as_str())
    .bind(token.service.as_str())
    .bind(token.client.as_str())
    .bind(ceiling)
    .bind(now)
    .bind(token.idle_until.min(token.expires_at))
    .bind(token.expires_at)
}

impl RefreshToken {
    fn read(row: &Row, now: SystemTime) -> Result<Self, StateError> {
        Ok(Self {
            id: RefreshId::read("id", &row.bytes("id")?)?,
            account: AccountKey::read(row)?,
            account_name: row.text("account_name")?,
            credential_version: row.text("credential_version")?,
            service: row.text("service")?,
            client: row.text("client")?,
            ceiling: row.optional_json("ceiling")?,
            created_at: row.time("created_at")?,
            used_at: row.optional_time("last_used_at")?,
            state: RefreshState::read(row, now)?,
        })
    }
}

impl RefreshState {
    fn read(row: &Row, now: SystemTime) -> Result<Self, StateError> {
        let until = row.time("idle_until")?;
        let why = row.optional_text("revoked_why")?;
        match (row.optional_time("revoked_at")?, why.as_deref()) {
            (None, None) if now < until => Ok(Self::Valid { until }),
            (None, None) => Ok(Self::Expired { at: until }),
            (Some(at), Some(EXPIRED)) => Ok(Self::Expired { at }),
            (Some(at), Some(why)) => Ok(Self::Revoked { at, why: Revocation::read(why)? }),
            (Some(_), None) | (None, Some(_)) => {
                Err(StateError::inconsistent("revoked_at, revoked_why", "one without the other"))
            }
        }
    }
}

impl Revocation {
    const ALL: [Self; 6] = [
        Self::AccountDisabled,
        Self::AccountRemoved,
        Self::Crowded,
        Self::LoggedOut,
        Self::PasswordChanged,
        Self::SessionRevoked,
    ];

    /// A stable kebab-case word, also in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountDisabled => "account-disabled",
            Self::AccountRemoved => "account-removed",
            Self::Crowded => "crowded",
            Self::LoggedOut => "logged-out",
            Self::PasswordChanged => "password-changed",
            Self::SessionRevoked => "session-revoked",
        }
    }

    fn read(text: &str) -> Result<Self, StateError> {
        let found = Self::ALL.into_iter().find(|why| why.as_str() == text);
        found.ok_or_else(|| {
            StateError::inconsistent("revoked_why", format!("{text:?} is no reason"))
        })
    }
}

/// In the place of a reason: nobody took it back.
const EXPIRED: &str = "expired";

impl From<&TokenHash> for Value {
    fn from(hash: &TokenHash) -> Self {
        hash.0.as_slice().into()
    }
}
