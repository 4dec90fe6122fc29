//! The ACL of docker_auth, read as docker_auth reads it: entries have an order, and the first that matches decides.
//!
//! A second [`Policy`], for those who move in and want no change. What it cannot do as docker_auth does, it refuses
//! when it is read, or denies where a request would make it work without end.

use std::collections::BTreeMap;

use portpass_protocol::access::{Access, Action, Actions};

use crate::{
    policy::{AppliedRule, Decision, Effect, NearMiss, Policy, Request, RuleId},
    subject::{Account, AccountName, Group, Labels, SourceName},
};

mod effort;
mod entry;
mod glob;
mod go_regex;
mod network;
mod pattern;
#[cfg(test)]
mod tests;

use self::{
    effort::{Effort, TooMuch},
    entry::{Condition, Entry, Question},
    pattern::{Pattern, RegexCache},
};

pub use self::{
    entry::{EntryProblem, EntryText},
    go_regex::RegexProblem,
    network::NetworkProblem,
    pattern::PatternProblem,
};

/// An ACL, compiled once.
#[derive(Debug)]
pub struct Acl {
    entries: Vec<Entry>,
    texts: Vec<String>,
    people: BTreeMap<AccountName, Labels>,
    group_labels: Vec<String>,
    cache: RegexCache,
}

impl Acl {
    /// Understands every entry, or names the first that is wrong.
    pub fn parse(texts: Vec<EntryText>) -> Result<Self, AclError> {
        let written = texts.iter().map(ToString::to_string).collect();
        let entries = texts.into_iter().enumerate().map(|(at, text)| {
            Entry::parse(text).map_err(|problem| AclError { entry: RuleId::at(at), problem })
        });
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
            texts: written,
            people: BTreeMap::new(),
            group_labels: vec![GROUPS.to_owned()],
            cache: RegexCache::new(),
        })
    }

    /// Also labels these accounts of ours, by password: what `users` of the same file says of them.
    #[must_use]
    pub fn with_labels(mut self, people: BTreeMap<AccountName, Labels>) -> Self {
        self.people = people;
        self
    }

    /// Also gives the account's groups under these labels.
    #[must_use]
    pub fn with_group_labels(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.group_labels.extend(names.into_iter().filter(|name| name != GROUPS));
        self
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none: nobody may do anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn question<'a>(&'a self, request: &Request<'a>, requested: &'a Access) -> Question<'a> {
        let account = request.subject.account();
        Question {
            account: account.map_or("", |account| account.name.as_str()),
            resource_type: &requested.resource.resource_type,
            name: &requested.resource.name,
            service: request.service.as_str(),
            address: request.address,
            labels: account.map(|account| self.labels(account)).unwrap_or_default(),
        }
    }

    /// What the account's source says, what the file says of its name, and its groups.
    fn labels<'a>(&'a self, account: &'a Account) -> BTreeMap<&'a str, Vec<&'a str>> {
        let by_password = [SourceName::local(), SourceName::htpasswd()].contains(&account.source);
        let of_file = self.people.get(&account.name).filter(|_| by_password);
        let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, values) in of_file.into_iter().chain([&account.labels]).flat_map(Labels::iter) {
            labels.entry(name).or_default().extend(values.iter().map(AsRef::as_ref));
        }
        for name in self.group_labels.iter().filter(|_| !account.groups.is_empty()) {
            let groups = account.groups.iter().map(Group::as_str);
            labels.entry(name).or_default().extend(groups);
        }
        labels
    }

    /// The first entry that matches.
    fn deciding(&self, question: &Question<'_>) -> Verdict {
        let mut effort = Effort::for_one_decision();
        for (at, entry) in self.entries.iter().enumerate() {
            match entry.matches(question, &self.cache, &mut effort) {
                Ok(true) => return Verdict::Entry(at),
                Ok(false) => {}
                Err(TooMuch) => return Verdict::TooMuch(at),
            }
        }
        Verdict::Nobody
    }

    fn miss(&self, at: usize, but: String) -> NearMiss {
        NearMiss { number: RuleId::at(at).number(), text: self.texts[at].clone(), but }
    }

    /// Of the entries that give what is missing, the one that only one condition keeps from it, and that has the
    /// most others; of equals the first.
    fn nearest_unmet(&self, question: &Question<'_>, missing: &[&Action]) -> Option<NearMiss> {
        let mut effort = Effort::for_one_decision();
        let mut best: Option<(usize, usize, Condition)> = None;
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, e)| gives(e, missing)) {
            let Ok(unmet) = entry.unmet(question, &self.cache, &mut effort) else { break };
            let met = entry.conditions().count() - unmet.len();
            if let [only] = *unmet
                && best.as_ref().is_none_or(|(most, ..)| met > *most)
            {
                best = Some((met, at, only));
            }
        }
        let (_, at, condition) = best?;
        Some(self.miss(at, self.entries[at].but(condition, question)))
    }
}

