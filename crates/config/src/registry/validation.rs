//! `registry.validation`: what a manifest needs to be accepted, as distribution 3 has it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ConfigError, Files, Located};

/// The section `registry.validation`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidationSection {
    /// Whether the manifests that an index names have to be in the repository: `present` or `any`. Default: present
    pub indexes: Option<Located<Children>>,
    /// distribution's key for the same.
    pub manifests: Option<ManifestsSection>,
}

/// The section `registry.validation.manifests`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestsSection {
    /// What an index needs.
    pub indexes: Option<IndexesSection>,
}

/// The section `registry.validation.manifests.indexes`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexesSection {
    /// `all`: the manifests of all platforms have to be in the repository. `none`: those of no platform.
    pub platforms: Option<Located<Platforms>>,
}

/// Whether the manifests that an index names have to be there.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Children {
    /// All of them.
    Present,
    /// None of them.
    Any,
}

/// distribution's words for the same.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Platforms {
    /// All of them.
    All,
    /// None of them.
    None,
}

impl ValidationSection {
    pub(super) fn build(self, files: &Files) -> Result<Children, ConfigError> {
        let platforms = self.manifests.and_then(|manifests| manifests.indexes?.platforms);
        let foreign = platforms.map(|typed| Located {
            value: match typed.value {
                Platforms::All => Children::Present,
                Platforms::None => Children::Any,
            },
            place: typed.place,
        });
        match (self.indexes, foreign) {
            (Some(own), Some(foreign)) if own.value != foreign.value => {
                let key = "registry.validation.manifests.indexes.platforms";
                let message = "`registry.validation.indexes` says something else";
                Err(files.error(&foreign.place, key, message).hint("keep one of them"))
            }
            (Some(typed), _) | (None, Some(typed)) => Ok(typed.value),
            (None, None) => Ok(Children::Present),
        }
    }
}
