//! `audit`: how much of the trail is kept.

use std::{fmt::Display, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ConfigError, Files, Located,
    measure::{MeasureError, Size, Span},
};

/// The section `audit`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditSection {
    /// Older entries are removed. Default: 90d.
    #[schemars(with = "Option<Span>")]
    pub keep: Option<Located<String>>,
    /// The trail never takes more of the database. The oldest entries are removed first. Default: 1GiB.
    #[schemars(with = "Option<Size>")]
    pub max_size: Option<Located<String>>,
}

/// What `audit` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How long an entry is kept.
    pub keep: Duration,
    /// How much room all of them take, in bytes.
    pub max_size: u64,
}

impl AuditSection {
    /// Reads and checks the values.
    pub(crate) fn build(self, files: &Files) -> Result<Audit, ConfigError> {
        let keep = measure("audit.keep", self.keep, KEEP, &LEAST_KEPT, files)?;
        let max_size = measure("audit.max_size", self.max_size, MAX_SIZE, &LEAST_SIZE, files)?;
        Ok(Audit { keep: keep.0, max_size: max_size.0 })
    }
}

/// A value of at least `least`.
fn measure<T: FromStr<Err = MeasureError> + PartialOrd + Display>(
    key: &str,
    typed: Option<Located<String>>,
    default: T,
    least: &T,
    files: &Files,
) -> Result<T, ConfigError> {
    let Some(Located { value, place }) = typed else { return Ok(default) };
    let read: T =
        value.parse().map_err(|error| files.error(&place, key, format!("{value:?}: {error}")))?;
    if read < *least {
        let message = format!("{read} is too little: it is {least} at least");
        return Err(files.error(&place, key, message));
    }
    Ok(read)
}

const KEEP: Span = Span(Duration::from_hours(90 * 24));
const MAX_SIZE: Size = Size(1 << 30);
/// A mistyped unit must not empty the trail.
const LEAST_KEPT: Span = Span(Duration::from_hours(1));
/// Less would be filled between two looks at it.
const LEAST_SIZE: Size = Size(64 << 20);
