//! Who may do what. Rules have no order: what is granted is the union of what the matching `allow`
//! rules give, without the union of what the matching `deny` rules take.
//!
//! One function decides, [`Policy::decide`]; the token, the audit record and the explanation all
//! come from its [`Decision`], so that none can drift from the others.

use std::collections::HashMap;

use portpass_protocol::access::{Access, AccessSet, Action, Actions, Resource};
use portpass_token::ServiceName;

use crate::subject::{AccountName, Subject};

mod audience;
mod explain;
mod pattern;
mod rule;
#[cfg(test)]
mod tests;

pub use self::{
    audience::{Audience, AudienceError, Caller},
    explain::{Cited, Explanation, NearMiss, explain},
    pattern::{PathPattern, PatternError},
    rule::{ActionBits, Effect, Rule, RuleId, RuleProblem, RuleText, Surroundings, Target},
};

/// Which part of a request the rules allow, and which rules said so. No I/O.
pub trait Policy: std::fmt::Debug + Send + Sync {
    /// Decides on one resource. What is granted is never more than what is requested.
    fn decide(&self, subject: &Subject, service: &ServiceName, requested: &Access) -> Decision;

    /// The rule as people write it; `None` where there is no such rule.
    fn rule_text(&self, rule: RuleId) -> Option<String>;

    /// The rule that came nearest to giving what this decision did not; `None` where nothing came
    /// near, or nothing is missing.
    fn nearest(&self, subject: &Subject, decision: &Decision) -> Option<NearMiss>;
}

/// What was decided on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was asked for.
    pub requested: Access,
    /// What the token will say; may be empty, which is no error (TG4).
    pub granted: Actions,
    /// Which rule gave or took each action that was asked for and that a rule speaks of.
    pub grounds: Vec<Ground>,
}

/// One rule's part in a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// What was asked for.
    pub action: Action,
    /// Whether the rule gave or took it.
    pub effect: Effect,
    /// The first rule that did.
    pub rule: RuleId,
}

impl Decision {
    /// The rule to name: the first that gave something; where nothing is granted, the first that
    /// took it away. `None` where no rule speaks of the request.
    pub fn rule(&self) -> Option<RuleId> {
        let first = |effect| self.grounds.iter().find(|g| g.effect == effect).map(|g| g.rule);
        if self.granted.is_empty() {
            first(Effect::Deny).or_else(|| first(Effect::Allow))
        } else {
            first(Effect::Allow)
        }
    }

    /// Narrows to what the ceiling names; `None` is no ceiling.
    #[must_use]
    pub fn under(mut self, ceiling: Option<&AccessSet>) -> Self {
        let Some(ceiling) = ceiling else { return self };
        let granted = std::mem::take(&mut self.granted);
        let granted = Access { resource: self.requested.resource.clone(), actions: granted };
        let narrowed = AccessSet::from_iter([granted]).intersection(ceiling);
        self.granted = narrowed.actions_on(&self.requested.resource).cloned().unwrap_or_default();
        self
    }

    /// As an entry of the token: what is denied stays, with no actions.
    pub fn to_access(&self) -> Access {
        Access { resource: self.requested.resource.clone(), actions: self.granted.clone() }
    }
}

/// Rules, compiled once.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Rules for repositories whose first segment is this word, in order.
    by_first_segment: HashMap<Box<str>, Vec<usize>>,
    /// All other rules for repositories, in order.
    anywhere: Vec<usize>,
    /// Rules for the catalog, in order.
    catalog: Vec<usize>,
}

impl RuleSet {
    /// Understands every rule, or names the first that is wrong.
    pub fn parse(texts: &[RuleText], around: &Surroundings) -> Result<Self, RuleError> {
        let rules = texts.iter().enumerate().map(|(index, text)| {
            Rule::parse(text, around)
                .map_err(|problem| RuleError { rule: RuleId::at(index), problem })
        });
        Ok(Self::new(rules.collect::<Result<_, _>>()?))
    }

