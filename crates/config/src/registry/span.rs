//! Lengths of time that say when something goes.

use std::time::Duration;

use crate::{ConfigError, Files, Located, measure::Span};

/// A length of time from a second to ten years.
pub(super) fn span(
    key: &str,
    typed: Option<Located<String>>,
    default: Duration,
    files: &Files,
) -> Result<Duration, ConfigError> {
    let Some(Located { value, place }) = typed else { return Ok(default) };
    let read: Span =
        value.parse().map_err(|error| files.error(&place, key, format!("{value:?}: {error}")))?;
    if (LEAST..=MOST).contains(&read) {
        return Ok(read.0);
    }
    let message = format!("{read} is no time for this: it is {LEAST} at least, and {MOST} at most");
    Err(files.error(&place, key, message))
}

const LEAST: Span = Span(Duration::from_secs(1));
const MOST: Span = Span(Duration::from_hours(3650 * 24));
