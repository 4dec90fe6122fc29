//! One rule: what was typed, what it means, and what is wrong with it.

use std::{fmt, str::FromStr};

use portpass_pattern::{PathPattern, Placeholder};
use portpass_protocol::access::Action;

use super::{
    conditions::{Conditions, network},
    context::RuleContext,
    effect::Effect,
    principal::{Caller, Principal},
    problem::RuleProblem,
    request::Request,
    times::{Times, TimesText},
};
use crate::{actions::ActionBits, lifetime::Lifetime, subject::AccountName};

/// A rule as the configuration has it, not understood yet.
///
/// ```yaml
/// - { allow: [pull, push], repository: "${account}/**", to: signed-in }
/// - { deny: [push, delete], repository: "prod/**", to: signed-in, except: "group:release" }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleText {
    /// `allow:`; exactly one of this and `deny`.
    pub allow: Option<Vec<String>>,
    /// `deny:`
    pub deny: Option<Vec<String>>,
    /// `repository:`, a pattern; exactly one of this and `registry`.
    pub repository: Option<String>,
    /// `registry:`; only `catalog` is known.
    pub registry: Option<String>,
    /// `to:`; at least one.
    pub to: Vec<String>,
    /// `except:`
    pub except: Vec<String>,
    /// `from:`, networks and addresses.
    pub from: Vec<String>,
    /// `service:`
    pub service: Vec<String>,
    /// `between:`
    pub between: Option<TimesText>,
    /// `expiration:`, in seconds.
    pub expiration: Option<u64>,
}

/// Which rule it is: its place in the list, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u32);

impl RuleId {
    /// The rule at this place, counted from zero.
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).map_or(u32::MAX, |index| index.saturating_add(1)))
    }

    /// Counted from one.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.0)
    }
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Repositories.
    Repository(PathPattern),
    /// The list of all repositories, `registry:catalog`.
    Catalog,
}

/// A rule that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether it gives or takes.
    pub effect: Effect,
    /// What.
    pub actions: ActionBits,
    /// On what.
    pub target: Target,
    /// To or from whom.
    pub to: Vec<Principal>,
    /// Whom it passes over.
    pub except: Vec<Principal>,
    /// From where, for which registry and when.
    pub conditions: Conditions,
    /// How long a token may live that has what it gives, where it says so.
    pub lifetime: Option<Lifetime>,
}

impl Rule {
    /// Understands a rule, or says what is wrong with it.
    pub fn parse(text: &RuleText, context: &RuleContext) -> Result<Self, RuleProblem> {
        let target = target(text)?;
        let (effect, words) = match (&text.allow, &text.deny) {
            (Some(words), None) => (Effect::Allow, words),
            (None, Some(words)) => (Effect::Deny, words),
            (None, None) | (Some(_), Some(_)) => return Err(RuleProblem::Effect),
        };
        let rule = Self {
            effect,
            actions: actions(words, &target)?,
            target,
            to: principals(&text.to)?,
            except: principals(&text.except)?,
            conditions: conditions(text, context)?,
            lifetime: lifetime(text.expiration, effect)?,
        };
        rule.check_principals(context)?;
        Ok(rule)
    }

    /// Whether the rule counts for this request on this repository, cut at its slashes.
    pub fn speaks_of_repository(&self, path: &[&str], request: &Request<'_>) -> bool {
        let caller = Caller::new(request);
        self.covers_repository(path, caller)
            && self.applies_to(caller)
            && self.conditions.hold(request, self.effect)
    }

    /// Whether the rule counts for this request on the catalog.
    pub fn speaks_of_catalog(&self, request: &Request<'_>) -> bool {
        self.target == Target::Catalog
            && self.applies_to(Caller::new(request))
            && self.conditions.hold(request, self.effect)
    }

    /// Whether the rule is about this caller, whatever the resource.
    pub fn applies_to(&self, caller: Caller<'_>) -> bool {
        self.to.iter().any(|principal| principal.includes(caller, self.effect))
            && !self.except.iter().any(|principal| principal.is(caller))
    }

    /// Whether it gives to the account of that name, of whatever source, and to nobody else.
    pub fn allows_only(&self, account: &AccountName) -> bool {
        let is_meant = |to: &Principal| match to {
            Principal::User { source: None, name } => name.literal() == Some(account.as_str()),
            Principal::User { source: Some(_), .. }
            | Principal::Anyone
            | Principal::Anonymous
            | Principal::SignedIn
            | Principal::Robot(_)
            | Principal::Group { .. } => false,
        };
        self.effect == Effect::Allow && self.to.iter().all(is_meant)
    }

    /// Whether the rule is about this repository when this caller asks; `${account}`, `${group}` and
    /// `${label:…}` stand for the caller's own.
    pub fn covers_repository(&self, path: &[&str], caller: Caller<'_>) -> bool {
        match &self.target {
            Target::Catalog => false,
            Target::Repository(pattern) => pattern
                .matches(path, |placeholder, text| self.stands_for(placeholder, text, caller)),
        }
    }

    /// Whether the rule is about this repository when somebody asks of whom nothing is known.
    pub fn may_cover_repository(&self, path: &[&str]) -> bool {
        match &self.target {
            Target::Catalog => false,
            Target::Repository(pattern) => pattern.matches(path, |_, _| true),
        }
    }

    /// How many segments of the path fit from the left.
    pub(super) fn common_prefix(&self, path: &[&str], caller: Caller<'_>) -> usize {
        match &self.target {
            Target::Catalog => 0,
            Target::Repository(pattern) => pattern.common_prefix(path, |placeholder, text| {
                self.stands_for(placeholder, text, caller)
            }),
        }
    }

