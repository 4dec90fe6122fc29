//! Tokens of others that may be used once.

use std::time::SystemTime;

use crate::{Db, StateError, sql::sql};

/// Whether a token is used for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a token that was used before must not count"]
pub enum FirstUse {
    /// It is, and is remembered from now on.
    Yes,
    /// It was used before.
    No,
}

impl Db {
    /// Remembers a token by what tells it from all others, until it expires; of several at once one is the first.
    pub async fn use_token_once(
        &self,
        hash: &[u8; 32],
        expires: SystemTime,
        now: SystemTime,
    ) -> Result<FirstUse, StateError> {
        let mut write = self.write().await?;
        // Each makes room for itself, so that nobody has to come round for them.
        let statement = sql("DELETE FROM used_token WHERE hash IN
             (SELECT hash FROM used_token WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)");
        write.run(statement.bind(now).bind(FORGOTTEN_AT_ONCE)).await?;
        let statement = sql("INSERT INTO used_token (hash, expires_at) VALUES ($1, $2)
             ON CONFLICT (hash) DO NOTHING");
        let inserted = write.run(statement.bind(hash.as_slice()).bind(expires)).await?;
        write.commit().await?;
        Ok(if inserted == 1 { FirstUse::Yes } else { FirstUse::No })
    }
}

const FORGOTTEN_AT_ONCE: i64 = 8;
