//! `log`: how much, and in which form.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, EnumAccess, VariantAccess as _, Visitor},
};
use tracing::level_filters::LevelFilter;

/// The section `log`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    /// The log has lines of this level and above. Default: info.
    pub level: Option<LogLevel>,
    /// The format of a line. Default: text.
    pub format: Option<LogFormat>,
}

/// The lowest level of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// Details for developers.
    Debug,
    /// One line for each request, and changes.
    Info,
    /// Things that an operator should look at.
    Warn,
    /// What failed.
    Error,
}

/// In any case, as distribution takes it.
impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("LogLevel", WORDS, AnyCase)
    }
}

/// Reads the word as an enum's, so that the reader knows where a wrong one stands.
struct AnyCase;

impl<'de> Visitor<'de> for AnyCase {
    type Value = LogLevel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a level")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<LogLevel, A::Error> {
        let (level, rest) = access.variant_seed(self)?;
        rest.unit_variant()?;
        Ok(level)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<LogLevel, E> {
        let mut levels = WORDS.iter().zip(LEVELS);
        let level = levels.find(|(known, _)| known.eq_ignore_ascii_case(word));
        level.map(|(_, level)| level).ok_or_else(|| E::unknown_variant(word, WORDS))
    }
}

impl<'de> DeserializeSeed<'de> for AnyCase {
    type Value = LogLevel;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<LogLevel, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What `log` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// What is written.
    pub level: LevelFilter,
    /// In which form.
    pub format: LogFormat,
}

impl LogSection {
    /// Nothing here can be wrong any more.
    pub(crate) fn build(self) -> Log {
        let level = match self.level.unwrap_or(LogLevel::Info) {
            LogLevel::Trace => LevelFilter::TRACE,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        };
        Log { level, format: self.format.unwrap_or_default() }
    }
}

const WORDS: &[&str] = &["trace", "debug", "info", "warn", "error"];
const LEVELS: [LogLevel; WORDS.len()] =
    [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
