//! Secrets of robots and API keys that count no more: who still sends one did not guess it.

use std::time::SystemTime;

use crate::{Db, StateError, TokenHash, sql::sql};

/// A secret that counts no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedSecret {
    /// What became of it.
    pub end: SecretEnd,
    /// The robot's name, or the key's id.
    pub owner: String,
    /// Since when.
    pub at: SystemTime,
}

/// What became of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretEnd {
    /// Its robot has others since.
    Rotated,
    /// Its robot was removed.
    RobotRemoved,
    /// The API key was revoked.
    KeyRevoked,
    /// The account of the API key was removed.
    AccountRemoved,
}

impl Db {
    /// What became of the secret of this hash, if it was ended and is not forgotten.
    pub async fn ended_secret(&self, hash: &TokenHash) -> Result<Option<EndedSecret>, StateError> {
        let statement = sql("SELECT owner, why, ended_at FROM ended_secret WHERE hash = $1");
        let Some(row) = self.read().first(statement.bind(hash)).await? else { return Ok(None) };
        let why = row.text("why")?;
        let end = SecretEnd::ALL.into_iter().find(|end| end.as_str() == why);
        let end = end.ok_or_else(|| StateError::inconsistent("why", "it is no end of a secret"))?;
        Ok(Some(EndedSecret { end, owner: row.text("owner")?, at: row.time("ended_at")? }))
    }

    /// Forgets the secrets that ended before `before`; says how many.
    pub async fn prune_ended_secrets(&self, before: SystemTime) -> Result<u64, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql("DELETE FROM ended_secret WHERE ended_at < $1").bind(before);
        let forgotten = write.run(statement).await?;
        write.commit().await?;
        Ok(forgotten)
    }
}

impl SecretEnd {
    const ALL: [Self; 4] =
        [Self::Rotated, Self::RobotRemoved, Self::KeyRevoked, Self::AccountRemoved];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::RobotRemoved => "robot-removed",
            Self::KeyRevoked => "key-revoked",
            Self::AccountRemoved => "account-removed",
        }
    }
}
