//! `limits`, wherever passwords are checked.

use schemars::JsonSchema;
use serde::Deserialize;

/// The section `limits`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSection {
    /// Whether failed logins are limited. Default: yes
    pub enabled: Option<bool>,
}

/// Whether attempts are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Per address and per account.
    Limited,
    /// For tests and benchmarks.
    Unlimited,
}

impl LimitsSection {
    /// What a section means that may not be there.
    pub(super) fn build(section: Option<&Self>) -> Attempts {
        match section.and_then(|limits| limits.enabled) {
            Some(false) => Attempts::Unlimited,
            Some(true) | None => Attempts::Limited,
        }
    }
}
