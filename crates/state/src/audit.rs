//! The audit trail: rows that are only ever added.

use std::time::SystemTime;

use crate::{Db, StateError};

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
        todo!("{records:?}")
    }

    /// The entries after a place in the trail, oldest first.
    pub async fn audit_after(
        &self,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StateError> {
        todo!("{sequence} {limit}")
    }

    /// The latest entries, newest first.
    pub async fn latest_audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StateError> {
        todo!("{limit}")
    }
}
