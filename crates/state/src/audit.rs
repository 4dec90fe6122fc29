//! The audit trail: rows that are only ever added.

use std::time::SystemTime;

use crate::{
    Db, StateError,
    page::capped,
    sql::{Row, sql},
    writer::Write,
};

/// One thing that happened, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When it happened.
    pub at: SystemTime,
    /// What happened: a stable kebab-case word such as `token-issued`.
    pub action: String,
    /// Who did it: an account, or absent for nobody in particular.
    pub actor: Option<String>,
    /// Whom or what it was done to.
    pub object: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// The request's id.
    pub request: Option<String>,
    /// The rest, as a JSON object; never a secret.
    pub detail: serde_json::Value,
}

/// A record as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the trail; grows.
    pub sequence: i64,
    /// What was recorded.
    pub record: AuditRecord,
}

impl Db {
    /// Adds records in one transaction, in their order.
    pub async fn append_audit(&self, records: &[AuditRecord]) -> Result<(), StateError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        for record in records {
            record.append(&mut write).await?;
        }
        write.commit().await
    }

    /// The entries after a place in the trail, oldest first.
    pub async fn audit_after(
        &self,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StateError> {
        let statement = sql("SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2");
        let rows = self.read().all(statement.bind(sequence).bind(capped(limit))).await?;
        rows.iter().map(AuditEntry::read).collect()
    }

    /// The latest entries, newest first.
    pub async fn latest_audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StateError> {
        let statement = sql("SELECT * FROM audit ORDER BY sequence DESC LIMIT $1");
        let rows = self.read().all(statement.bind(capped(limit))).await?;
        rows.iter().map(AuditEntry::read).collect()
    }
}

impl AuditRecord {
    /// Adds the record to a transaction: it is kept if and only if what it speaks of is.
    pub(crate) async fn append(&self, write: &mut Write) -> Result<(), StateError> {
        let statement =
            sql("INSERT INTO audit (at, action, actor, object, address, request, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7)");
        let statement = statement
            .bind(self.at)
            .bind(self.action.as_str())
            .bind(self.actor.as_deref())
            .bind(self.object.as_deref())
            .bind(self.address.as_deref())
            .bind(self.request.as_deref())
            .bind(self.detail.to_string());
        write.run(statement).await?;
        Ok(())
    }
}

impl AuditEntry {
    fn read(row: &Row) -> Result<Self, StateError> {
        let record = AuditRecord {
            at: row.time("at")?,
            action: row.text("action")?,
            actor: row.optional_text("actor")?,
            object: row.optional_text("object")?,
            address: row.optional_text("address")?,
            request: row.optional_text("request")?,
            detail: row.optional_json("detail")?.unwrap_or_default(),
        };
        Ok(Self { sequence: row.integer("sequence")?, record })
    }
}
