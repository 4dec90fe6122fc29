//! Why a decision is what it is, for people.

use std::fmt;

use portpass_protocol::access::{Access, Action};

use super::{
    Caller, Decision, Effect, Policy, Principal, Request, Rule, RuleId, Target, decide_for,
};
use crate::subject::{Account, AccountKind};

/// One decision with the rules spelt out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// The account; `None` for an anonymous caller.
    pub account: Option<String>,
    /// `repository:team/app`
    pub resource: String,
    /// What was asked for.
    pub requested: Vec<String>,
    /// What the token says.
    pub granted: Vec<String>,
    /// The rules that gave or took something.
    pub rules: Vec<CitedRule>,
    /// What the account's own permission gave, where no rule did.
    pub own: Vec<String>,
    /// The most that the account reaches; for a robot it is its permission.
    pub limit: Option<Limit>,
    /// What that limit took of what the rules gave.
    pub over_ceiling: Vec<String>,
    /// The rule that came nearest to giving what is missing.
    pub nearest: Option<NearMiss>,
}

/// The limit of a robot or an API key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Limit {
    /// `robot`, `api-key` or `account`.
    pub of: &'static str,
    /// `pull, push on team/app-*`
    pub text: String,
    /// What was asked for and lies outside.
    pub outside: Vec<String>,
}

/// A rule that had a part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CitedRule {
    /// Its place in the list, counted from one.
    pub number: u32,
    /// `allow` or `deny`.
    pub effect: String,
    /// What it gave or took of what was asked for.
    pub actions: Vec<String>,
    /// The rule itself.
    pub text: String,
}

/// A rule that would have given what is missing, but for one thing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NearMiss {
    /// Its place in the list, counted from one.
    pub number: u32,
    /// The rule itself.
    pub text: String,
    /// What kept it from giving.
    pub but: String,
}

/// Decides as a token request would, and says why.
pub fn explain(policy: &dyn Policy, request: &Request<'_>, requested: &Access) -> Explanation {
    let subject = request.subject;
    let by_rules = policy.decide(request, requested);
    let rules = cited(policy, &by_rules);
    let decision = decide_for(policy, request, requested);
    let kept = &decision.granted;
    let over_ceiling = by_rules.granted.iter().filter(|action| !kept.contains(action));
    let limit = subject.account().and_then(|account| Limit::of(account, requested));
    // No rule can give a robot more than it has.
    let is_robot = limit.as_ref().is_some_and(|limit| limit.of == ROBOT);
    let nearest = if is_robot { None } else { policy.nearest(request, &by_rules) };
    Explanation {
        account: subject.account().map(|account| account.name.to_string()),
        resource: requested.resource.to_string(),
        requested: words(&requested.actions),
        granted: words(&decision.granted),
        own: words(&decision.own()),
        limit,
        over_ceiling: words(over_ceiling),
        rules,
        nearest,
    }
}

impl Limit {
    fn of(account: &Account, requested: &Access) -> Option<Self> {
        let ceiling = account.ceiling.as_ref()?;
        let outside = |action: &&Action| !ceiling.covers(&requested.resource, action);
        let outside = words(requested.actions.iter().filter(outside));
        let of = match account.kind {
            AccountKind::Robot => ROBOT,
            AccountKind::ApiKey => "api-key",
            AccountKind::Person | AccountKind::PasswordOnly | AccountKind::Workload => "account",
        };
        Some(Self { of, text: ceiling.to_string(), outside })
    }

    /// What it did in a decision, if anything.
    fn sentence(&self, own: &[String], denied: &[String]) -> Option<String> {
        let Self { of, text, outside } = self;
        match (*of, own, denied) {
            (ROBOT, [], _) if outside.is_empty() => None,
            (ROBOT, [], _) => Some(format!("the robot's own permission is only: {text}")),
            (ROBOT, own, _) => {
                Some(format!("the robot's own permission allows {}: {text}", own.join(", ")))
            }
            (_, _, []) => None,
            ("api-key", _, denied) => {
                Some(format!("the limit of the API key denies {}: {text}", denied.join(", ")))
            }
            (_, _, denied) => {
                Some(format!("the account's own limit denies {}: {text}", denied.join(", ")))
            }
        }
    }
}

fn words<'a>(actions: impl IntoIterator<Item = &'a Action>) -> Vec<String> {
    actions.into_iter().map(ToString::to_string).collect()
}

fn cited(policy: &dyn Policy, decision: &Decision) -> Vec<CitedRule> {
    let mut cited: Vec<CitedRule> = Vec::new();
    for applied in &decision.applied_rules {
        let number = applied.rule.number();
        let (action, effect) = (applied.action.to_string(), applied.effect.to_string());
        let same = |entry: &&mut CitedRule| entry.number == number && entry.effect == effect;
        match cited.iter_mut().find(same) {
            Some(entry) => entry.actions.push(action),
            None => cited.push(CitedRule {
                number,
                effect,
                actions: vec![action],
                text: policy.rule_text(applied.rule).unwrap_or_default(),
            }),
        }
    }
    cited
}

