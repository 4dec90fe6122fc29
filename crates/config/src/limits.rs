//! `limits`: how often passwords may be tried, and tokens asked for.

use portpass_password::limits::{Quota, RateSettings};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Files, Located, measure::Rate};

/// The section `limits`, wherever passwords are checked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSection {
    /// Whether failed logins are limited. Default: yes
    pub enabled: Option<bool>,
}

/// The section `limits` of the token service.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenLimitsSection {
    /// Whether failed logins are limited. Default: yes
    pub enabled: Option<bool>,
    /// How many token requests are answered, also right ones. Default: as many as come
    pub requests: Option<RequestsSection>,
}

/// The section `limits.requests`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestsSection {
    /// Of one account, from anywhere.
    #[schemars(with = "Option<Rate>")]
    pub account: Option<Located<String>>,
    /// From one address, or the IPv6 /64 it is in.
    #[schemars(with = "Option<Rate>")]
    pub address: Option<Located<String>>,
}

/// Whether attempts are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Per address and per account.
    Limited,
    /// For tests and benchmarks.
    Unlimited,
}

impl Attempts {
    fn new(enabled: Option<bool>) -> Self {
        match enabled {
            Some(false) => Self::Unlimited,
            Some(true) | None => Self::Limited,
        }
    }
}

impl LimitsSection {
    /// What a section means that may not be there.
    pub(super) fn build(section: Option<&Self>) -> Attempts {
        Attempts::new(section.and_then(|limits| limits.enabled))
    }
}

impl TokenLimitsSection {
    /// What a section means that may not be there.
    pub(super) fn build(
        section: Option<Self>,
        files: &Files,
    ) -> Result<(Attempts, RateSettings), ConfigError> {
        let section = section.unwrap_or_default();
        let requests = section.requests.unwrap_or_default();
        let rates = RateSettings {
            account: quota("account", requests.account, files)?,
            address: quota("address", requests.address, files)?,
        };
        Ok((Attempts::new(section.enabled), rates))
    }
}

/// As many at once as the rate has in its time, then evenly.
fn quota(
    key: &str,
    typed: Option<Located<String>>,
    files: &Files,
) -> Result<Option<Quota>, ConfigError> {
    let Some(Located { value, place }) = typed else { return Ok(None) };
    let rate: Rate = value.parse().map_err(|error| {
        let key = format!("token_service.limits.requests.{key}");
        files.error(&place, &key, format!("{value:?}: {error}"))
    })?;
    Ok(Some(Quota { burst: rate.count, refill: rate.per / rate.count }))
}
