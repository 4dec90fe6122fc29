//! Pulls without pushes: the switch of a registry.

use std::time::SystemTime;

use portpass_authority::audit::Action;
use portpass_state::Change;
use serde::Serialize;

use super::{AdminError, Installation, serialize_optional_time};

/// Whether a registry refuses to change anything, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReadOnlyStatus {
    /// Whether it does.
    pub readonly: bool,
    /// Whether the configuration says so: then only the configuration can end it.
    pub configured: bool,
    /// Since when the switch is on.
    #[serde(serialize_with = "serialize_optional_time")]
    pub switched_on: Option<SystemTime>,
}

impl Installation {
    /// What it is now.
    pub async fn read_only(&self) -> Result<ReadOnlyStatus, AdminError> {
        let registry = self.config.registry.as_ref().ok_or(AdminError::NoRegistry)?;
        let (configured, switched_on) = (registry.read_only, self.db.read_only_since().await?);
        Ok(ReadOnlyStatus {
            readonly: configured || switched_on.is_some(),
            configured,
            switched_on,
        })
    }

    /// Before something is changed that a read-only registry keeps.
    pub(crate) async fn require_writable(&self) -> Result<(), AdminError> {
        if self.read_only().await?.readonly { Err(AdminError::ReadOnly) } else { Ok(()) }
    }

    /// Turns the switch on; a server on this database follows within two seconds.
    pub async fn make_read_only(&self) -> Result<Change, AdminError> {
        self.read_only().await?;
        let record = self.record(Action::ReadOnlyOn, "");
        Ok(self.db.make_read_only(self.now(), &without_object(record)).await?)
    }

    /// Turns the switch off.
    pub async fn make_writable(&self) -> Result<Change, AdminError> {
        if self.read_only().await?.configured {
            return Err(AdminError::ReadOnlyConfigured);
        }
        let record = self.record(Action::ReadOnlyOff, "");
        Ok(self.db.make_writable(&without_object(record)).await?)
    }
}

fn without_object(record: portpass_state::AuditRecord) -> portpass_state::AuditRecord {
    portpass_state::AuditRecord { object: None, ..record }
}
