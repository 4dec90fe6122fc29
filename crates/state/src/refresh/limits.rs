//! How many refresh tokens of one account there are, and which of them go.
//!
//! ```text
//! of a client   above 50 that settled    never used go first, then the least recently used
//! of an account above 200                the same order, whatever the client
//! dead          above 100                the same order: whoever comes back with one may ask why
//! ```
//! One that was made minutes ago and is not used yet has not settled: its client is still on its way to
//! the first use, and is not pushed out by the next login.
//!
//! Every walk here is along an index of the account's live or dead rows, and those are as many as said
//! above.

use std::time::{Duration, SystemTime};

use super::{AccountKey, EXPIRED, NewRefreshToken, Revocation};
use crate::{
    Db, RefreshId, StateError,
    sql::{Row, Statement, sql},
    writer::Write,
};

/// A live refresh token that was used before, and had to go for a newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvictedToken {
    /// Which.
    pub id: RefreshId,
    /// The client's name for itself.
    pub client: String,
    /// When it was used last.
    pub used_at: SystemTime,
}

impl Db {
    /// Live refresh tokens that one account may have for one client, beside those that are still to be
    /// used for the first time.
    pub const LIVE_REFRESH_TOKENS: usize = 50;
    /// Live refresh tokens that one account may have, whatever the client calls itself.
    pub const LIVE_REFRESH_TOKENS_OF_ACCOUNT: usize = 200;
    /// Dead refresh tokens of one account that are remembered.
    pub const DEAD_REFRESH_TOKENS: usize = 100;
}

/// Makes room for one more, which is not there yet.
pub(super) async fn enforce_limits(
    token: &NewRefreshToken,
    now: SystemTime,
    write: &mut Write,
) -> Result<Vec<EvictedToken>, StateError> {
    let settled = now.checked_sub(SETTLING).unwrap_or(SystemTime::UNIX_EPOCH);
    let of_client = sql("UPDATE refresh_token SET
             revoked_at = CASE WHEN idle_until <= $3 THEN idle_until ELSE $3 END,
             revoked_why = CASE WHEN idle_until <= $3 THEN $5 ELSE $4 END
         WHERE id IN
             (SELECT id FROM refresh_token
              WHERE source = $1 AND account = $2 AND revoked_at IS NULL AND client = $7
                AND (last_used_at IS NOT NULL OR created_at < $8)
              ORDER BY last_used_at DESC NULLS LAST, created_at DESC LIMIT 1000000 OFFSET $6)
         RETURNING *");
    let of_client = bind(of_client, &token.account, now).bind(Db::LIVE_REFRESH_TOKENS - 1);
    let mut gone = write.all(of_client.bind(token.client.as_str()).bind(settled)).await?;
    let of_account = sql("UPDATE refresh_token SET
             revoked_at = CASE WHEN idle_until <= $3 THEN idle_until ELSE $3 END,
             revoked_why = CASE WHEN idle_until <= $3 THEN $5 ELSE $4 END
         WHERE id IN
             (SELECT id FROM refresh_token
              WHERE source = $1 AND account = $2 AND revoked_at IS NULL
              ORDER BY last_used_at DESC NULLS LAST, created_at DESC LIMIT 1000000 OFFSET $6)
         RETURNING *");
    let most = Db::LIVE_REFRESH_TOKENS_OF_ACCOUNT - 1;
    gone.extend(write.all(bind(of_account, &token.account, now).bind(most)).await?);
    forget_dead(&token.account, write).await?;
    let crowded = gone.iter().map(EvictedToken::read).collect::<Result<Vec<_>, _>>()?;
    Ok(crowded.into_iter().flatten().collect())
}

/// Forgets the dead above what is remembered. A database of an older version may have many thousands: they
/// go a few at each login.
async fn forget_dead(account: &AccountKey, write: &mut Write) -> Result<(), StateError> {
    let statement = sql("DELETE FROM refresh_token WHERE id IN
             (SELECT id FROM refresh_token
              WHERE source = $1 AND account = $2 AND revoked_at IS NOT NULL
              ORDER BY last_used_at DESC NULLS LAST, revoked_at DESC LIMIT 200 OFFSET $3)");
    let statement = statement.bind(account.source.as_str()).bind(account.id.as_str());
    write.run(statement.bind(Db::DEAD_REFRESH_TOKENS)).await?;
    Ok(())
}

fn bind(statement: Statement, account: &AccountKey, now: SystemTime) -> Statement {
    statement
        .bind(account.source.as_str())
        .bind(account.id.as_str())
        .bind(now)
        .bind(Revocation::Crowded.as_str())
        .bind(EXPIRED)
}

impl EvictedToken {
    /// `None` for one that had expired, or that nobody ever used.
    fn read(row: &Row) -> Result<Option<Self>, StateError> {
        let crowded = row.text("revoked_why")? == Revocation::Crowded.as_str();
        let Some(used_at) = row.optional_time("last_used_at")?.filter(|_| crowded) else {
            return Ok(None);
        };
        let id = RefreshId::read("id", &row.bytes("id")?)?;
        Ok(Some(Self { id, client: row.text("client")?, used_at }))
    }
}

/// How long a client may take from its login to the first use, which for docker is the next pull.
const SETTLING: Duration = Duration::from_mins(10);
