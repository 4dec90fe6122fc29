//! When accounts, robots' secrets and API keys were used last.
//!
//! A use is noted in memory and written with others some seconds later, so that a token costs no write.

use std::{collections::HashMap, time::SystemTime};

use crate::{
    AccountKey, Db, KeyId, RobotId, SecretId, StateError,
    sql::{Row, Statement, sql},
    writer::Write,
};

/// What was used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Used {
    /// An account of any source, however it was proved.
    Account(AccountKey),
    /// A secret of a robot.
    Secret(RobotId, SecretId),
    /// An API key.
    Key(KeyId),
}

impl Db {
    /// Writes down when each was used last. What is gone meanwhile is passed over, and no time moves back. Who uses the
    /// secret of a robot or an API key uses the account as well.
    pub async fn record_uses(&self, uses: &HashMap<Used, SystemTime>) -> Result<(), StateError> {
        if uses.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        for (used, at) in uses {
            let account = match used {
                Used::Account(account) => Some(account.clone()),
                Used::Secret(robot, secret) => {
                    let statement = sql("UPDATE robot_secret SET used_at = $3
                         WHERE robot = $1 AND id = $2 AND (used_at IS NULL OR used_at < $3)");
                    let statement = statement.bind(*robot).bind(*secret).bind(*at);
                    (write.run(statement).await? > 0).then(|| AccountKey::robot(*robot))
                }
                Used::Key(key) => {
                    let statement = sql("UPDATE api_key SET used_at = $2
                         WHERE id = $1 AND (used_at IS NULL OR used_at < $2)
                         RETURNING source, account");
                    let row = write.first(statement.bind(*key).bind(*at)).await?;
                    row.map(|row| AccountKey::read(&row)).transpose()?
                }
            };
            if let Some(account) = account {
                write.run(account_used(&account, *at)).await?;
            }
        }
        write.commit().await
    }

    /// When accounts of all sources were used last. Of accounts that were never used there is nothing.
    pub async fn account_uses(&self) -> Result<HashMap<AccountKey, SystemTime>, StateError> {
        let rows = self.read().all(sql("SELECT source, account, used_at FROM account_use")).await?;
        let read = |row: &Row| Ok((AccountKey::read(row)?, row.time("used_at")?));
        rows.iter().map(read).collect()
    }
}

fn account_used(account: &AccountKey, at: SystemTime) -> Statement {
    sql("INSERT INTO account_use (source, account, used_at) VALUES ($1, $2, $3)
         ON CONFLICT (source, account) DO UPDATE SET used_at = excluded.used_at
         WHERE account_use.used_at < excluded.used_at")
    .bind(account.source.as_str())
    .bind(account.id.as_str())
    .bind(at)
}

/// Removes what is known of an account within the transaction that removes the account.
pub(crate) async fn forget_use(account: &AccountKey, write: &mut Write) -> Result<(), StateError> {
    let statement = sql("DELETE FROM account_use WHERE source = $1 AND account = $2");
    write.run(statement.bind(account.source.as_str()).bind(account.id.as_str())).await?;
    Ok(())
}
