//! `token_service.passwords`: what a new password has to be.

use portpass_password::MinLength;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Files, Located};

/// What a password has to be when it is set. At a login nobody asks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordsSection {
    /// How many characters it has at least. Default: 8
    #[schemars(with = "Option<u64>", range(min = 1, max = 29))]
    pub min_length: Option<Located<usize>>,
}

impl PasswordsSection {
    pub(crate) fn build(typed: Option<Self>, files: &Files) -> Result<MinLength, ConfigError> {
        let Some(typed) = typed.and_then(|section| section.min_length) else {
            return Ok(MinLength::default());
        };
        MinLength::new(typed.value).ok_or_else(|| {
            let message = format!("{} is not between 1 and {}", typed.value, MinLength::MAX);
            files.error(&typed.place, "token_service.passwords.min_length", message)
        })
    }
}
