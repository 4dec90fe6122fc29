//! What the sections of servers that are far away have in common.

use std::{num::NonZeroUsize, ops::RangeInclusive, path::PathBuf, time::Duration};

use portpass_authority::subject::SourceName;
use portpass_jose::pem;
use rustls_pki_types::CertificateDer;

use crate::{
    ConfigError, Files, Located, Location,
    measure::{MeasureError, Span},
};

/// Whether a source of the kind `own` is called as another kind is where nobody says otherwise: rules and sessions
/// would take one for the other.
pub(super) fn is_of_another_kind(name: &SourceName, own: &str) -> bool {
    name.as_str() != own && KINDS.contains(&name.as_str())
}

/// Says what is wrong with a section, and where.
pub(crate) struct Section<'a> {
    /// The key that it stands at.
    pub(crate) key: &'static str,
    /// Where it begins.
    pub(crate) place: &'a Location,
    /// What it names is read from there.
    pub(crate) files: &'a Files,
}

impl Section<'_> {
    /// The key below this one, from the top of the file.
    pub(crate) fn key_of(&self, key: &str) -> String {
        format!("{}.{key}", self.key)
    }

    pub(crate) fn missing(&self, key: &str) -> ConfigError {
        self.files.error(self.place, self.key, format!("the key `{key}` is missing"))
    }

    pub(crate) fn error<T>(
        &self,
        key: &str,
        typed: &Located<T>,
        message: impl AsRef<str>,
    ) -> ConfigError {
        self.files.error(&typed.place, &self.key_of(key), message)
    }

    /// The certificates in a file, as many as there are.
    pub(crate) fn authorities(
        &self,
        ca: &Located<PathBuf>,
    ) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let bytes = self.files.read(&self.key_of("ca"), ca)?;
        let read: Result<_, _> = pem::blocks(&bytes).collect();
        read.map_err(|error| self.no_authorities(ca, &error.to_string()))
    }

    /// That nobody can be trusted by this file.
    pub(super) fn no_authorities(&self, ca: &Located<PathBuf>, reason: &str) -> ConfigError {
        let message = format!("{}: {reason}", self.files.resolve(ca).display());
        self.error("ca", ca, message).hint("expected certificates of authorities in PEM form")
    }

    /// How many at once.
    pub(crate) fn number<N: Copy + TryInto<usize>>(
        &self,
        key: &str,
        typed: Option<&Located<N>>,
        default: NonZeroUsize,
        most: NonZeroUsize,
    ) -> Result<NonZeroUsize, ConfigError> {
        let Some(typed) = typed else { return Ok(default) };
        let number = typed.value.try_into().ok().and_then(NonZeroUsize::new);
        number
            .filter(|number| *number <= most)
            .ok_or_else(|| self.error(key, typed, format!("1 to {most} are possible")))
    }

    pub(crate) fn span(
        &self,
        key: &str,
        typed: Option<&Located<String>>,
        default: Duration,
        possible: RangeInclusive<Duration>,
    ) -> Result<Duration, ConfigError> {
        let Some(typed) = typed else { return Ok(default) };
        let Span(span) = typed
            .value
            .parse()
            .map_err(|error: MeasureError| self.error(key, typed, error.to_string()))?;
        if possible.contains(&span) {
            return Ok(span);
        }
        let (least, most) = possible.into_inner();
        Err(self.error(key, typed, format!("{} to {} are possible", Span(least), Span(most))))
    }
}

const KINDS: [&str; 6] = ["local", "htpasswd", "http", "ldap", "robot", "workload"];
