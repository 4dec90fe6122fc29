//! What rules give at most, where not all is known that a decision depends on.

use std::{net::IpAddr, time::SystemTime};

use portpass_token::ServiceName;

use super::{RuleSet, conditions::Conditions, effect::Effect, index::Index, rule::Rule};

/// What is known of the requests that a question is about; `None` is any.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownCircumstances<'a> {
    /// The registry that the token is for.
    pub service: Option<&'a ServiceName>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// When.
    pub now: Option<SystemTime>,
}

impl RuleSet {
    /// The rules as they count at most, under their own numbers and without conditions: an `allow` where its
    /// conditions can hold, a `deny` only where they must.
    #[must_use]
    pub fn at_most(&self, known: &KnownCircumstances<'_>) -> Self {
        let counts = |(_, rule): &(usize, &Rule)| rule.counts_at_most(known);
        let index = Index::new(self.rules.iter().enumerate().filter(counts));
        let free = |rule: &Rule| Rule { conditions: Conditions::default(), ..rule.clone() };
        Self { rules: self.rules.iter().map(free).collect(), index }
    }
}

impl Rule {
    /// Whether it counts in [`RuleSet::at_most`].
    pub fn counts_at_most(&self, known: &KnownCircumstances<'_>) -> bool {
        match (self.effect, settle(&self.conditions, known)) {
            (Effect::Allow, settled) => settled != Some(false),
            (Effect::Deny, settled) => settled == Some(true),
        }
    }
}

/// Whether the conditions hold, as far as that is known.
fn settle(conditions: &Conditions, known: &KnownCircumstances<'_>) -> Option<bool> {
    let Conditions { from, services, between } = conditions;
    let from = match (from.is_empty(), known.address) {
        (true, _) => Some(true),
        (false, Some(address)) => {
            let address = address.to_canonical();
            Some(from.iter().any(|network| network.contains(&address)))
        }
        (false, None) => None,
    };
    let service = match (services.is_empty(), known.service) {
        (true, _) => Some(true),
        (false, Some(service)) => Some(services.contains(service)),
        (false, None) => None,
    };
    let between = match (between, known.now) {
        (None, _) => Some(true),
        (Some(times), Some(now)) => Some(times.include(now)),
        (Some(_), None) => None,
    };
    let all = [from, service, between];
    if all.contains(&Some(false)) {
        Some(false)
    } else if all.contains(&None) {
        None
    } else {
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use portpass_protocol::access::{Access, Action};

    use super::*;
    use crate::{
        policy::{Policy, Request, RuleContext, RuleText},
        subject::Subject,
    };

    fn rule(allow: Option<&str>, deny: Option<&str>, from: &[&str]) -> RuleText {
        let words = |word: Option<&str>| word.map(|word| vec![word.to_owned()]);
        RuleText {
            allow: words(allow),
            deny: words(deny),
            repository: Some("a/**".to_owned()),
            to: vec!["anyone".to_owned()],
            from: from.iter().map(|text| (*text).to_owned()).collect(),
            ..RuleText::default()
        }
    }

    #[test]
    fn an_allow_counts_where_it_can_and_a_deny_where_it_must() {
        let context = RuleContext { anonymous: true, ..RuleContext::default() };
        let rules = RuleSet::parse(
            &[
                rule(Some("pull"), None, &["10.0.0.0/8"]),
                rule(Some("push"), None, &[]),
                rule(None, Some("push"), &["192.0.2.0/24"]),
                rule(None, Some("delete"), &[]),
                rule(Some("delete"), None, &[]),
            ],
            &context,
        )
        .unwrap();
        let service = ServiceName::new("registry");
        let asked = Access::repository("a/b", [Action::Pull, Action::Push, Action::Delete]);
        for (address, expected) in
            [(None, "pull,push"), (Some("10.0.0.1"), "pull,push"), (Some("192.0.2.1"), "")]
        {
            let address = address.map(|text| text.parse().unwrap());
            let known = KnownCircumstances { address, ..KnownCircumstances::default() };
            let at_most = rules.at_most(&known);
            let (subject, now) = (&Subject::Anonymous, SystemTime::UNIX_EPOCH);
            let request = Request { subject, service: &service, address: None, now };
            let decision = at_most.decide(&request, &asked);
            assert_eq!(decision.granted.to_string(), expected, "{address:?}");
            let numbers = decision.applied_rules.iter().map(|rule| rule.rule.number());
            assert_eq!(numbers.max(), Some(4), "rules keep their numbers");
        }
    }
}
