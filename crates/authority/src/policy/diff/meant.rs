//! What rules mean for one caller, with nothing left open.

use std::{collections::HashMap, fmt};

use portpass_pattern::{PathPattern, Placeholder};

use crate::policy::{Caller, Effect, Rule, RuleSet, Target};

/// Repositories: what a pattern means for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// As the rule has it.
    text: String,
    patterns: Vec<PathPattern>,
}

impl Family {
    /// Whether the repository is one of them.
    pub fn means(&self, repository: &str) -> bool {
        let path: Vec<&str> = repository.split('/').collect();
        self.patterns.iter().any(|pattern| pattern.matches(&path, |_, _| true))
    }

    /// Whether all of the other are here too, as far as the texts tell.
    pub(super) fn contains(&self, other: &Self) -> bool {
        let has = |narrow: &PathPattern| self.patterns.iter().any(|wide| wide.contains(narrow));
        other.patterns.iter().all(has)
    }

    pub(super) fn patterns(&self) -> &[PathPattern] {
        &self.patterns
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The patterns of both sides, each once.
#[derive(Debug, Default)]
pub(super) struct Families {
    all: Vec<Family>,
    by_text: HashMap<String, Vec<usize>>,
}

impl Families {
    pub(super) fn add(&mut self, text: String, patterns: Vec<PathPattern>) -> usize {
        let same_text = self.by_text.entry(text.clone()).or_default();
        if let Some(known) = same_text.iter().find(|place| self.all[**place].patterns == patterns) {
            return *known;
        }
        let place = self.all.len();
        same_text.push(place);
        self.all.push(Family { text, patterns });
        place
    }

    /// The patterns that are the caller's own.
    pub(super) fn own(&self) -> Vec<Vec<String>> {
        let is_own = |family: &&Family| {
            let [pattern] = &family.patterns[..] else { return true };
            pattern.to_string() != family.text
        };
        let texts = |family: &Family| family.patterns.iter().map(ToString::to_string).collect();
        self.all.iter().filter(is_own).map(texts).collect()
    }

    /// All of them; those with the same text, for members of other groups, are written out.
    pub(super) fn into_distinct(mut self) -> Vec<Family> {
        for place in self.by_text.into_values().filter(|places| places.len() > 1).flatten() {
            let family = &mut self.all[place];
            family.text =
                family.patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        }
        self.all
    }
}

/// A rule that is about the caller.
#[derive(Debug)]
pub(super) struct Meant<'a> {
    /// Its place in its list.
    pub(super) place: usize,
    pub(super) rule: &'a Rule,
    /// On which repositories; `None` is the catalog.
    pub(super) family: Option<usize>,
}

impl Meant<'_> {
    /// Whether both say the same to this caller.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        self.family == other.family
            && self.rule.effect == other.rule.effect
            && self.rule.actions == other.rule.actions
            && self.rule.lifetime == other.rule.lifetime
            && self.rule.conditions == other.rule.conditions
    }
}

/// The rules that are about the caller.
pub(super) fn meant<'a>(
    rules: &'a RuleSet,
    caller: Caller<'_>,
    families: &mut Families,
) -> Vec<Meant<'a>> {
    let mut all = Vec::new();
    for (place, rule) in rules.rules().iter().enumerate() {
        if !rule.applies_to(caller) {
            continue;
        }
        let family = match &rule.target {
            Target::Catalog => None,
            Target::Repository(pattern) => {
                let patterns = pattern.with(|placeholder| values(rule, placeholder, caller));
                if patterns.is_empty() {
                    continue;
                }
                Some(families.add(pattern.to_string(), patterns))
            }
        };
        all.push(Meant { place, rule, family });
    }
    all
}

/// The texts that a placeholder of the rule can stand for; `None` is any.
fn values<'a>(rule: &Rule, placeholder: &Placeholder, caller: Caller<'a>) -> Option<Vec<&'a str>> {
    // A deny binds callers who have nothing that the placeholder could stand for.
    let absent = || (rule.effect == Effect::Allow).then(Vec::new);
    let Some(name) = caller.name() else { return absent() };
    match placeholder {
        Placeholder::Account => Some(vec![name]),
        Placeholder::Group => {
            let reaches = |group: &&str| rule.to.iter().any(|to| to.reaches_by(group, caller));
            Some(caller.groups().filter(reaches).collect())
        }
        Placeholder::Label(label) => match caller.label(label) {
            Some(values) => Some(values.iter().map(|value| &**value).collect()),
            None => absent(),
        },
    }
}