    /// Whether a placeholder can stand for this text when this caller asks.
    fn stands_for(&self, placeholder: &Placeholder, text: &str, caller: Caller<'_>) -> bool {
        // A deny binds callers who have nothing that the placeholder could stand for: nobody gets round
        // it by leaving the password out, or by a token without the claim.
        let absent = self.effect == Effect::Deny;
        match (placeholder, caller.name()) {
            (_, None) => absent,
            (Placeholder::Account, Some(name)) => name == text,
            (Placeholder::Group, Some(_)) => {
                let reaches = |to: &Principal| to.reaches_by(text, caller);
                caller.is_in(text) && self.to.iter().any(reaches)
            }
            (Placeholder::Label(label), Some(_)) => {
                caller.label(label).map_or(absent, |values| values.contains(text))
            }
        }
    }

    fn check_principals(&self, context: &RuleContext) -> Result<(), RuleProblem> {
        if self.to.is_empty() {
            return Err(RuleProblem::NoPrincipal);
        }
        self.to.iter().chain(&self.except).try_for_each(|principal| context.check(principal))?;
        let everybody = [Principal::SignedIn, Principal::Anonymous];
        let passed_over = |to: &Principal| {
            self.except.iter().any(|except| except.contains(to))
                || everybody.iter().all(|half| self.except.contains(half))
        };
        if self.to.iter().all(passed_over) {
            return Err(RuleProblem::Nobody { why: "`except` names everybody that `to` names" });
        }
        let only_anonymous = self.to.iter().all(|to| *to == Principal::Anonymous);
        if only_anonymous && !context.anonymous {
            return Err(RuleProblem::Nobody {
                why: "callers without credentials are not admitted",
            });
        }
        let placeholders = match &self.target {
            Target::Repository(pattern) => pattern.placeholders(),
            Target::Catalog => &[],
        };
        let needs_group =
            self.effect == Effect::Allow && placeholders.contains(&Placeholder::Group);
        if needs_group && !context.have_groups() {
            return Err(RuleProblem::Nobody {
                why: "no account is in a group: htpasswd files have none; write `token_service.groups`, or add the source `local`",
            });
        }
        if only_anonymous && !placeholders.is_empty() {
            return Err(RuleProblem::Nobody {
                why: "an anonymous caller has no account, no group and no label",
            });
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    /// `allow [pull, push] repository ${account}/** to signed-in`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] ", self.effect, self.actions)?;
        match &self.target {
            Target::Repository(pattern) => write!(f, "repository {pattern}")?,
            Target::Catalog => f.write_str("registry catalog")?,
        }
        write!(f, " to {}", list(&self.to))?;
        if !self.except.is_empty() {
            write!(f, " except {}", list(&self.except))?;
        }
        write!(f, "{}", self.conditions)?;
        match self.lifetime {
            Some(lifetime) => write!(f, " expiration {}", lifetime.seconds()),
            None => Ok(()),
        }
    }
}

fn list(principals: &[Principal]) -> String {
    principals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn target(text: &RuleText) -> Result<Target, RuleProblem> {
    match (&text.repository, &text.registry) {
        (Some(pattern), None) => PathPattern::parse(pattern)
            .map(Target::Repository)
            .map_err(|problem| RuleProblem::Pattern { pattern: pattern.clone(), problem }),
        (None, Some(name)) if name == "catalog" => Ok(Target::Catalog),
        (None, Some(name)) => Err(RuleProblem::Registry { name: name.clone() }),
        (None, None) | (Some(_), Some(_)) => Err(RuleProblem::Target),
    }
}

fn actions(words: &[String], target: &Target) -> Result<ActionBits, RuleProblem> {
    let mut bits = ActionBits::default();
    for word in words {
        let action = Action::from(word.as_str());
        match (&action, target) {
            (Action::Other(_), _) => return Err(RuleProblem::Action { word: word.clone() }),
            (Action::Any, Target::Catalog) | (_, Target::Repository(_)) => bits.insert(&action),
            (_, Target::Catalog) => return Err(RuleProblem::CatalogAction { word: word.clone() }),
        }
    }
    if words.is_empty() { Err(RuleProblem::NoAction) } else { Ok(bits) }
}

fn conditions(text: &RuleText, context: &RuleContext) -> Result<Conditions, RuleProblem> {
    let from = text.from.iter().map(|word| {
        network(word).map_err(|problem| RuleProblem::Network { word: word.clone(), problem })
    });
    let services = text.service.iter().map(|name| {
        let known = context.services.iter().find(|known| known.as_str() == name);
        known.cloned().ok_or_else(|| RuleProblem::Service {
            name: name.clone(),
            known: context.services.iter().map(ToString::to_string).collect(),
        })
    });
    Ok(Conditions {
        from: from.collect::<Result<_, _>>()?,
        services: services.collect::<Result<_, _>>()?,
        between: text.between.as_ref().map(Times::parse).transpose()?,
    })
}

fn lifetime(seconds: Option<u64>, effect: Effect) -> Result<Option<Lifetime>, RuleProblem> {
    match (seconds, effect) {
        (None, _) => Ok(None),
        (Some(_), Effect::Deny) => Err(RuleProblem::DenyExpiration),
        (Some(seconds), Effect::Allow) => {
            Lifetime::from_seconds(seconds).map(Some).map_err(RuleProblem::Expiration)
        }
    }
}

fn principals(words: &[String]) -> Result<Vec<Principal>, RuleProblem> {
    words
        .iter()
        .map(|word| {
            Principal::from_str(word)
                .map_err(|problem| RuleProblem::Principal { word: word.clone(), problem })
        })
        .collect()
}
