//! Refresh tokens: reusable, never rotated on use, each revocable by itself.

use std::{fmt, time::SystemTime};

use portpass_protocol::AccessSet;

use crate::{AuditRecord, Change, Db, RefreshId, StateError};

/// SHA-256 of a refresh token's secret: all that we keep of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

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
    /// The version of the credential it was issued for; compared by the caller at each use.
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
    /// When it was used last, or issued.
    pub used_at: SystemTime,
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
    /// Newer ones of the same account and client took its place.
    Crowded,
    /// Its holder logged out.
    LoggedOut,
    /// The account got another password.
    PasswordChanged,
    /// An administrator ended the session.
    SessionRevoked,
}

/// Whether a use was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the token may have been revoked meanwhile"]
pub enum Touch {
    /// It was valid, and is until its new idle end.
    Used,
    /// It is not valid (any more); nothing was written.
    Void,
}

impl Db {
    /// Live refresh tokens that one account may have for one client.
    pub const LIVE_REFRESH_TOKENS: usize = 50;

    /// Keeps a refresh token together with the record of its issue, and revokes the least recently
    /// used ones of the same account and client above [`Db::LIVE_REFRESH_TOKENS`].
    pub async fn add_refresh_token(
        &self,
        token: &NewRefreshToken,
        now: SystemTime,
        audit: &AuditRecord,
    ) -> Result<(), StateError> {
        todo!("{token:?} {now:?} {audit:?}")
    }

    /// The token of this secret, in its state at `now`.
    pub async fn refresh_token(
        &self,
        hash: &TokenHash,
        now: SystemTime,
    ) -> Result<Option<RefreshToken>, StateError> {
        todo!("{hash:?} {now:?}")
    }

    /// Records a use together with its audit record, and moves the idle end.
    pub async fn touch_refresh_token(
        &self,
        id: RefreshId,
        now: SystemTime,
        idle_until: SystemTime,
        audit: &AuditRecord,
    ) -> Result<Touch, StateError> {
        todo!("{id} {now:?} {idle_until:?} {audit:?}")
    }

    /// The tokens of the accounts of this name, whatever their source, or of all; newest first.
    pub async fn refresh_tokens(
        &self,
        account_name: Option<&str>,
        now: SystemTime,
    ) -> Result<Vec<RefreshToken>, StateError> {
        todo!("{account_name:?} {now:?}")
    }

    /// Revokes one token. `Unknown` if there is none or it was revoked before.
    pub async fn revoke_refresh_token(
        &self,
        id: RefreshId,
        why: Revocation,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        todo!("{id} {why:?} {audit:?}")
    }

    /// Revokes the token of this secret, for those who hold it.
    pub async fn revoke_refresh_token_by_hash(
        &self,
        hash: &TokenHash,
        why: Revocation,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        todo!("{hash:?} {why:?} {audit:?}")
    }

    /// Revokes every live token of the accounts of this name, and says how many there were.
    pub async fn revoke_refresh_tokens(
        &self,
        account_name: &str,
        why: Revocation,
        audit: &AuditRecord,
    ) -> Result<u64, StateError> {
        todo!("{account_name} {why:?} {audit:?}")
    }

    /// Forgets tokens that have been expired or revoked since before `before`; says how many.
    pub async fn forget_refresh_tokens(&self, before: SystemTime) -> Result<u64, StateError> {
        todo!("{before:?}")
    }
}