/// Of the `allow` rules, the one that came nearest ([`Closeness`]); of equals the first.
pub(super) fn nearest(
    rules: &[Rule],
    request: &Request<'_>,
    decision: &Decision,
) -> Option<NearMiss> {
    let missing: Vec<&Action> = missing(decision);
    if missing.is_empty() {
        return None;
    }
    let near = rules.iter().enumerate().filter(|(_, rule)| rule.effect == Effect::Allow);
    let near = near.filter_map(|(index, rule)| {
        let (closeness, but) = miss(rule, request, &decision.requested, &missing)?;
        // The first of equals, hence the place counts backwards.
        Some((closeness, std::cmp::Reverse(index), but, rule))
    });
    near.max_by_key(|(closeness, index, ..)| (*closeness, *index)).map(|(_, index, but, rule)| {
        NearMiss { number: RuleId::at(index.0).number(), text: rule.to_string(), but }
    })
}

/// What was asked for, is not granted, and was not taken by a rule that says so.
fn missing(decision: &Decision) -> Vec<&Action> {
    let asked = &decision.requested.actions;
    let spoken_of = |action: &Action| decision.applied_rules.iter().any(|g| g.action == *action);
    let written_out = asked.contains(&Action::Any) && !decision.granted.contains(&Action::Any);
    let everything = [&Action::Pull, &Action::Push, &Action::Delete];
    let star = written_out.then_some(everything).into_iter().flatten();
    let named = asked.iter().filter(|action| **action != Action::Any);
    let mut missing: Vec<&Action> = star.chain(named).filter(|a| !spoken_of(a)).collect();
    missing.dedup();
    missing
}

/// How near a rule came, and what kept it; `None` where it is about something else, or did match.
fn miss(
    rule: &Rule,
    request: &Request<'_>,
    requested: &Access,
    missing: &[&Action],
) -> Option<(Closeness, String)> {
    let caller = Caller::new(request);
    let path: Vec<&str> = requested.resource.name.split('/').collect();
    let (about_it, shared) = match (&rule.target, super::kind(&requested.resource)) {
        (Target::Catalog, super::Kind::Catalog) => (true, 1),
        (Target::Repository(_), super::Kind::Repository) => {
            (rule.covers_repository(&path, caller), rule.common_prefix(&path, caller))
        }
        _ => return None,
    };
    let gives = missing.iter().any(|action| rule.actions.covers(action));
    let condition = rule.conditions.missed(request, rule.effect);
    match (gives, about_it, rule.applies_to(caller), condition) {
        (true, true, true, Some(missed)) => Some((Closeness::Condition, missed)),
        (false, true, true, None) => {
            Some((Closeness::Action, format!("it allows only {}", rule.actions)))
        }
        (true, true, false, None) => {
            let for_all = matches!(&rule.target, Target::Repository(p) if p.is_everything());
            let closeness = if for_all { Closeness::CallerOfAll } else { Closeness::Caller };
            Some((closeness, but_not_for(rule, caller)))
        }
        (true, false, true, None) => {
            let but = format!("it does not match {}", requested.resource);
            Some((Closeness::Path(shared), but))
        }
        (true, true, true, None) | (false, _, _, _) | (_, false, false, _) | (_, _, _, Some(_)) => {
            None
        }
    }
}

fn but_not_for(rule: &Rule, caller: Caller<'_>) -> String {
    let who = caller.name().unwrap_or("an anonymous caller");
    if rule.except.iter().any(|principal| principal.is(caller)) {
        return format!("it excepts {who}");
    }
    let by_group = rule.to.iter().any(|principal| matches!(principal, Principal::Group { .. }));
    let groups: Vec<&str> = caller.groups().collect();
    match (by_group, caller.name()) {
        (true, Some(name)) if groups.is_empty() => format!("{name} is in no group"),
        (true, Some(name)) => format!("{name} is only in {}", groups.join(", ")),
        _ => format!("it does not apply to {who}"),
    }
}

const ROBOT: &str = "robot";

/// Later variants are nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    /// It is for somebody else, and about all repositories: most likely an administrator's.
    CallerOfAll,
    /// It is about another repository, and shares so many segments with this one.
    Path(usize),
    /// It is for somebody else.
    Caller,
    /// It gives something else.
    Action,
    /// It gives this, but not from there, not for this registry, or not now.
    Condition,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.account.as_deref().unwrap_or("an anonymous caller");
        let list = |words: &[String]| {
            if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
        };
        let (asked, granted) = (list(&self.requested), list(&self.granted));
        write!(f, "{who} on {}: asks for {asked}, is granted {granted}", self.resource)?;
        for rule in &self.rules {
            let verb = if rule.effect == "deny" { "denies" } else { "allows" };
            write!(
                f,
                "\n  rule {} {verb} {}: {}",
                rule.number,
                rule.actions.join(", "),
                rule.text
            )?;
        }
        let limit = self.limit.as_ref();
        let limit = limit.and_then(|limit| limit.sentence(&self.own, &self.over_ceiling));
        if let Some(limit) = &limit {
            write!(f, "\n  {limit}")?;
        }
        match &self.nearest {
            Some(near) => {
                write!(f, "\n  nearest: rule {}: {}, but {}", near.number, near.text, near.but)
            }
            None if self.rules.is_empty() && limit.is_none() && !self.requested.is_empty() => {
                f.write_str("\n  no rule is similar")
            }
            None => Ok(()),
        }
    }
}
