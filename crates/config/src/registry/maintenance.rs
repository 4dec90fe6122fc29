//! `registry.storage.maintenance`: what an operator does to the storage.

use schemars::JsonSchema;
use serde::Deserialize;

/// The section `registry.storage.maintenance`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceSection {
    /// Pulls without pushes.
    pub readonly: Option<ReadOnlySection>,
}

/// The section `registry.storage.maintenance.readonly`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadOnlySection {
    /// Whether the registry refuses to change anything. Default: no; `portpass readonly` switches a running server.
    pub enabled: Option<bool>,
}

impl MaintenanceSection {
    pub(super) fn is_read_only(&self) -> bool {
        self.readonly.as_ref().and_then(|section| section.enabled).unwrap_or(false)
    }
}
