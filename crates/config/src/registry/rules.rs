//! What the rules about repositories have in common: a name of their own, patterns of repositories and of tags.

use std::collections::BTreeSet;

use portpass_pattern::{PathPattern, WordPattern};

use crate::{ConfigError, Files, Location, one_or_many::OneOrMany};

/// Reads the rules below one key.
pub(super) struct RuleReader<'a> {
    key: &'static str,
    files: &'a Files,
    names: BTreeSet<Box<str>>,
}

impl<'a> RuleReader<'a> {
    pub(super) fn new(key: &'static str, files: &'a Files) -> Self {
        Self { key, files, names: BTreeSet::new() }
    }

    /// A rule needs a name, for refusals and reports, and has it for itself.
    pub(super) fn rule(
        &mut self,
        name: Option<String>,
        place: &Location,
    ) -> Result<RuleHead<'a>, ConfigError> {
        let error = |message: String| self.files.error(place, self.key, message);
        let Some(name) = name else {
            let error = error("the rule has no `name`".to_owned());
            return Err(error.hint("as in `name: releases`: refusals and reports call it so"));
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=MAX_NAME).contains(&name.len()) || !name.chars().all(legal) {
            return Err(error(format!(
                "{name:?} cannot be the name of a rule: it has 1 to {MAX_NAME} ASCII letters, digits and `._-`"
            )));
        }
        let name: Box<str> = name.into();
        if !self.names.insert(name.clone()) {
            return Err(error(format!("there are two rules called `{name}`")));
        }
        Ok(RuleHead { key: self.key, files: self.files, place: place.clone(), name })
    }
}

/// A rule that has a name.
pub(super) struct RuleHead<'a> {
    key: &'static str,
    files: &'a Files,
    place: Location,
    name: Box<str>,
}

impl RuleHead<'_> {
    pub(super) fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let message = format!("rule `{}`: {}", self.name, message.into());
        self.files.error(&self.place, &format!("{}.{key}", self.key), message)
    }

    /// Patterns that mean the same repositories whoever asks; all repositories by default.
    pub(super) fn repositories(
        &self,
        typed: Option<OneOrMany>,
    ) -> Result<Vec<PathPattern>, ConfigError> {
        let read = |text: &String| {
            PathPattern::parse_fixed(text)
                .map_err(|why| self.error("repositories", format!("{text:?}: {why}")))
        };
        let words = typed.map_or_else(|| vec!["**".to_owned()], |OneOrMany(words)| words);
        let patterns = words.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        match patterns.iter().find_map(|pattern| Some((pattern, pattern.upper_case()?))) {
            None => Ok(patterns),
            Some((pattern, letter)) => Err(self.error(
                "repositories",
                format!("\"{pattern}\" matches nothing: names of repositories have no capital letters, and this has {letter:?}"),
            )),
        }
    }

    pub(super) fn into_name(self) -> Box<str> {
        self.name
    }
}

/// Globs over tags; `default` where nothing was said, unless it is empty.
pub(super) fn words(typed: Option<OneOrMany>, default: &str) -> Vec<WordPattern> {
    match typed {
        Some(OneOrMany(words)) => words.iter().map(|word| WordPattern::new(word)).collect(),
        None if default.is_empty() => Vec::new(),
        None => vec![WordPattern::new(default)],
    }
}

const MAX_NAME: usize = 64;
