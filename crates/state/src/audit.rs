//! The audit trail: rows that are only ever added, each bound to the one before it, and the oldest of which
//! go after a while.

mod chain;
mod retention;
#[cfg(test)]
mod tests;
mod verify;

use std::time::SystemTime;

use serde_json::{Value, json};

use self::{
    chain::Fields,
    retention::{Anchor, missing},
};
pub use self::{
    chain::{RowHash, RowHashError},
    retention::{AuditSize, Retention},
    verify::{AuditHead, Fault, Verified},
};
use crate::{
    Db, StateError,
    page::capped,
    sql::{Row, Statement, milliseconds, sql},
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
    pub detail: Value,
}

/// A record as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the trail; grows by one with each.
    pub sequence: i64,
    /// Of it and of the one before it; absent for what is older than the chain.
    pub hash: Option<RowHash>,
    /// What was recorded.
    pub record: AuditRecord,
}

impl Db {
    /// Adds records in their order, in one transaction.
    pub async fn append_audit(&self, records: &[AuditRecord]) -> Result<(), StateError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        append(records, &mut write).await?;
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

    /// The entries before a place in the trail, newest first.
    pub async fn audit_before(
        &self,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StateError> {
        let statement =
            sql("SELECT * FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2");
        let rows = self.read().all(statement.bind(sequence).bind(capped(limit))).await?;
        rows.iter().map(AuditEntry::read).collect()
    }

    /// The latest entries, newest first.
    pub async fn latest_audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StateError> {
        self.audit_before(i64::MAX, limit).await
    }

    /// The first place in the trail at which something of this time or later stands. What is older may stand
    /// behind it: records are written a moment after what they speak of, and clocks are set.
    pub async fn audit_since(&self, at: SystemTime) -> Result<Option<i64>, StateError> {
        let statement = sql("SELECT MIN(sequence) AS first FROM audit WHERE at >= $1").bind(at);
        match self.read().first(statement).await? {
            Some(row) => row.optional_integer("first"),
            None => Ok(None),
        }
    }
}

impl AuditRecord {
    /// Adds the record to a transaction: it is kept if and only if what it speaks of is.
    pub(crate) async fn append(&self, write: &mut Write) -> Result<(), StateError> {
        append(std::slice::from_ref(self), write).await
    }

    /// As it is kept behind another row. No caller's words make a row longer than a page or two.
    fn fields(&self, sequence: i64) -> Fields {
        let cut = |text: &Option<String>| text.as_deref().map(|text| cut(text, MAX_TEXT));
        let mut detail = self.detail.to_string();
        if detail.len() > MAX_DETAIL {
            let length = detail.len();
            detail = json!({ "cut": self::cut(&detail, MAX_CUT), "length": length }).to_string();
        }
        Fields {
            sequence,
            at: milliseconds(self.at),
            action: self.action.clone(),
            actor: cut(&self.actor),
            object: cut(&self.object),
            address: cut(&self.address),
            request: cut(&self.request),
            detail,
        }
    }
}

/// Adds records behind the last row that this transaction sees, which no other can move meanwhile.
pub(crate) async fn append(records: &[AuditRecord], write: &mut Write) -> Result<(), StateError> {
    let statement = sql("SELECT sequence, written, hash FROM audit
         WHERE sequence > 0 ORDER BY sequence DESC LIMIT 1");
    let last = match write.first(statement).await? {
        Some(last) => last,
        // The first of all.
        None => write.first(sql(Anchor::STATEMENT)).await?.ok_or_else(missing)?,
    };
    let mut last = Anchor::read(&last)?;
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let fields = record.fields(last.sequence + 1);
        last = Anchor {
            sequence: fields.sequence,
            written: last.written.saturating_add(fields.room()),
            hash: Some(fields.hash(last.hash)),
        };
        rows.push((fields, last));
    }
    // A statement costs more than a row of it.
    let mut rows = rows.into_iter();
    while rows.len() >= MANY {
        write.run(rows.by_ref().take(MANY).fold(sql(INSERT_MANY), bind)).await?;
    }
    for row in rows {
        let statement = sql(
            "INSERT INTO audit (sequence, at, action, actor, object, address, request, detail, written, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        );
        write.run(bind(statement, row)).await?;
    }
    Ok(())
}

/// Gives the next ten parameters the values of a row.
fn bind(statement: Statement, (fields, at): (Fields, Anchor)) -> Statement {
    statement
        .bind(fields.sequence)
        .bind(fields.at)
        .bind(fields.action)
        .bind(fields.actor)
        .bind(fields.object)
        .bind(fields.address)
        .bind(fields.request)
        .bind(fields.detail)
        .bind(at.written)
        .bind(at.hash)
}

impl AuditEntry {
    fn read(row: &Row) -> Result<Self, StateError> {
        let detail = row.text("detail")?;
        let record = AuditRecord {
            at: row.time("at")?,
            action: row.text("action")?,
            actor: row.optional_text("actor")?,
            object: row.optional_text("object")?,
            address: row.optional_text("address")?,
            request: row.optional_text("request")?,
            // What somebody made no JSON is shown all the same; that it was changed is seen by its hash.
            detail: serde_json::from_str(&detail).unwrap_or(Value::String(detail)),
        };
        let hash = row.optional_bytes("hash")?.map(|bytes| RowHash::read(&bytes)).transpose()?;
        Ok(Self { sequence: row.integer("sequence")?, hash, record })
    }
}

/// At most so many bytes of a text, and a mark where some are left out.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mark = '…';
    format!("{}{mark}", &text[..text.floor_char_boundary(most - mark.len_utf8())])
}

/// Longer than the name of any account, repository or request.
const MAX_TEXT: usize = 256;
/// In bytes; whoever makes a record keeps below it.
pub const MAX_DETAIL: usize = 4096;
/// What is kept of a detail that is longer; escaped, it may be twice as long.
const MAX_CUT: usize = 1024;

/// Rows of one [`INSERT_MANY`].
const MANY: usize = 8;
const INSERT_MANY: &str = "INSERT INTO audit
    (sequence, at, action, actor, object, address, request, detail, written, hash) VALUES
    ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10),
    ($11, $12, $13, $14, $15, $16, $17, $18, $19, $20),
    ($21, $22, $23, $24, $25, $26, $27, $28, $29, $30),
    ($31, $32, $33, $34, $35, $36, $37, $38, $39, $40),
    ($41, $42, $43, $44, $45, $46, $47, $48, $49, $50),
    ($51, $52, $53, $54, $55, $56, $57, $58, $59, $60),
    ($61, $62, $63, $64, $65, $66, $67, $68, $69, $70),
    ($71, $72, $73, $74, $75, $76, $77, $78, $79, $80)";
