//! What of the rules cannot be meant, or is more than was meant.

use std::{fmt, time::SystemTime};

use portpass_authority::{
    accounts::Listing,
    policy::{ActionBits, Conditions, Effect, Principal, Rule, RuleId, RuleSet, Target},
    subject::{Account, SourceName},
};
use portpass_protocol::access::Action;
use serde::Serialize;

use super::{AdminError, Rulebook};

mod members;
mod overlap;

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LintFinding {
    /// A stable word for it.
    pub id: &'static str,
    /// Whether it can be meant.
    pub severity: Severity,
    /// Which rule, counted from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// The rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it is.
    pub problem: String,
    /// What to do.
    pub advice: String,
}

/// How sure it is that something else was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It may be meant.
    Warning,
    /// The rule does nothing at all.
    Error,
}

impl fmt::Display for LintFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(number), Some(text)) = (self.rule, &self.text) {
            writeln!(f, "rule {number}: {text}")?;
        }
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "  {severity} {}: {}\n  {}", self.id, self.problem, self.advice)
    }
}

impl Rulebook {
    /// Looks the rules over: by their texts, and by the accounts where there are some to look at.
    pub async fn lint(&self) -> Result<Vec<LintFinding>, AdminError> {
        let rules = self.rules()?;
        let service = self.service()?;
        let listings = self.listings().await;
        let lint = Lint {
            rules,
            anonymous: service.anonymous,
            sources: service.accounts.iter().map(portpass_config::AccountSource::name).collect(),
            accounts: if self.is_installed() { everybody(&listings) } else { None },
            now: self.now(),
        };
        let mut findings = lint.findings();
        if self.is_installed() {
            findings.extend(members::absent(&service.groups, &listings));
        }
        findings.extend(self.squatters(rules).await.into_iter().map(|problem| {
            LintFinding {
                id: "account-owns-namespace",
                severity: Severity::Warning,
                rule: None,
                text: None,
                problem,
                advice: "no account of that name can be added any more; this one was there before"
                    .to_owned(),
            }
        }));
        Ok(findings)
    }
}

/// All accounts there are; `None` where a source has others than it names.
fn everybody(listings: &[Listing]) -> Option<Vec<&Account>> {
    let all = listings.iter().flat_map(|listing| listing.accounts.iter().flatten());
    listings.iter().all(are_all_listed).then(|| all.map(|listed| &listed.account).collect())
}

fn are_all_listed(listing: &Listing) -> bool {
    listing.is_complete && listing.accounts.is_ok()
}

/// What rules are looked over with.
struct Lint<'a> {
    rules: &'a RuleSet,
    anonymous: bool,
    sources: Vec<SourceName>,
    accounts: Option<Vec<&'a Account>>,
    now: SystemTime,
}

