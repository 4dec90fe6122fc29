//! `log`: how much, and in which form.

use schemars::JsonSchema;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;

/// What was typed under `log`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    /// Lines of this weight and above are written. Default: info.
    pub level: Option<LogLevel>,
    /// How a line looks. Default: text.
    pub format: Option<LogFormat>,
}

/// How grave a line must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What a developer asks for.
    Debug,
    /// One line per request, and what changes.
    Info,
    /// What somebody should look at.
    Warn,
    /// What failed.
    Error,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
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
