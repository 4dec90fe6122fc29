//! `registry.retention`: which tags stay.

use std::{num::NonZeroU32, time::Duration};

use portpass_registry::{Retention, RetentionRule};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    rules::{RuleReader, words},
    span::span,
};
use crate::{ConfigError, Files, Located, measure::Span, one_or_many::OneOrMany, said::said};

/// The section `registry.retention`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionSection {
    /// How often the server applies the rules. Default: 1d.
    #[schemars(with = "Option<Span>")]
    pub interval: Option<Located<String>>,
    /// The rules: about each tag the first that matches it decides. A tag that none matches stays.
    pub rules: Option<Vec<Located<RetentionRuleSection>>>,
}

/// What some repositories keep.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionRuleSection {
    /// What reports call the rule.
    #[schemars(required)]
    pub name: Option<String>,
    /// The repositories: `*` matches within a segment, `**` across segments. Default: all
    #[serde(default, deserialize_with = "said")]
    pub repositories: Option<OneOrMany>,
    /// The tags that it decides about: `*` is any run of characters, `?` is one. Default: all
    #[serde(default, deserialize_with = "said")]
    pub tags: Option<OneOrMany>,
    /// Keeps so many of these tags in each repository, those that were pushed last.
    #[schemars(with = "Option<NonZeroU32>")]
    pub keep_last: Option<Located<String>>,
    /// Keeps tags that were pushed within this time.
    #[schemars(with = "Option<Span>")]
    pub keep_younger: Option<Located<String>>,
    /// Keeps tags that were pulled within this time, by name or by digest.
    #[schemars(with = "Option<Span>")]
    pub keep_pulled_within: Option<Located<String>>,
    /// Keeps tags that match one of these.
    #[serde(default, deserialize_with = "said")]
    pub keep: Option<OneOrMany>,
}

impl RetentionSection {
    /// Reads and checks the rules.
    pub(super) fn build(self, files: &Files) -> Result<Retention, ConfigError> {
        let interval = span("registry.retention.interval", self.interval, INTERVAL, files)?;
        let mut reader = RuleReader::new("registry.retention.rules", files);
        let rules = self.rules.unwrap_or_default().into_iter();
        let rules = rules.map(|rule| rule_of(rule, &mut reader, files));
        Ok(Retention { rules: rules.collect::<Result<_, _>>()?, interval })
    }
}

fn rule_of(
    typed: Located<RetentionRuleSection>,
    reader: &mut RuleReader<'_>,
    files: &Files,
) -> Result<RetentionRule, ConfigError> {
    let Located { value: typed, place } = typed;
    let head = reader.rule(typed.name, &place)?;
    let count = |Located { value, place }: Located<String>| {
        value.parse().map_err(|_| {
            let key = "registry.retention.rules.keep_last";
            let why = "it is no number of tags to keep: write 1 or more, or leave it out";
            files.error(&place, key, format!("{value:?}: {why}"))
        })
    };
    let keep_last: Option<NonZeroU32> = typed.keep_last.map(count).transpose()?;
    let time = |key: &str, typed: Option<Located<String>>| {
        let key = format!("registry.retention.rules.{key}");
        typed.map(|typed| span(&key, Some(typed), INTERVAL, files)).transpose()
    };
    let rule = RetentionRule {
        repositories: head.repositories(typed.repositories)?,
        tags: words(typed.tags, "*"),
        keep_last: keep_last.map(|count| usize::try_from(count.get()).unwrap_or(usize::MAX)),
        keep_younger: time("keep_younger", typed.keep_younger)?,
        keep_pulled_within: time("keep_pulled_within", typed.keep_pulled_within)?,
        keep: words(typed.keep, ""),
        name: Box::default(),
    };
    if !rule.decides() {
        let error = head.error("name", "it says nothing of what to keep, so it would drop all");
        let keys = "`keep_last`, `keep_younger`, `keep_pulled_within` and `keep`";
        return Err(error.hint(format!("give it one or more of {keys}, as in `keep_last: 10`")));
    }
    Ok(RetentionRule { name: head.into_name(), ..rule })
}

const INTERVAL: Duration = Duration::from_hours(24);
