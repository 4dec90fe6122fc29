//! Whether what repositories hold may change: a switch that any process on the database may turn.

use std::time::{Duration, SystemTime};

use crate::{
    AuditRecord, Change, Db, StateError,
    sql::{milliseconds, sql},
};

impl Db {
    /// Since when the registry is read only; `None` where it is not.
    pub async fn read_only_since(&self) -> Result<Option<SystemTime>, StateError> {
        let Some(text) = self.meta(READ_ONLY).await? else { return Ok(None) };
        let since = text.parse().map(Duration::from_millis);
        let since = since.map_err(|_| StateError::inconsistent("value", "it is no number"))?;
        Ok(Some(SystemTime::UNIX_EPOCH + since))
    }

    /// Makes the registry read only from `now` on; it stays so since it was.
    pub async fn make_read_only(
        &self,
        now: SystemTime,
        record: &AuditRecord,
    ) -> Result<Change, StateError> {
        let statement = sql("INSERT INTO meta (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO NOTHING");
        let statement = statement.bind(READ_ONLY).bind(milliseconds(now).to_string());
        self.turn(statement, record).await
    }

    /// Lets the registry be written to again.
    pub async fn make_writable(&self, record: &AuditRecord) -> Result<Change, StateError> {
        self.turn(sql("DELETE FROM meta WHERE name = $1").bind(READ_ONLY), record).await
    }

    /// With a record where it was turned.
    async fn turn(
        &self,
        statement: crate::sql::Statement,
        record: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        if write.run(statement).await? == 0 {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        }
        record.append(&mut write).await?;
        write.commit().await?;
        Ok(Change::Done)
    }
}

/// The name of a fact about this installation.
pub(crate) const READ_ONLY: &str = "read_only";