/// Whether a pattern, in which nothing is put in, means the text. What is no pattern means none.
pub fn pattern_matches(pattern: &str, text: &str) -> bool {
    Pattern::parse(pattern).is_ok_and(|pattern| pattern.means(text))
}

/// Which entry decides.
enum Verdict {
    Entry(usize),
    /// This one could not be told to match or not, so nothing is given.
    TooMuch(usize),
    Nobody,
}

impl Policy for Acl {
    fn decide(&self, request: &Request<'_>, requested: &Access) -> Decision {
        let mut granted = Actions::none();
        let by = match self.deciding(&self.question(request, requested)) {
            Verdict::Entry(at) => {
                granted = self.entries[at].granted(&requested.actions);
                Some(at)
            }
            Verdict::TooMuch(at) => Some(at),
            Verdict::Nobody => None,
        };
        let applied = |at: usize| {
            let rule = RuleId::at(at);
            requested
                .actions
                .iter()
                .map(|action| AppliedRule {
                    action: action.clone(),
                    effect: if granted.contains(action) { Effect::Allow } else { Effect::Deny },
                    rule,
                    lifetime: None,
                })
                .collect()
        };
        let applied_rules = by.map(applied).unwrap_or_default();
        Decision { requested: requested.clone(), granted, applied_rules }
    }

    fn rule_text(&self, rule: RuleId) -> Option<String> {
        let at = usize::try_from(rule.number()).ok()?.checked_sub(1)?;
        self.texts.get(at).cloned()
    }

    fn nearest(&self, request: &Request<'_>, decision: &Decision) -> Option<NearMiss> {
        let asked = &decision.requested.actions;
        let missing: Vec<&Action> =
            asked.iter().filter(|action| !decision.granted.contains(action)).collect();
        if missing.is_empty() {
            return None;
        }
        let question = self.question(request, &decision.requested);
        let decides = match self.deciding(&question) {
            Verdict::TooMuch(at) => {
                let but = "its placeholders have too many or too long values to try, so everything is denied";
                return Some(self.miss(at, but.to_owned()));
            }
            Verdict::Nobody => return self.nearest_unmet(&question, &missing),
            Verdict::Entry(at) => at,
        };
        let mut effort = Effort::for_one_decision();
        let mut later = self.entries.iter().enumerate().skip(decides + 1);
        let next = later.find(|(_, entry)| {
            gives(entry, &missing) && entry.matches(&question, &self.cache, &mut effort) == Ok(true)
        });
        match next {
            Some((at, _)) => {
                let first = RuleId::at(decides);
                Some(self.miss(at, format!("{first} matches too, comes first, and decides alone")))
            }
            None => self.nearest_unmet(&question, &missing),
        }
    }
}

fn gives(entry: &Entry, missing: &[&Action]) -> bool {
    let missing = missing.iter().map(|action| (*action).clone()).collect();
    !entry.granted(&missing).is_empty()
}

/// An ACL that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {}: {problem}", entry.number())]
pub struct AclError {
    /// Which entry.
    pub entry: RuleId,
    /// Why.
    pub problem: EntryProblem,
}

/// The label that always has the account's groups.
const GROUPS: &str = "groups";