    /// From rules that are understood; their places are their numbers.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut set = Self { rules, ..Self::default() };
        for (index, rule) in set.rules.iter().enumerate() {
            match (&rule.target, rule.first_literal()) {
                (Target::Catalog, _) => set.catalog.push(index),
                (Target::Repository(_), None) => set.anywhere.push(index),
                (Target::Repository(_), Some(first)) => {
                    set.by_first_segment.entry(first.into()).or_default().push(index);
                }
            }
        }
        set
    }

    /// In the order of the configuration.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule that speaks of a namespace of that name: an account that was called so would own
    /// `${account}/**` there, so it cannot be made.
    pub fn reserves(&self, name: &AccountName) -> Option<RuleId> {
        self.by_first_segment
            .get(name.as_str())
            .and_then(|rules| rules.first())
            .map(|index| RuleId::at(*index))
    }

    /// The words that no account can be called.
    pub fn reserved_names(&self) -> impl Iterator<Item = &str> {
        self.by_first_segment.keys().map(|word| &**word)
    }

    /// The rules that are about this caller and resource, in order.
    fn matching<'a>(
        &'a self,
        caller: &'a Caller<'a>,
        resource: &'a Resource,
    ) -> impl Iterator<Item = (RuleId, &'a Rule)> {
        let path: Vec<&str> = resource.name.split('/').collect();
        let first = path.first().copied().unwrap_or_default();
        let (literal, rest): (&[usize], &[usize]) = match kind(resource) {
            Kind::Repository => {
                (self.by_first_segment.get(first).map_or(&[], Vec::as_slice), &self.anywhere)
            }
            Kind::Catalog => (&[], &self.catalog),
            Kind::Unknown => (&[], &[]),
        };
        in_order(literal, rest)
            .map(|index| (index, &self.rules[index]))
            .filter(move |(_, rule)| {
                let about_it = match rule.target {
                    Target::Catalog => true,
                    Target::Repository(_) => rule.covers_repository(&path, caller),
                };
                about_it && rule.binds(caller)
            })
            .map(|(index, rule)| (RuleId::at(index), rule))
    }
}

impl Policy for RuleSet {
    fn decide(&self, subject: &Subject, _: &ServiceName, requested: &Access) -> Decision {
        let caller = Caller::new(subject);
        let mut verdict = Verdict::default();
        for (id, rule) in self.matching(&caller, &requested.resource) {
            verdict.hear(id, rule);
        }
        match kind(&requested.resource) {
            Kind::Repository => verdict.on_repository(requested),
            Kind::Catalog => verdict.on_catalog(requested),
            Kind::Unknown => Decision {
                requested: requested.clone(),
                granted: Actions::none(),
                grounds: Vec::new(),
            },
        }
    }

    fn rule_text(&self, rule: RuleId) -> Option<String> {
        let index = usize::try_from(rule.number()).ok()?.checked_sub(1)?;
        self.rules.get(index).map(ToString::to_string)
    }

    fn nearest(&self, subject: &Subject, decision: &Decision) -> Option<NearMiss> {
        explain::nearest(&self.rules, subject, decision)
    }
}

/// What rules can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Repository,
    Catalog,
    /// Types from elsewhere are ignored, not refused (SC4).
    Unknown,
}

fn kind(resource: &Resource) -> Kind {
    match (&*resource.resource_type, &*resource.name) {
        (Resource::REPOSITORY, _) => Kind::Repository,
        (Resource::REGISTRY, Resource::CATALOG) => Kind::Catalog,
        _ => Kind::Unknown,
    }
}

/// Two ascending lists as one.
fn in_order<'a>(left: &'a [usize], right: &'a [usize]) -> impl Iterator<Item = usize> + use<'a> {
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(l), Some(r)) if r < l => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

