//! One entry of the ACL: whom it is for, on what, and what it gives.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use portpass_protocol::access::{Action, Actions};
use regex::Regex;

use super::{
    effort::{Effort, TooMuch},
    go_regex::{self, Size},
    network::{Network, NetworkProblem},
    pattern::{Field, Pattern, PatternProblem, RegexCache, Values},
};

/// An entry as the file has it, not understood yet.
///
/// ```yaml
/// - match: { account: "/.+/", name: "${account}/*" }
///   actions: ["*"]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryText {
    /// `match.account`
    pub account: Option<String>,
    /// `match.type`
    pub resource_type: Option<String>,
    /// `match.name`
    pub name: Option<String>,
    /// `match.service`
    pub service: Option<String>,
    /// `match.ip`
    pub ip: Option<String>,
    /// `match.labels`
    pub labels: BTreeMap<String, String>,
    /// `actions`
    pub actions: Vec<String>,
    /// `comment`
    pub comment: Option<String>,
}

/// An entry that has been understood.
#[derive(Debug)]
pub(super) struct Entry {
    text: EntryText,
    fields: [Option<Pattern>; 4],
    /// The expressions of which a placeholder wants a group, as they were typed.
    groups: [Option<Regex>; 4],
    network: Option<Network>,
    labels: Vec<(Box<str>, Pattern)>,
    gives: Gives,
}

/// What an entry gives of what is asked for.
#[derive(Debug)]
enum Gives {
    /// `["*"]`: whatever it is.
    Everything,
    /// These and no others; `*` among them is only itself.
    These(Actions),
}

/// One thing that an entry is particular about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition {
    Field(Field),
    Address,
    /// The place of a label's pattern.
    Label(usize),
}

/// What a request says.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) account: &'a str,
    pub(super) resource_type: &'a str,
    pub(super) name: &'a str,
    pub(super) service: &'a str,
    pub(super) address: Option<IpAddr>,
    pub(super) labels: BTreeMap<&'a str, Vec<&'a str>>,
}