/// A finding that does not yet say which rule it is about.
type Finding = (&'static str, Severity, String, String);

impl Lint<'_> {
    fn findings(&self) -> Vec<LintFinding> {
        let mut findings = Vec::new();
        for (place, rule) in self.rules.rules().iter().enumerate() {
            let of_rule = [
                self.never(place, rule),
                broad(rule),
                self.anonymous_push(rule),
                self.any_source(rule),
            ];
            let all = of_rule.into_iter().flatten().chain(self.nobody(rule));
            findings.extend(all.map(|(id, severity, problem, advice)| LintFinding {
                id,
                severity,
                rule: Some(RuleId::at(place).number()),
                text: Some(rule.to_string()),
                problem,
                advice,
            }));
        }
        findings
    }

    /// Why the rule does nothing; one reason is enough.
    fn never(&self, place: usize, rule: &Rule) -> Option<Finding> {
        if let Target::Repository(pattern) = &rule.target
            && let Some(segment) = pattern.impossible_segment()
        {
            let problem = format!(
                "no repository has `{segment}` in its name: lower-case letters and digits, joined by `.`, `_`, `__` or dashes"
            );
            let advice = "correct the pattern".to_owned();
            return Some(("impossible-name", Severity::Error, problem, advice));
        }
        let over = rule.conditions.between.as_ref().filter(|times| times.are_over(self.now));
        if let Some(times) = over {
            let problem = format!("its time is over: {times}");
            return Some(("over", Severity::Error, problem, "remove the rule".to_owned()));
        }
        let others = || self.rules.rules().iter().enumerate().filter(|(other, _)| *other != place);
        // Of two that say the same, the second is the one too many.
        let shadow = others().find(|(other, by)| {
            overlap::covers(by, rule) && (*other < place || !overlap::covers(rule, by))
        });
        if let Some((by, _)) = shadow {
            let by = RuleId::at(by);
            let problem = format!("{by} says all of it");
            let advice = format!("remove this rule, or narrow {by}");
            return Some(("shadowed", Severity::Warning, problem, advice));
        }
        if rule.effect == Effect::Allow
            && let Some((by, _)) = others().find(|(_, by)| overlap::denies_all(by, rule))
        {
            let by = RuleId::at(by);
            let problem = format!("{by} denies all that it allows");
            let advice = format!("remove this rule, or except its callers in {by}");
            return Some(("unreachable", Severity::Error, problem, advice));
        }
        let is_idle = rule.effect == Effect::Deny
            && !others().any(|(_, other)| {
                other.effect == Effect::Allow && overlap::speak_of_the_same(rule, other)
            });
        is_idle.then(|| {
            let problem = "no rule allows anything of what it denies".to_owned();
            let advice = "remove it, or keep it for rules to come".to_owned();
            ("denies-nothing", Severity::Warning, problem, advice)
        })
    }

    fn anonymous_push(&self, rule: &Rule) -> Option<Finding> {
        let is_nobody = |to: &Principal| matches!(to, Principal::Anyone | Principal::Anonymous);
        let admitted = self.anonymous
            && rule.effect == Effect::Allow
            && rule.to.iter().any(is_nobody)
            && !rule.except.contains(&Principal::Anonymous)
            && rule.conditions.from.is_empty();
        let pushes = matches!(rule.target, Target::Repository(_)) && writes(rule.actions);
        (admitted && pushes).then(|| {
            let problem = "callers without a password may change repositories".to_owned();
            let advice = "write `to: signed-in`, or limit it by `from`".to_owned();
            ("anonymous-push", Severity::Warning, problem, advice)
        })
    }

    /// Whoever writes the second source could make an account of that name.
    fn any_source(&self, rule: &Rule) -> Option<Finding> {
        let is_strong = rule.effect == Effect::Allow && rule.actions.contains(&Action::Any);
        if self.sources.len() < 2 || !is_strong {
            return None;
        }
        let open = rule.to.iter().find(|to| {
            matches!(
                to,
                Principal::User { source: None, .. } | Principal::Group { source: None, .. }
            )
        })?;
        let problem = format!("`{open}` is of whichever source has that name first");
        let first = self.sources.first().map(SourceName::as_str).unwrap_or_default();
        let named = open.to_string().replacen(':', &format!(":{first}/"), 1);
        Some((
            "any-source",
            Severity::Warning,
            problem,
            format!("name the source, as in `{named}`"),
        ))
    }

    /// Groups and accounts of which there are none.
    fn nobody(&self, rule: &Rule) -> Vec<Finding> {
        let Some(accounts) = &self.accounts else { return Vec::new() };
        let named = rule.to.iter().chain(&rule.except);
        let absent = named.filter(|principal| match principal {
            Principal::User { .. } | Principal::Robot(_) | Principal::Group { .. } => {
                !accounts.iter().any(|account| principal.names(account))
            }
            Principal::Anyone | Principal::Anonymous | Principal::SignedIn => false,
        });
        absent
            .map(|principal| {
                let (id, problem) = match principal {
                    Principal::Group { .. } => ("no-member", format!("nobody is in `{principal}`")),
                    _ => ("no-account", format!("there is no account `{principal}`")),
                };
                let advice = "correct the name, or remove it".to_owned();
                (id, Severity::Warning, problem, advice)
            })
            .collect()
    }
}

fn broad(rule: &Rule) -> Option<Finding> {
    let Target::Repository(pattern) = &rule.target else { return None };
    let writes = rule.effect == Effect::Allow && pattern.is_everything() && writes(rule.actions);
    let to = rule.to.iter().find(|to| is_for_many(to)).filter(|_| writes)?;
    let problem = format!("it gives [{}] on every repository to {to}", rule.actions);
    let advice =
        "name the repositories, as in `${account}/**`, or the callers, as in `group:admins`"
            .to_owned();
    Some(("over-broad", Severity::Warning, problem, advice))
}

fn is_for_many(principal: &Principal) -> bool {
    match principal {
        Principal::Anyone | Principal::Anonymous | Principal::SignedIn => true,
        Principal::User { name, .. } | Principal::Robot(name) | Principal::Group { name, .. } => {
            name.as_str() == "*"
        }
    }
}

fn writes(actions: ActionBits) -> bool {
    actions.covers(&Action::Push) || actions.covers(&Action::Delete)
}

/// Whether the conditions of `narrow` never hold where those of `wide` do not.
fn are_within(narrow: &Conditions, wide: &Conditions) -> bool {
    let from = wide.from.is_empty()
        || (!narrow.from.is_empty()
            && narrow
                .from
                .iter()
                .all(|network| wide.from.iter().any(|wide| wide.contains(network))));
    let services = wide.services.is_empty()
        || (!narrow.services.is_empty()
            && narrow.services.iter().all(|service| wide.services.contains(service)));
    from && services && (wide.between.is_none() || wide.between == narrow.between)
}

#[cfg(test)]
mod tests;