/// What all rules that match say together.
#[derive(Debug, Default)]
struct Verdict {
    /// The first rule that gives each of [`SLOTS`].
    allowed: [Option<RuleId>; SLOTS.len()],
    /// The first rule that takes each of [`SLOTS`].
    denied: [Option<RuleId>; SLOTS.len()],
    /// The first `deny` that is about the resource, whatever it takes.
    touched: Option<RuleId>,
}

/// What a rule can name.
const SLOTS: [Action; 4] = [Action::Pull, Action::Push, Action::Delete, Action::Any];

impl Verdict {
    fn hear(&mut self, id: RuleId, rule: &Rule) {
        let slots = match rule.effect {
            Effect::Allow => &mut self.allowed,
            Effect::Deny => {
                self.touched.get_or_insert(id);
                &mut self.denied
            }
        };
        for (slot, action) in slots.iter_mut().zip(&SLOTS) {
            if rule.actions.contains(action) {
                slot.get_or_insert(id);
            }
        }
    }

    /// `*` on a repository is granted as the actions that the rules allow, written out; literally
    /// only where a rule gives `*` and no deny rule is about the resource.
    fn on_repository(&self, requested: &Access) -> Decision {
        let mut decision = Open::new(requested);
        for action in &requested.actions {
            match action {
                Action::Pull | Action::Push | Action::Delete => self.settle(action, &mut decision),
                Action::Any | Action::Other(_) => match self.everything() {
                    Some(rule) => decision.give(action, rule),
                    None if *action == Action::Any => {
                        for action in &SLOTS[..3] {
                            self.settle(action, &mut decision);
                        }
                    }
                    // A word without a meaning here is in no rule but `*` (SC4).
                    None => {}
                },
            }
        }
        decision.close()
    }

    /// Only the literal `*` counts: registries ask for nothing else there (SC3).
    fn on_catalog(&self, requested: &Access) -> Decision {
        let mut decision = Open::new(requested);
        if requested.actions.contains(&Action::Any) {
            self.settle(&Action::Any, &mut decision);
        }
        decision.close()
    }

    fn settle(&self, action: &Action, decision: &mut Open<'_>) {
        let said = |slots: &[Option<RuleId>; SLOTS.len()]| -> Option<RuleId> {
            let named = SLOTS.iter().position(|slot| slot == action).and_then(|slot| slots[slot]);
            let any = slots[SLOTS.len() - 1];
            match (named, any) {
                (Some(named), Some(any)) => Some(named.min(any)),
                (one, other) => one.or(other),
            }
        };
        match (said(&self.denied), said(&self.allowed)) {
            (Some(rule), _) => decision.take(action, rule),
            (None, Some(rule)) => decision.give(action, rule),
            (None, None) => {}
        }
    }

    /// The rule that gives the literal `*`, unless any deny is about the resource.
    fn everything(&self) -> Option<RuleId> {
        self.allowed[SLOTS.len() - 1].filter(|_| self.touched.is_none())
    }
}

/// A decision being made.
struct Open<'a> {
    requested: &'a Access,
    granted: Actions,
    grounds: Vec<Ground>,
}

impl<'a> Open<'a> {
    fn new(requested: &'a Access) -> Self {
        Self { requested, granted: Actions::none(), grounds: Vec::new() }
    }

    fn give(&mut self, action: &Action, rule: RuleId) {
        self.granted.insert(action.clone());
        self.note(action, Effect::Allow, rule);
    }

    fn take(&mut self, action: &Action, rule: RuleId) {
        self.note(action, Effect::Deny, rule);
    }

    fn note(&mut self, action: &Action, effect: Effect, rule: RuleId) {
        let ground = Ground { action: action.clone(), effect, rule };
        if !self.grounds.contains(&ground) {
            self.grounds.push(ground);
        }
    }

    fn close(self) -> Decision {
        Decision { requested: self.requested.clone(), granted: self.granted, grounds: self.grounds }
    }
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy {rule}: {problem}")]
pub struct RuleError {
    /// Which.
    pub rule: RuleId,
    /// Why.
    pub problem: RuleProblem,
}
