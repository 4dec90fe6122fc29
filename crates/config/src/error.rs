//! What is wrong with a configuration: where, what was expected, what may help.

use std::fmt::Write as _;

use portpass_protocol::printable::is_unprintable;
use serde_saphyr::Error as YamlError;

use super::type_error::{self, Key};

/// What is wrong, where, and what may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    message: String,
    hints: Vec<String>,
}

impl ConfigError {
    /// An error at `place`, which is written in front of the sentence.
    pub(crate) fn at(place: impl AsRef<str>, message: impl AsRef<str>) -> Self {
        Self::new(format!("{}: {}", place.as_ref(), message.as_ref()))
    }

    /// An error of the whole, which has no place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: visible(&message.into()), hints: Vec::new() }
    }

    /// Adds a line that says what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(visible(&hint.into()));
        self
    }

    /// What may help, most likely first.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// What the YAML reader found in `file`, at `key`. The text of the file is not repeated: it may hold passwords.
    pub(super) fn from_yaml(file: &str, key: &Key, error: &YamlError) -> Self {
        let error = error.without_snippet();
        let mut place = file.to_owned();
        if let Some(location) = error.location().filter(|location| location.line() > 0) {
            // Writing to a String cannot fail.
            let _ = write!(place, ":{}:{}", location.line(), location.column());
        }
        if let Some(sentence) = type_error::sentence(error, key) {
            return Self::at(place, sentence);
        }
        match error {
            YamlError::SerdeUnknownField { field, expected, .. } => {
                let error = Self::at(place, format!("unknown key `{field}`"));
                suggest(error, field, expected)
            }
            YamlError::SerdeUnknownVariant { variant, expected, .. } => {
                let error = Self::at(place, format!("unknown word `{variant}`"));
                suggest(error, variant, expected)
            }
            YamlError::SerdeMissingField { field, .. } => {
                Self::at(place, format!("the key `{field}` is missing"))
            }
            YamlError::DuplicateMappingKey { key, .. } => {
                let key = key.as_deref().unwrap_or("?");
                Self::at(place, format!("the key `{key}` is there twice"))
            }
            YamlError::SerdeInvalidType { unexpected, expected, .. }
            | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
                Self::at(place, format!("found {}, expected {expected}", in_words(unexpected)))
            }
            YamlError::Message { msg, .. } => Self::at(place, msg),
            YamlError::InvalidScalar { ty, .. } => {
                Self::at(place, format!("expected {}", in_words(ty)))
            }
            YamlError::InvalidBooleanStrict { .. } => Self::at(place, "expected `true` or `false`"),
            YamlError::MultipleDocuments { .. } => {
                Self::at(place, "a second YAML document follows, and only one is read")
                    .hint("put everything into one document, without a line `---`")
            }
            other => Self::at(place, sentence(&other.to_string())),
        }
    }
}

/// What a file says may be repeated, but moves no cursor.
fn visible(text: &str) -> String {
    let shown =
        |c: char| if is_unprintable(c) && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// What the YAML reader calls a type, as people do.
fn in_words(scalar: &str) -> &str {
    match scalar {
        "u64" => "a whole number",
        "bool" => "`true` or `false`",
        "sequence" => "a list",
        "map" => "keys",
        other => other,
    }
}

/// Adds the nearest expected word, the whole list, and what is known about words of elsewhere.
fn suggest(mut error: ConfigError, found: &str, expected: &[&'static str]) -> ConfigError {
    if let Some(near) = nearest(found, expected.iter().copied()) {
        error = error.hint(format!("did you mean `{near}`?"));
    }
    if let Some((_, hint)) = FOREIGN.iter().find(|(word, _)| *word == found) {
        error = error.hint(*hint);
    }
    if expected.is_empty() {
        error.hint("no key is expected here")
    } else {
        let list: Vec<String> = expected.iter().map(|word| format!("`{word}`")).collect();
        error.hint(format!("expected one of {}", list.join(", ")))
    }
}

/// The candidate that a typing error may have been meant for.
pub(crate) fn nearest<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(found, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 6)
        .map(|(_, candidate)| candidate)
}

/// The first line of the YAML reader's text, as our sentences look: lower case, no place, no full stop.
fn sentence(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let first = first.rsplit_once(" at line ").map_or(first, |(sentence, _)| sentence);
    first.trim_start_matches("error: ").trim_end_matches('.').to_owned()
}

/// Words of other servers' files, or of later versions, and what to do with them.
const FOREIGN: &[(&str, &str)] = &[
    ("auth", "`auth` belongs under `registry`, next to `storage`"),
    ("storage", "`storage` belongs under `registry`, next to `auth`"),
    ("loglevel", "the level is `log: { level: … }`"),
    ("formatter", "the format is `log: { format: text }` or `json`"),
    ("debug", "metrics and health have their own section: `admin: { addr: 127.0.0.1:5001 }`"),
    ("s3", "this version supports only `filesystem`"),
    ("azure", "this version supports only `filesystem`"),
    ("gcs", "this version supports only `filesystem`"),
    ("inmemory", "this version supports only `filesystem`"),
    ("swift", "this version supports only `filesystem`"),
    ("oss", "this version supports only `filesystem`"),
    ("cache", "the registry has its own cache, without settings: leave it out"),
    ("uploadpurging", "the registry removes old uploads by itself: leave it out"),
    ("redirect", "the registry serves blobs itself: leave it out"),
    ("tag", "the registry lists tags from its database: leave it out"),
    ("proxy", "this registry cannot mirror another one"),
    ("notifications", "`notifications` belongs under `registry`, next to `storage`"),
    ("middleware", "the registry has no middleware"),
    ("redis", "the registry does not use Redis: leave it out"),
    ("health", "health is served at `admin: { addr: 127.0.0.1:5001 }`"),
    ("compatibility", "schema 1 is not supported: leave it out"),
    ("validation", "the registry always checks manifests: leave it out"),
    ("catalog", "a page of the catalog has at most 1000 names: leave it out"),
    ("secret", "uploads need no shared secret: leave it out"),
    ("relativeurls", "URLs use `http.host`, or the host of the client's request: leave it out"),
    ("prefix", "clients ask for /v2/ at the root: leave it out"),
    ("net", "listeners use TCP: leave it out"),
    ("draintimeout", "a stop always waits for requests in progress: leave it out"),
    ("http2", "HTTP/2 is always on: leave it out"),
    ("h2c", "HTTP/2 is always on: leave it out"),
    ("letsencrypt", "certificates come from files; the server reads them again when they change"),
    ("clientcas", "clients authenticate with tokens and passwords, not with certificates"),
    ("minimumtls", "the server supports TLS 1.2 and 1.3: leave it out"),
    ("ciphersuites", "the server uses the safe cipher suites of TLS 1.2 and 1.3: leave it out"),
    ("fields", "you cannot add fields to log lines: leave it out"),
    ("accesslog", "the log has one line per request, at level info: leave it out"),
    ("hooks", "the log goes only to stderr: leave it out"),
    ("reporting", "portpass sends no reports to other services: leave it out"),
    (
        "autoredirectforcetls",
        "the realm has the scheme of the client's connection, or that of `http.host`",
    ),
];
