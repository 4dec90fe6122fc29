//! Refresh tokens: opaque, reusable, known to us by their SHA-256 alone.
//!
//! Docker keeps one and drops the password, and never keeps a rotated one: so a refresh token stays
//! the same until it dies (T9). It is bound to an account of one source, the state of that account's
//! password, and one service (TG7, TP4); what it can reach is decided anew at each use.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_protocol::access::AccessSet;
use portpass_state::{
    AccountKey, AuditRecord, Change, Db, EvictedToken, NewRefreshToken, RefreshId, RefreshState,
    RefreshToken, Revocation, StateError, TokenAddition, Touch,
};
use portpass_token::{Random, ServiceName};

use crate::{
    accounts::{AuthenticatorChain, Shadowed, Unavailable},
    subject::{Account, AccountId},
};

mod secret;

pub use secret::{MalformedSecret, RefreshSecret};

/// How long refresh tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshLifetimes {
    /// Since the last use; until the first one, a week at most.
    pub idle: Duration,
    /// Since the issue, however much it is used.
    pub absolute: Duration,
}

impl Default for RefreshLifetimes {
    /// 90 days without use, one year at most.
    fn default() -> Self {
        Self { idle: 90 * DAY, absolute: 365 * DAY }
    }
}

/// All refresh tokens of this token service.
#[derive(Debug)]
pub struct RefreshTokens {
    db: Db,
    lives: RefreshLifetimes,
    random: Arc<dyn Random>,
}

/// A refresh token that is valid, and whose account still is what it was.
#[derive(Debug)]
pub struct Session {
    /// As it is now.
    pub account: Account,
    /// The row's id, for the trail.
    pub id: RefreshId,
    /// What the token itself can never reach beyond.
    pub ceiling: Option<AccessSet>,
}

/// A refresh token about to be kept.
#[derive(Debug)]
pub struct Draft {
    /// For the client alone.
    pub secret: RefreshSecret,
    /// The row's id, for the trail.
    pub id: RefreshId,
}

impl RefreshTokens {
    /// Kept in `db`.
    pub fn new(db: Db, lives: RefreshLifetimes, random: Arc<dyn Random>) -> Self {
        Self { db, lives, random }
    }

    /// Whose the secret is, if it is good for this service now.
    pub async fn look_up(
        &self,
        secret: &RefreshSecret,
        service: &ServiceName,
        accounts: &AuthenticatorChain,
        now: SystemTime,
    ) -> Result<Session, LookUpError> {
        let row = self.valid(secret, now).await?;
        if row.service != service.as_str() {
            let problem =
                RefreshProblem::Service { bound: row.service, asked: service.to_string() };
            return Err(problem.into());
        }
        let account = account_of(&row, accounts, now).await?;
        let RefreshToken { id, ceiling, .. } = row;
        Ok(Session { account, id, ceiling })
    }

    /// The row of a secret that is good now, for whatever service, and the account that it is of.
    pub async fn find(
        &self,
        secret: &RefreshSecret,
        accounts: &AuthenticatorChain,
        now: SystemTime,
    ) -> Result<(RefreshToken, Account), LookUpError> {
        let row = self.valid(secret, now).await?;
        let account = account_of(&row, accounts, now).await?;
        Ok((row, account))
    }

    async fn valid(
        &self,
        secret: &RefreshSecret,
        now: SystemTime,
    ) -> Result<RefreshToken, LookUpError> {
        let row = self.db.refresh_token(&secret.hash(), now).await?;
        let row = row.ok_or(RefreshProblem::Unknown)?;
        match row.state {
            RefreshState::Valid { .. } => Ok(row),
            RefreshState::Expired { .. } => Err(RefreshProblem::Expired.into()),
            RefreshState::Revoked { why, .. } => Err(RefreshProblem::Revoked { why }.into()),
        }
    }

    /// Draws a secret; nothing is kept yet.
    pub fn draft(&self) -> Draft {
        let mut bits = [0; 16];
        self.random.fill(&mut bits);
        Draft { secret: RefreshSecret::generate(&*self.random), id: RefreshId::from_random(bits) }
    }

    /// Keeps a new refresh token together with the record of its issue, unless the account has changed
    /// since it was looked at.
    pub async fn store(
        &self,
        draft: &Draft,
        account: &Account,
        service: &ServiceName,
        client: Option<&str>,
        now: SystemTime,
        audit: &AuditRecord,
    ) -> Result<TokenAddition, StateError> {
        let row = NewRefreshToken {
            id: draft.id,
            hash: draft.secret.hash(),
            account: AccountKey {
                source: account.source.to_string(),
                id: account.id.as_str().to_owned(),
            },
            account_name: account.name.to_string(),
            credential_version: account.version.as_str().to_owned(),
            service: service.to_string(),
            client: client.unwrap_or_default().to_owned(),
            ceiling: None,
            expires_at: now + self.lives.absolute,
            idle_until: now + self.lives.idle.min(UNUSED),
        };
        let db = self.db.on_behalf_of(&row.account_name);
        let kept = db.add_refresh_token(&row, now, audit).await?;
        if let TokenAddition::Added(crowded) = &kept {
            for session in crowded.iter().filter(|session| is_in_use(session, now)) {
                tracing::warn!(
                    account = %account.name, client = session.client, session = %session.id,
                    "ended a session that was used within a week, because its account has too many: its client has to log in again; give machines accounts of their own"
                );
            }
        }
        Ok(kept)
    }

