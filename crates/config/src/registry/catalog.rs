//! `registry.catalog`: how repositories are listed.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ConfigError, Files, Located};

/// The section `registry.catalog`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogSection {
    /// How many names one answer has at most. Default: 1000
    pub maxentries: Option<Located<u32>>,
}

/// What `registry.catalog` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catalog {
    /// How many names one answer has at most.
    pub max_entries: NonZeroUsize,
}

impl CatalogSection {
    pub(super) fn build(self, files: &Files) -> Result<Catalog, ConfigError> {
        let max_entries = match self.maxentries {
            None => DEFAULT,
            Some(Located { value, place }) => usize::try_from(value)
                .ok()
                .and_then(NonZeroUsize::new)
                .filter(|number| *number <= MOST)
                .ok_or_else(|| {
                    let message = format!("1 to {MOST} are possible");
                    files.error(&place, "registry.catalog.maxentries", message)
                })?,
        };
        Ok(Catalog { max_entries })
    }
}

/// distribution's.
const DEFAULT: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");

/// A page is read as a whole.
const MOST: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
