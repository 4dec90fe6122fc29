//! Who may do what. Rules have no order: what is granted is the union of what the matching `allow`
//! rules give, without the union of what the matching `deny` rules take.
//!
//! One function decides, [`Policy::decide`]; the token, the audit record and the explanation all
//! come from its [`Decision`], so that none can drift from the others.

use portpass_protocol::access::{Access, AccessSet, Action, Actions, Resource};

use self::index::Index;
use crate::{ceiling::Ceiling, subject::AccountName};

mod bound;
mod conditions;
mod context;
mod diff;
mod effect;
mod explain;
mod index;
mod live;
mod principal;
mod problem;
mod request;
mod rights;
mod rule;
#[cfg(test)]
mod tests;
mod times;

pub use self::{
    bound::KnownCircumstances,
    conditions::{Conditions, NetworkError},
    context::RuleContext,
    diff::{
        ChangeKind, ChangedResources, Circumstance, Comparison, DecidedBy, Family, Region,
        RightsChange, Side, When,
    },
    effect::Effect,
    explain::{CitedRule, Explanation, NearMiss, explain},
    live::LivePolicy,
    principal::{Caller, Principal, PrincipalError},
    problem::RuleProblem,
    request::Request,
    rights::decide_for,
    rule::{Rule, RuleId, RuleText, Target},
    times::{Times, TimesError, TimesText},
};
pub use crate::{actions::ActionBits, lifetime::Lifetime};
pub use portpass_pattern::{FixedPatternError, PathPattern, PatternError, Placeholder, Tangled};

/// Which part of a request the rules allow, and which rules said so. No I/O.
pub trait Policy: std::fmt::Debug + Send + Sync {
    /// Decides on one resource. What is granted is never more than what is requested.
    fn decide(&self, request: &Request<'_>, requested: &Access) -> Decision;

    /// The rule as people write it; `None` where there is no such rule.
    fn rule_text(&self, rule: RuleId) -> Option<String>;

    /// The rule that came nearest to giving what this decision did not; `None` where nothing came
    /// near, or nothing is missing.
    fn nearest(&self, request: &Request<'_>, decision: &Decision) -> Option<NearMiss>;
}

/// What was decided on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was asked for.
    pub requested: Access,
    /// What the token will say; may be empty, which is no error (TG4).
    pub granted: Actions,
    /// Which rule gave or took each action that was asked for and that a rule speaks of.
    pub applied_rules: Vec<AppliedRule>,
}

/// One rule's part in a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedRule {
    /// What was asked for.
    pub action: Action,
    /// Whether the rule gave or took it.
    pub effect: Effect,
    /// The first rule that did.
    pub rule: RuleId,
    /// How long a token may live that has the action: what the rules that give it say, of several the
    /// longest. `None` where none says anything, and for what was taken.
    pub lifetime: Option<Lifetime>,
}

impl Decision {
    /// The rule to name: the first that gave something; where nothing is granted, the first that
    /// took it away. `None` where no rule speaks of the request.
    pub fn rule(&self) -> Option<RuleId> {
        let first = |effect| self.applied_rules.iter().find(|g| g.effect == effect).map(|g| g.rule);
        if self.granted.is_empty() {
            first(Effect::Deny).or_else(|| first(Effect::Allow))
        } else {
            first(Effect::Allow)
        }
    }

    /// How long a token may live that has what is granted: as long as the shortest-lived of the actions,
    /// `default` for one of which no rule says anything. `None` where nothing is granted.
    pub fn lifetime(&self, default: Lifetime) -> Option<Lifetime> {
        let gives = |rule: &&AppliedRule, action: &Action| {
            // A limit of the account may have written a `*` out.
            rule.effect == Effect::Allow && (rule.action == *action || rule.action == Action::Any)
        };
        let of = |action: &Action| {
            let rules = self.applied_rules.iter().filter(|rule| gives(rule, action));
            rules.filter_map(|rule| rule.lifetime).max().unwrap_or(default)
        };
        self.granted.iter().map(of).min()
    }

