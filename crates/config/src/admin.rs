//! `admin`: health and metrics.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Address, ConfigError, Files, Located, Location};

/// The section `admin`. Absent: portpass serves neither health nor metrics.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// Address and port of /healthz, /readyz and /metrics. They need no authentication.
    #[schemars(required)]
    pub addr: Option<Located<Address>>,
}

/// What `admin` means.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    /// Where to listen.
    pub addr: Address,
}

impl AdminSection {
    /// Checks the values.
    pub(crate) fn build(self, place: &Location, files: &Files) -> Result<Admin, ConfigError> {
        let addr = self.addr.ok_or_else(|| {
            files
                .error(place, "admin", "the key `addr` is missing")
                .hint("as in `admin: { addr: 127.0.0.1:5001 }`")
        })?;
        Ok(Admin { addr: addr.value })
    }
}
