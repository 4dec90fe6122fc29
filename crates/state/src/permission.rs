//! What robots and API keys have in common: a permission, and one version that others watch.

use serde::{Deserialize, Serialize};

use crate::{AuditRecord, StateError, meta::Counter, sql::Row, writer::Write};

/// What a robot or an API key may do, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// `pull`, `push`, `delete` or `*`.
    pub actions: Vec<String>,
    /// Patterns of repositories.
    pub repositories: Vec<String>,
}

impl Permission {
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    pub(crate) fn read(row: &Row) -> Result<Self, StateError> {
        let permission = row.optional_json("permission")?;
        permission.ok_or_else(|| StateError::inconsistent("permission", "there is none"))
    }
}

/// Ends a transaction that changed a robot or a key: the record goes with the change, and whoever watches
/// the version learns of it.
pub(crate) async fn commit(mut write: Write, audit: &AuditRecord) -> Result<(), StateError> {
    Counter::Robots.raise(&mut write).await?;
    audit.append(&mut write).await?;
    write.commit().await
}
