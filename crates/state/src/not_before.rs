//! From when on the tokens of an account count. Whatever takes an account's credentials away ends, in the
//! same transaction, the tokens that were issued for them.
//!
//! A token says for whom it is (`sub`) and when it was issued (`iat`), and nothing of the source of the
//! account: so the key is the name. `iat` has seconds, so the times here are whole seconds, rounded up.

use std::time::{Duration, SystemTime};

use crate::{
    AccountNamed, AuditRecord, Db, Revocation, StateError, meta::Counter, sql::sql, writer::Write,
};

/// The tokens of one account that count no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBefore {
    /// The account's name, as its tokens have it.
    pub subject: String,
    /// Those issued before this whole second.
    pub at: SystemTime,
}

/// All of them, and the version that they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBeforeList {
    /// Grows with each change.
    pub version: u64,
    /// By name.
    pub entries: Vec<NotBefore>,
}

/// Which of an account's tokens are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedTokens {
    /// Those for registries. Its clients get new ones for their refresh tokens, with the rights of then.
    Access,
    /// Refresh tokens too: its clients have to log in again.
    All,
}

impl Db {
    /// Which tokens count no more, and the version of that list, read together.
    pub async fn not_before(&self) -> Result<NotBeforeList, StateError> {
        // One statement, one snapshot. An empty list is one row without a subject.
        let statement = sql("SELECT c.value AS version, n.subject, n.at FROM counter c
             LEFT JOIN not_before n ON 1 = 1 WHERE c.name = 'not_before' ORDER BY n.subject");
        let rows = self.read().all(statement).await?;
        let Some(first) = rows.first() else {
            return Err(StateError::inconsistent("version", "there is none"));
        };
        let version = first.count("version")?;
        let mut entries = Vec::new();
        for row in &rows {
            if let Some(subject) = row.optional_text("subject")? {
                entries.push(NotBefore { subject, at: row.time("at")? });
            }
        }
        Ok(NotBeforeList { version, entries })
    }

    /// The version of that list alone: cheap enough to be asked every second.
    pub async fn not_before_version(&self) -> Result<u64, StateError> {
        Counter::NotBefore.read(self.read()).await
    }

    /// Ends the tokens of the accounts of this name that were issued until the record's time, and says how many
    /// refresh tokens were among them. An access token does not name its source: those of every source end.
    pub async fn revoke_tokens(
        &self,
        account: AccountNamed<'_>,
        which: RevokedTokens,
        audit: &AuditRecord,
    ) -> Result<u64, StateError> {
        let mut write = self.write().await?;
        let sessions = match which {
            RevokedTokens::Access => 0,
            RevokedTokens::All => {
                let statement = sql("UPDATE refresh_token SET revoked_at = $2, revoked_why = $3
                     WHERE account_name = $1 AND ($4 IS NULL OR source = $4) AND revoked_at IS NULL");
                let statement = statement.bind(account.name).bind(audit.at);
                let statement = statement.bind(Revocation::SessionRevoked.as_str());
                write.run(statement.bind(account.source)).await?
            }
        };
        end_tokens(account.name, audit.at, &mut write).await?;
        // Sources that hold accounts in memory read when its tokens begin to count with the account.
        Counter::Accounts.raise(&mut write).await?;
        Counter::Robots.raise(&mut write).await?;
        audit.append(&mut write).await?;
        write.commit().await?;
        Ok(sessions)
    }

    /// Forgets the entries from before `before`, when every token that they end has ended by itself, and
    /// those from after `until`, which a clock that was ahead has left.
    pub async fn prune_not_before(
        &self,
        before: SystemTime,
        until: SystemTime,
    ) -> Result<u64, StateError> {
        let mut write = self.write_to_any().await?;
        let past = sql("DELETE FROM not_before WHERE at < $1").bind(before);
        let ahead = sql("DELETE FROM not_before WHERE at > $1").bind(until);
        let forgotten = write.run(past).await? + write.run(ahead).await?;
        if forgotten == 0 {
            write.roll_back().await?;
        } else {
            Counter::NotBefore.raise(&mut write).await?;
            write.commit().await?;
        }
        Ok(forgotten)
    }
}

/// Ends the tokens of an account that were issued until `at`, within the transaction that gives the reason.
/// Whatever disables, removes or renews an account's credentials calls it. A token of after the last end may
/// say that it is from the very second that was written down then: so each end is later than the last one.
pub(crate) async fn end_tokens(
    subject: &str,
    at: SystemTime,
    write: &mut Write,
) -> Result<(), StateError> {
    let statement = sql("INSERT INTO not_before (subject, at) VALUES ($1, $2)
         ON CONFLICT (subject) DO UPDATE SET at =
             CASE WHEN excluded.at > not_before.at THEN excluded.at ELSE not_before.at + 1000 END");
    write.run(statement.bind(subject).bind(next_second(at))).await?;
    Counter::NotBefore.raise(write).await
}

/// A token of the second that has begun may be from before or from behind `at`.
fn next_second(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() + 1)
}
