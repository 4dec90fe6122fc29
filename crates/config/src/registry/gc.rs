//! `registry.storage.gc`: what nothing needs any more, and how long it stays.

use std::time::Duration;

use portpass_registry::gc::{GcSettings, UntaggedRule};
use schemars::JsonSchema;
use serde::Deserialize;

use super::span::span;
use crate::{ConfigError, Files, Located, Location, measure::Span};

/// The section `registry.storage.gc`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GcSection {
    /// Whether the server collects by itself. Default: true.
    pub enabled: Option<bool>,
    /// How often. Default: 1h.
    #[schemars(with = "Option<Span>")]
    pub interval: Option<Located<String>>,
    /// How long anything stays after a client was last told that it is there. Default: 2h.
    #[schemars(with = "Option<Span>")]
    pub grace: Option<Located<String>>,
    /// Which manifests without a tag go. Default: none.
    pub untagged: Option<Located<UntaggedSection>>,
}

/// The section `registry.storage.gc.untagged`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UntaggedSection {
    /// Those that have had no tag, no index and no subject for so long.
    #[schemars(required, with = "Span")]
    pub older_than: Option<Located<String>>,
    /// But not those that were pulled so lately. Default: pulls do not count.
    #[schemars(with = "Option<Span>")]
    pub unless_pulled_within: Option<Located<String>>,
}

/// What `registry.storage.gc` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gc {
    /// What goes, and when.
    pub settings: GcSettings,
    /// When the server collects.
    pub schedule: GcSchedule,
}

/// When a server collects garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GcSchedule {
    /// Only `portpass gc` does.
    Never,
    /// So often.
    Every(Duration),
}

impl GcSection {
    /// Reads and checks the values.
    pub(crate) fn build(self, files: &Files) -> Result<Gc, ConfigError> {
        let interval = span("registry.storage.gc.interval", self.interval, INTERVAL, files)?;
        let place = self.grace.as_ref().map(|grace| grace.place.clone());
        let grace = span("registry.storage.gc.grace", self.grace, GRACE, files)?;
        if let Some(place) = place.filter(|_| grace < LEAST_GRACE) {
            let message = format!(
                "{} is for tests: clients that take longer from a layer to its manifest lose the layer, and have to push it again",
                Span(grace)
            );
            files.warn(&place, "registry.storage.gc.grace", message);
        }
        let untagged = self.untagged.map(|untagged| untagged.value.build(&untagged.place, files));
        Ok(Gc {
            settings: GcSettings { grace, untagged: untagged.transpose()? },
            schedule: match self.enabled {
                Some(false) => GcSchedule::Never,
                None | Some(true) => GcSchedule::Every(interval),
            },
        })
    }
}

impl UntaggedSection {
    fn build(self, place: &Location, files: &Files) -> Result<UntaggedRule, ConfigError> {
        const OLDER_THAN: &str = "registry.storage.gc.untagged.older_than";
        const PULLED: &str = "registry.storage.gc.untagged.unless_pulled_within";
        let Some(older_than) = self.older_than else {
            let error = files.error(place, OLDER_THAN, "it is missing");
            return Err(error.hint("for those without a tag for a week, write `older_than: 7d`"));
        };
        let pulled = self.unless_pulled_within;
        Ok(UntaggedRule {
            older_than: span(OLDER_THAN, Some(older_than), GRACE, files)?,
            unless_pulled_within: pulled
                .map(|typed| span(PULLED, Some(typed), GRACE, files))
                .transpose()?,
        })
    }
}

const INTERVAL: Duration = Duration::from_hours(1);
const GRACE: Duration = Duration::from_hours(2);
/// A push over a slow line takes longer.
const LEAST_GRACE: Duration = Duration::from_mins(1);
