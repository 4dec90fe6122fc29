//! What repositories may hold, and for how long.

use std::time::Duration;

use portpass_pattern::{PathPattern, WordPattern};
use portpass_protocol::{RepositoryName, Tag};

use crate::immutable::ImmutableTags;

/// What repositories may hold, and for how long.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Which tags must not move.
    pub immutable: ImmutableTags,
    /// Which tags stay.
    pub retention: Retention,
}

/// `registry.retention`.
#[derive(Debug, Clone, Default)]
pub struct Retention {
    /// In their order: about each tag the first that means it decides.
    pub rules: Vec<RetentionRule>,
    /// How often the server applies them.
    pub interval: Duration,
}

/// What some repositories keep.
#[derive(Debug, Clone, Default)]
pub struct RetentionRule {
    /// What reports call it.
    pub name: Box<str>,
    /// In which repositories: one of these has to mean it.
    pub repositories: Vec<PathPattern>,
    /// Which tags it decides about: one of these has to match.
    pub tags: Vec<WordPattern>,
    /// Keeps so many of the tags that it decides about in a repository, those that were pushed last.
    pub keep_last: Option<usize>,
    /// Keeps tags that were pushed within this time.
    pub keep_younger: Option<Duration>,
    /// Keeps what was pulled within this time.
    pub keep_pulled_within: Option<Duration>,
    /// Keeps tags that match one of these.
    pub keep: Vec<WordPattern>,
}

impl RetentionRule {
    /// Whether it says what to keep. Otherwise it would drop all.
    pub fn decides(&self) -> bool {
        self.keep_last.is_some()
            || self.keep_younger.is_some()
            || self.keep_pulled_within.is_some()
            || !self.keep.is_empty()
    }

    pub(crate) fn is_about(&self, repository: &RepositoryName) -> bool {
        self.repositories.iter().any(|pattern| pattern.means(repository.as_str()))
    }

    pub(crate) fn names(&self, tag: &Tag) -> bool {
        self.tags.iter().any(|pattern| pattern.matches(tag.as_str()))
    }
}