    /// What no rule gave: the account's own permission did.
    pub fn own(&self) -> Actions {
        let by_rule = |action: &Action| {
            let mut applied = self.applied_rules.iter();
            applied.any(|rule| rule.effect == Effect::Allow && rule.action == *action)
        };
        self.granted.iter().filter(|action| !by_rule(action)).cloned().collect()
    }

    /// Narrows to what the account can reach at most; `None` is no limit.
    #[must_use]
    pub fn under(mut self, ceiling: Option<&Ceiling>) -> Self {
        let Some(ceiling) = ceiling else { return self };
        let granted = std::mem::take(&mut self.granted);
        self.granted = ceiling.narrow(&self.requested.resource, &granted);
        self
    }

    /// Narrows to what a session was given when it began; `None` is no limit.
    #[must_use]
    pub fn within(mut self, session: Option<&AccessSet>) -> Self {
        let Some(session) = session else { return self };
        let granted = std::mem::take(&mut self.granted);
        let granted = Access { resource: self.requested.resource.clone(), actions: granted };
        let narrowed = AccessSet::from_iter([granted]).intersection(session);
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
    index: Index,
}

impl RuleSet {
    /// Understands every rule, or names the first that is wrong.
    pub fn parse(texts: &[RuleText], context: &RuleContext) -> Result<Self, RuleError> {
        let rules = texts.iter().enumerate().map(|(index, text)| {
            Rule::parse(text, context)
                .map_err(|problem| RuleError { rule: RuleId::at(index), problem })
        });
        Ok(Self::new(rules.collect::<Result<_, _>>()?))
    }

    /// From rules that are understood; their places are their numbers.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { index: Index::new(rules.iter().enumerate()), rules }
    }

    /// In the order of the configuration.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule that speaks of a namespace which another rule, as `${account}/**`, would give to an
    /// account of that name; so none can be made. A rule that means that very account is no reason.
    pub fn reserves(&self, name: &AccountName) -> Option<RuleId> {
        let namespaces = self.own_namespaces(name);
        let rules = namespaces.filter_map(|namespace| self.index.namespaces().get(&*namespace));
        let others = rules.flatten().filter(|place| !self.rules[**place].allows_only(name));
        others.min().map(|place| RuleId::at(*place))
    }

    /// The first segments that rules, as `${account}/**`, give to an account of that name.
    pub fn own_namespaces(&self, name: &AccountName) -> impl Iterator<Item = String> {
        self.index.own().iter().map(move |(before, after)| format!("{before}{name}{after}"))
    }

    /// The longest that a token lives by a rule; `None` where no rule says anything.
    pub fn longest_lifetime(&self) -> Option<Lifetime> {
        self.rules.iter().filter_map(|rule| rule.lifetime).max()
    }

    fn hear_on_repository(&self, request: &Request<'_>, name: &str) -> Verdict {
        let path: Vec<&str> = name.split('/').collect();
        let mut verdict = Verdict::default();
        for place in self.index.on_repository(name, Caller::new(request)) {
            let rule = &self.rules[place];
            if rule.speaks_of_repository(&path, request) {
                verdict.hear(RuleId::at(place), rule);
            }
        }
        verdict
    }

    fn hear_on_catalog(&self, request: &Request<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for place in self.index.on_catalog(Caller::new(request)) {
            let rule = &self.rules[place];
            if rule.speaks_of_catalog(request) {
                verdict.hear(RuleId::at(place), rule);
            }
        }
        verdict
    }
}

impl Policy for RuleSet {
    fn decide(&self, request: &Request<'_>, requested: &Access) -> Decision {
        let resource = &requested.resource;
        match kind(resource) {
            Kind::Repository => {
                self.hear_on_repository(request, &resource.name).on_repository(requested)
            }
            Kind::Catalog => self.hear_on_catalog(request).on_catalog(requested),
            Kind::Unknown => Open::new(requested).close(),
        }
    }

