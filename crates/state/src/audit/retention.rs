//! How much of the trail is kept: the oldest rows go, a few at a time.
//!
//! Only the beginning of the trail is ever removed, never a row from its middle: the last row that went is
//! the anchor, and the first that is left follows it.

use std::time::{Duration, SystemTime};

use crate::{
    Db, StateError,
    audit::RowHash,
    sql::{Row, sql},
};

/// What of the trail may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What happened before goes; absent: nothing goes for its age.
    pub since: Option<SystemTime>,
    /// The oldest rows go until no more than so many bytes are left.
    pub max_bytes: u64,
}

/// What the trail takes at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSize {
    /// In bytes, as [`Retention::max_bytes`] counts them.
    pub bytes: u64,
    /// The place of its last row.
    pub last: i64,
}

/// The last row that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) sequence: i64,
    pub(super) written: u64,
    pub(super) hash: Option<RowHash>,
}

impl Db {
    /// What the trail takes. Two look-ups, however long it is.
    pub async fn audit_size(&self) -> Result<AuditSize, StateError> {
        // One statement, one snapshot.
        let statement = sql(
            "SELECT a.sequence AS anchor, a.written AS removed, l.sequence AS last, l.written AS written
             FROM audit_anchor a LEFT JOIN audit l
                 ON l.sequence = (SELECT MAX(sequence) FROM audit WHERE sequence > 0)
             WHERE a.id = 1",
        );
        let row = self.read().first(statement).await?.ok_or_else(missing)?;
        let removed = row.count("removed")?;
        match row.optional_integer("last")? {
            None => Ok(AuditSize { bytes: 0, last: row.integer("anchor")? }),
            Some(last) => {
                Ok(AuditSize { bytes: row.count("written")?.saturating_sub(removed), last })
            }
        }
    }

    /// Removes the oldest rows that may not stay, at most `limit` in one short turn; says how many went. The
    /// last row of the trail always stays.
    ///
    /// A row whose time lies before [`Retention::since`] goes. One that was written by a clock that was
    /// ahead says nothing of its age, and goes with those around it.
    pub async fn prune_audit(
        &self,
        retention: &Retention,
        now: SystemTime,
        limit: usize,
    ) -> Result<u64, StateError> {
        let AuditSize { bytes, last } = self.audit_size().await?;
        let excess = bytes.saturating_sub(retention.max_bytes);
        // Nothing but us removes rows, so what is read here is still true below.
        let anchor = self.audit_anchor().await?;
        let statement = sql("SELECT sequence, at, written, hash FROM audit
             WHERE sequence > $1 AND sequence < $2 ORDER BY sequence LIMIT $3");
        let statement = statement.bind(anchor.sequence).bind(last).bind(limit);
        let rows = self.read().all(statement).await?;
        let (mut going, mut end) = (0, anchor);
        for (index, row) in rows.iter().enumerate() {
            let removed = end.written - anchor.written;
            let at = row.time("at")?;
            let stays = removed >= excess && retention.since.is_none_or(|since| at >= since);
            if stays && at <= now + CLOCKS_APART {
                break;
            }
            if !stays {
                (going, end) = (index + 1, Anchor::read(row)?);
            }
        }
        if going > 0 {
            self.remove_audit_to(end).await?;
        }
        Ok(going as u64)
    }

    async fn remove_audit_to(&self, end: Anchor) -> Result<(), StateError> {
        let mut write = self.write().await?;
        let statement = sql(
            "UPDATE audit_anchor SET sequence = $1, written = $2, hash = $3 WHERE id = 1 AND sequence < $1",
        );
        let statement = statement.bind(end.sequence).bind(end.written).bind(end.hash);
        write.run(statement).await?;
        write.run(sql("DELETE FROM audit WHERE sequence <= $1").bind(end.sequence)).await?;
        write.commit().await
    }

    pub(super) async fn audit_anchor(&self) -> Result<Anchor, StateError> {
        let row = self.read().first(sql(Anchor::STATEMENT)).await?.ok_or_else(missing)?;
        Anchor::read(&row)
    }
}

impl Anchor {
    pub(super) const STATEMENT: &str =
        "SELECT sequence, written, hash FROM audit_anchor WHERE id = 1";

    /// Of the anchor's row, or of one that becomes it.
    pub(super) fn read(row: &Row) -> Result<Self, StateError> {
        let hash = row.optional_bytes("hash")?;
        Ok(Self {
            sequence: row.integer("sequence")?,
            written: row.count("written")?,
            hash: hash.map(|bytes| RowHash::read(&bytes)).transpose()?,
        })
    }
}

pub(super) fn missing() -> StateError {
    StateError::inconsistent("audit_anchor", "the row that a migration made is gone")
}

/// What clocks of one installation may differ by.
const CLOCKS_APART: Duration = Duration::from_hours(1);
