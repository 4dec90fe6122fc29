//! Lengths of time and of files, and rates, as people write them: `90d`, `1GiB`, `600/m`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A whole number of seconds, minutes, hours, days or weeks: `45s`, `10m`, `2h`, `90d`, `4w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A whole number of bytes: `500MB`, `64MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// How many in how long: `10/s`, `600/m`, `5000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least one.
    pub count: u32,
    /// A second, a minute or an hour.
    pub per: Duration,
}

impl FromStr for Span {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, MeasureError> {
        let seconds = measure(text, SPANS).ok_or(MeasureError::Span)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl FromStr for Size {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, MeasureError> {
        measure(text, SIZES).map(Self).ok_or(MeasureError::Size)
    }
}

impl FromStr for Rate {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, MeasureError> {
        let rate = || {
            let (count, unit) = text.split_once('/')?;
            let (_, seconds) = SPANS[..3].iter().find(|(name, _)| *name == unit.trim())?;
            let digits = Some(count.trim()).filter(|c| c.bytes().all(|b| b.is_ascii_digit()))?;
            let count = digits.parse().ok().filter(|count| (1..=MAX_COUNT).contains(count))?;
            Some(Self { count, per: Duration::from_secs(*seconds) })
        };
        rate().ok_or(MeasureError::Rate)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(f, self.0.as_secs(), SPANS)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(f, self.0, SIZES)
    }
}

/// A number with one of the units behind it.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, worth) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*worth)
}

/// By the largest unit of which it is a whole number.
fn written(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)]) -> fmt::Result {
    let whole =
        units.iter().rev().find(|(_, worth)| number >= *worth && number.is_multiple_of(*worth));
    match whole {
        Some((name, worth)) => write!(f, "{}{name}", number / worth),
        None => write!(f, "{number}{}", units[0].0),
    }
}

/// In the order of what they are worth.
const SPANS: &[(&str, u64)] =
    &[("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600), ("w", 7 * 24 * 3600)];
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// A rate's count is no more than the counters can tell apart.
const MAX_COUNT: u32 = 1_000_000;

/// A text that is no measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// No length of time.
    #[error("expected a whole number and a unit: `45s`, `10m`, `2h`, `90d` or `4w`")]
    Span,
    /// No rate.
    #[error("expected a number up to {MAX_COUNT} and a time: `10/s`, `600/m` or `5000/h`")]
    Rate,
    /// No number of bytes.
    #[error("expected a whole number and a unit: `500MB`, `64MiB` or `1GiB`")]
    Size,
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *(s|m|h|d|w)$" })
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ */ *(s|m|h)$" })
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *([kMGT]?B|[KMGT]iB)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_read_as_people_write_them() {
        for (text, seconds) in
            [("45s", 45), ("10m", 600), ("2h", 7200), ("90d", 7_776_000), ("4 w", 2_419_200)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for (text, bytes) in
            [("7B", 7), ("500MB", 500_000_000), ("64MiB", 64 << 20), ("1 GiB", 1 << 30)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for (text, count, seconds) in [("10/s", 10, 1), ("600/m", 600, 60), ("1 / h", 1, 3600)] {
            let per = Duration::from_secs(seconds);
            assert_eq!(text.parse(), Ok(Rate { count, per }), "{text}");
        }
        for text in ["", "600", "/m", "0/m", "-1/m", "600/d", "1.5/s", "1000001/s", "6/m/s", "٣/s"]
        {
            assert_eq!(text.parse::<Rate>(), Err(MeasureError::Rate), "{text}");
        }
        for text in ["", "d", "90", "-1d", "1.5d", "90 days", "1d2h", "99999999999999999999d", "٣d"]
        {
            assert_eq!(text.parse::<Span>(), Err(MeasureError::Span), "{text}");
        }
        for text in ["", "1", "1G", "1gib", "GiB", "99999999TiB"] {
            assert_eq!(text.parse::<Size>(), Err(MeasureError::Size), "{text}");
        }
    }

    #[test]
    fn measures_are_written_by_the_largest_unit_that_fits() {
        for text in ["45s", "90m", "2h", "90d", "4w", "0s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["1GiB", "64MiB", "500MB", "1025B", "0B"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }
}