    /// Records a use, and that the token lives on; fails if it was revoked since it was looked up.
    pub async fn touch(
        &self,
        session: &Session,
        now: SystemTime,
        audit: &AuditRecord,
    ) -> Result<(), LookUpError> {
        let db = self.db.on_behalf_of(session.account.name.as_str());
        match db.touch_refresh_token(session.id, now, now + self.lives.idle, audit).await? {
            Touch::Used => Ok(()),
            Touch::Void => Err(RefreshProblem::Gone.into()),
        }
    }

    /// Ends a token whose account got another password, so that it stays dead even if the old one
    /// comes back.
    pub async fn revoke(&self, id: RefreshId, audit: &AuditRecord) -> Result<(), StateError> {
        let (Change::Done | Change::Unknown) =
            self.db.revoke_refresh_token(id, Revocation::PasswordChanged, audit).await?;
        Ok(())
    }

    /// Ends the token of somebody who logs out (RFC 7009). One that nobody knows, or that is dead
    /// already, is as good as ended.
    pub async fn log_out(
        &self,
        secret: &RefreshSecret,
        now: SystemTime,
        audit: impl FnOnce(&RefreshToken) -> AuditRecord,
    ) -> Result<(), StateError> {
        let Some(row) = self.db.refresh_token(&secret.hash(), now).await? else { return Ok(()) };
        let db = self.db.on_behalf_of(&row.account_name);
        let (Change::Done | Change::Unknown) =
            db.revoke_refresh_token(row.id, Revocation::LoggedOut, &audit(&row)).await?;
        Ok(())
    }
}

/// Why a refresh token leads to nobody.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// It is no good.
    #[error(transparent)]
    Invalid(#[from] RefreshProblem),
    /// The rows cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The account's source does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What is wrong with a refresh token. For the log; the client learns that it is to log in again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshProblem {
    /// The account is removed, disabled, or its source is no longer configured.
    #[error("the account {name:?} of the refresh token is gone or disabled")]
    Account {
        /// Its name when the token was issued.
        name: String,
    },
    /// An earlier source has the account's name.
    #[error("the refresh token opens nothing: {0}")]
    Shadowed(Shadowed),
    /// Nobody used it for too long, or its time is over.
    #[error("the refresh token has expired")]
    Expired,
    /// It was revoked between two statements of ours.
    #[error("the refresh token was revoked while it was used")]
    Gone,
    /// The account has another password than when the token was issued.
    #[error("the password of {name:?} has changed since the refresh token was issued")]
    Password {
        /// The row.
        id: RefreshId,
        /// The account's name when the token was issued.
        name: String,
    },
    /// It was taken back.
    #[error("the refresh token was revoked: {}", cause(*why))]
    Revoked {
        /// Why.
        why: Revocation,
    },
    /// It is for another registry (TP4).
    #[error("the refresh token is for service {bound:?}, not for {asked:?}")]
    Service {
        /// Its own.
        bound: String,
        /// The request's.
        asked: String,
    },
    /// There is no such token: a typing error, another server's, or one that was cleared away.
    #[error("the refresh token is unknown")]
    Unknown,
}

impl RefreshProblem {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Account { .. } => "refresh-token-account-gone",
            Self::Shadowed(shadowed) => shadowed.id(),
            Self::Expired => "refresh-token-expired",
            Self::Gone | Self::Revoked { .. } => "refresh-token-revoked",
            Self::Password { .. } => "refresh-token-password-changed",
            Self::Service { .. } => "refresh-token-other-service",
            Self::Unknown => "refresh-token-unknown",
        }
    }
}

/// The account that a row is of, if it still is what it was, and a login would still lead to it.
async fn account_of(
    row: &RefreshToken,
    accounts: &AuthenticatorChain,
    now: SystemTime,
) -> Result<Account, LookUpError> {
    let name = || row.account_name.clone();
    let id = AccountId::new(row.account.id.as_str());
    let account = accounts.by_id(&row.account.source, &id, now).await?;
    let account = account.ok_or_else(|| RefreshProblem::Account { name: name() })?;
    if account.version.as_str() != row.credential_version {
        return Err(RefreshProblem::Password { id: row.id, name: name() }.into());
    }
    match accounts.shadow(&account, now).await? {
        None => Ok(account),
        Some(shadowed) => Err(RefreshProblem::Shadowed(shadowed).into()),
    }
}

/// Whoever holds it will miss it.
fn is_in_use(session: &EvictedToken, now: SystemTime) -> bool {
    now.duration_since(session.used_at).is_ok_and(|since| since < IN_USE)
}

fn cause(why: Revocation) -> &'static str {
    match why {
        Revocation::AccountDisabled => "the account was disabled",
        Revocation::AccountRemoved => "the account was removed",
        Revocation::Crowded => "newer ones of the same account replaced it",
        Revocation::LoggedOut => "the client logged out",
        Revocation::PasswordChanged => "the password was changed",
        Revocation::SessionRevoked => "an administrator ended the session",
    }
}

const DAY: Duration = Duration::from_hours(24);
/// What nobody has used for so long after a login, nobody will.
const UNUSED: Duration = Duration::from_hours(7 * 24);
const IN_USE: Duration = Duration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_used_a_session_within_a_week_will_miss_it() {
        let used_at = SystemTime::UNIX_EPOCH + 365 * DAY;
        let session =
            EvictedToken { id: RefreshId::from_random([1; 16]), client: "docker".into(), used_at };
        assert!(is_in_use(&session, used_at) && is_in_use(&session, used_at + 6 * DAY));
        assert!(!is_in_use(&session, used_at + 7 * DAY));
    }
}