impl Entry {
    pub(super) fn parse(text: EntryText) -> Result<Self, EntryProblem> {
        let pattern = |condition: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(Pattern::parse).transpose();
            parsed.map_err(|problem| EntryProblem::pattern(condition, text.as_deref(), problem))
        };
        let fields = [
            pattern("account", &text.account)?,
            pattern("type", &text.resource_type)?,
            pattern("name", &text.name)?,
            pattern("service", &text.service)?,
        ];
        let mut labels = Vec::new();
        for (name, value) in &text.labels {
            let parsed = Pattern::parse(value).map_err(|problem| {
                EntryProblem::pattern(&format!("labels.{name}"), Some(value), problem)
            })?;
            labels.push((name.as_str().into(), parsed));
        }
        let network = text.ip.as_deref().map(|ip| {
            ip.parse().map_err(|problem| EntryProblem::Network { ip: ip.to_owned(), problem })
        });
        let gives = match &*text.actions {
            [all] if all == "*" => Gives::Everything,
            words => Gives::These(words.iter().map(|word| Action::from(&**word)).collect()),
        };
        let groups = groups(&fields, &labels);
        Ok(Self { network: network.transpose()?, fields, groups, labels, gives, text })
    }

    /// Whether the entry is about the question: each of its conditions is met.
    pub(super) fn matches(
        &self,
        question: &Question<'_>,
        cache: &RegexCache,
        effort: &mut Effort,
    ) -> Result<bool, TooMuch> {
        let values = EntryValues::new(self, question);
        for condition in self.conditions() {
            if !self.meets(condition, &values, cache, effort)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The conditions that are not met.
    pub(super) fn unmet(
        &self,
        question: &Question<'_>,
        cache: &RegexCache,
        effort: &mut Effort,
    ) -> Result<Vec<Condition>, TooMuch> {
        let values = EntryValues::new(self, question);
        let mut unmet = Vec::new();
        for condition in self.conditions() {
            if !self.meets(condition, &values, cache, effort)? {
                unmet.push(condition);
            }
        }
        Ok(unmet)
    }

    /// What it gives of what is asked for, in that order.
    pub(super) fn granted(&self, requested: &Actions) -> Actions {
        match &self.gives {
            Gives::Everything => requested.clone(),
            Gives::These(actions) => requested.intersection(actions),
        }
    }

    /// All that it is particular about; what is cheap to tell comes first.
    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> {
        let address = self.network.map(|_| Condition::Address);
        let fields = Field::ALL.into_iter().filter(|field| self.fields[*field as usize].is_some());
        let labels = (0..self.labels.len()).map(Condition::Label);
        address.into_iter().chain(fields.map(Condition::Field)).chain(labels)
    }

    /// Why a condition is not met.
    pub(super) fn but(&self, condition: Condition, question: &Question<'_>) -> String {
        match condition {
            Condition::Address => {
                let ip = self.text.ip.as_deref().unwrap_or_default();
                match question.address {
                    Some(address) => format!("its ip {ip} does not hold {address}"),
                    None => format!("it is for the addresses {ip}, and none is given"),
                }
            }
            Condition::Label(at) => {
                let (name, pattern) = &self.labels[at];
                let values = question.label(name).join(", ");
                let pattern = pattern.as_str();
                if values.is_empty() {
                    format!("the account has no label `{name}`")
                } else {
                    format!(
                        "its pattern {pattern:?} for the label `{name}` matches none of {values}"
                    )
                }
            }
            Condition::Field(field) => {
                let pattern = self.fields[field as usize].as_ref().map_or("", Pattern::as_str);
                let value = question.value(field);
                let hint =
                    if pattern.contains('*') && !pattern.starts_with('/') && value.contains('/') {
                        " (`*` matches no `/`)"
                    } else {
                        ""
                    };
                format!("its {} {pattern:?} does not match {value:?}{hint}", field.as_str())
            }
        }
    }

    fn meets(
        &self,
        condition: Condition,
        values: &EntryValues<'_, '_>,
        cache: &RegexCache,
        effort: &mut Effort,
    ) -> Result<bool, TooMuch> {
        let question = values.question;
        match condition {
            Condition::Address => Ok(self
                .network
                .zip(question.address)
                .is_some_and(|(network, address)| network.contains(address))),
            Condition::Field(field) => match &self.fields[field as usize] {
                Some(pattern) => pattern.matches(question.value(field), values, cache, effort),
                None => Ok(true),
            },
            Condition::Label(at) => {
                let (name, pattern) = &self.labels[at];
                for value in question.label(name) {
                    if pattern.matches_plainly(value, values, cache, effort)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

/// Compiles what a placeholder of the entry wants a group of. An expression that does not compile by itself has
/// been refused before.
fn groups(fields: &[Option<Pattern>; 4], labels: &[(Box<str>, Pattern)]) -> [Option<Regex>; 4] {
    let patterns = || fields.iter().flatten().chain(labels.iter().map(|(_, pattern)| pattern));
    Field::ALL.map(|field| {
        let is_wanted = patterns().flat_map(Pattern::captures).any(|wanted| wanted == field);
        let expression = fields[field as usize].as_ref().and_then(Pattern::expression);
        let expression = expression.filter(|_| is_wanted)?;
        go_regex::compile(expression, Size::OfConfiguration).ok()
    })
}

impl Question<'_> {
    fn value(&self, field: Field) -> &str {
        match field {
            Field::Account => self.account,
            Field::Type => self.resource_type,
            Field::Name => self.name,
            Field::Service => self.service,
        }
    }

    fn label(&self, name: &str) -> &[&str] {
        self.labels.get(name).map_or(&[], Vec::as_slice)
    }
}

/// A question, and what the entry's own expressions found in it.
struct EntryValues<'a, 'q> {
    question: &'a Question<'q>,
    groups: [Vec<&'a str>; 4],
}

impl<'a, 'q> EntryValues<'a, 'q> {
    fn new(entry: &Entry, question: &'a Question<'q>) -> Self {
        let found = |field: Field| {
            let regex = entry.groups[field as usize].as_ref()?;
            let captures = regex.captures(question.value(field))?;
            // A group that had no part in the match took nothing.
            Some(captures.iter().map(|group| group.map_or("", |found| found.as_str())).collect())
        };
        Self { question, groups: Field::ALL.map(|field| found(field).unwrap_or_default()) }
    }
}

impl Values for EntryValues<'_, '_> {
    fn value(&self, field: Field) -> &str {
        self.question.value(field)
    }

    fn capture(&self, field: Field, group: usize) -> Option<&str> {
        // The whole match is no group.
        (group > 0).then(|| self.groups[field as usize].get(group).copied()).flatten()
    }

    fn label(&self, name: &str) -> &[&str] {
        self.question.label(name)
    }
}

impl fmt::Display for EntryText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            ("account", &self.account),
            ("type", &self.resource_type),
            ("name", &self.name),
            ("service", &self.service),
            ("ip", &self.ip),
        ];
        let mut conditions: Vec<String> = fields
            .iter()
            .filter_map(|(name, text)| text.as_ref().map(|text| format!("{name} {text:?}")))
            .collect();
        conditions.extend(self.labels.iter().map(|(name, text)| format!("label {name} {text:?}")));
        let conditions =
            if conditions.is_empty() { "everything".to_owned() } else { conditions.join(", ") };
        write!(f, "[{}] for {conditions}", self.actions.join(", "))?;
        match &self.comment {
            Some(comment) => write!(f, " ({comment})"),
            None => Ok(()),
        }
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// A condition makes no sense.
    #[error("`{condition}: {pattern:?}`: {problem}")]
    Pattern {
        /// Which condition.
        condition: String,
        /// As typed.
        pattern: String,
        /// Why.
        problem: PatternProblem,
    },
    /// `ip` is no network.
    #[error("`ip: {ip:?}`: {problem}")]
    Network {
        /// As typed.
        ip: String,
        /// Why.
        problem: NetworkProblem,
    },
}

impl EntryProblem {
    fn pattern(condition: &str, pattern: Option<&str>, problem: PatternProblem) -> Self {
        let pattern = pattern.unwrap_or_default().to_owned();
        Self::Pattern { condition: condition.to_owned(), pattern, problem }
    }
}