    fn rule_text(&self, rule: RuleId) -> Option<String> {
        let index = usize::try_from(rule.number()).ok()?.checked_sub(1)?;
        self.rules.get(index).map(ToString::to_string)
    }

    fn nearest(&self, request: &Request<'_>, decision: &Decision) -> Option<NearMiss> {
        explain::nearest(&self.rules, request, decision)
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

/// What all rules that match say together.
#[derive(Debug, Default)]
struct Verdict {
    /// Which rules give each of [`SLOTS`].
    allowed: [Option<Said>; SLOTS.len()],
    /// Which rules take each of [`SLOTS`].
    denied: [Option<Said>; SLOTS.len()],
    /// The first `deny` that is about the resource, whatever it takes.
    touched: Option<RuleId>,
}

/// What rules of one effect say of an action.
#[derive(Debug, Clone, Copy)]
struct Said {
    /// The first.
    rule: RuleId,
    /// The longest lifetime that one of them names.
    lifetime: Option<Lifetime>,
}

impl Said {
    fn and(self, other: Self) -> Self {
        Self { rule: self.rule.min(other.rule), lifetime: self.lifetime.max(other.lifetime) }
    }
}

/// What a rule can name.
const SLOTS: [Action; 4] = [Action::Pull, Action::Push, Action::Delete, Action::Any];

impl Verdict {
    /// Rules come in any order, and some twice.
    fn hear(&mut self, id: RuleId, rule: &Rule) {
        let slots = match rule.effect {
            Effect::Allow => &mut self.allowed,
            Effect::Deny => {
                self.touched = Some(self.touched.map_or(id, |earlier| earlier.min(id)));
                &mut self.denied
            }
        };
        let said = Said { rule: id, lifetime: rule.lifetime };
        for (slot, action) in slots.iter_mut().zip(&SLOTS) {
            if rule.actions.contains(action) {
                *slot = Some(slot.map_or(said, |earlier| earlier.and(said)));
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
                    Some(said) => decision.give(action, said),
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
        let said = |slots: &[Option<Said>; SLOTS.len()]| -> Option<Said> {
            let named = SLOTS.iter().position(|slot| slot == action).and_then(|slot| slots[slot]);
            let any = slots[SLOTS.len() - 1];
            match (named, any) {
                (Some(named), Some(any)) => Some(named.and(any)),
                (one, other) => one.or(other),
            }
        };
        match (said(&self.denied), said(&self.allowed)) {
            (Some(said), _) => decision.take(action, said),
            (None, Some(said)) => decision.give(action, said),
            (None, None) => {}
        }
    }

    /// The rules that give the literal `*`, unless any deny is about the resource.
    fn everything(&self) -> Option<Said> {
        self.allowed[SLOTS.len() - 1].filter(|_| self.touched.is_none())
    }
}

/// A decision being made.
struct Open<'a> {
    requested: &'a Access,
    granted: Actions,
    applied_rules: Vec<AppliedRule>,
}

impl<'a> Open<'a> {
    fn new(requested: &'a Access) -> Self {
        Self { requested, granted: Actions::none(), applied_rules: Vec::new() }
    }

    fn give(&mut self, action: &Action, said: Said) {
        self.granted.insert(action.clone());
        self.note(action, Effect::Allow, said);
    }

    fn take(&mut self, action: &Action, said: Said) {
        self.note(action, Effect::Deny, said);
    }

    fn note(&mut self, action: &Action, effect: Effect, said: Said) {
        let Said { rule, lifetime } = said;
        let applied = AppliedRule { action: action.clone(), effect, rule, lifetime };
        if !self.applied_rules.contains(&applied) {
            self.applied_rules.push(applied);
        }
    }

    fn close(self) -> Decision {
        Decision {
            requested: self.requested.clone(),
            granted: self.granted,
            applied_rules: self.applied_rules,
        }
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
