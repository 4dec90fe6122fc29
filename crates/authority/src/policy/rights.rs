//! What a token says: the rules, under the account's own limits, and beside a robot's own permission.

use portpass_protocol::access::{Access, Action, Actions};

use super::{Decision, Effect, Policy, Request};
use crate::{ceiling::Ceiling, subject::AccountKind};

/// Decides on one resource for whoever asks. What the rules give is never more than the account's ceiling; the
/// ceiling of a robot is its permission too: rules need not name it, and their `deny` takes from it all the same.
pub fn decide_for(policy: &dyn Policy, request: &Request<'_>, requested: &Access) -> Decision {
    let by_rules = policy.decide(request, requested);
    let account = request.subject.account();
    let robot = account.filter(|account| account.kind == AccountKind::Robot);
    match robot.and_then(|robot| robot.ceiling.as_deref()) {
        Some(permission) => with_own_permission(by_rules, permission),
        None => by_rules.under(request.subject.ceiling()),
    }
}

fn with_own_permission(by_rules: Decision, permission: &Ceiling) -> Decision {
    let denied = |action: &Action| {
        let applied = &by_rules.applied_rules;
        applied.iter().any(|rule| rule.effect == Effect::Deny && rule.action == *action)
    };
    let Access { resource, actions } = &by_rules.requested;
    let mut own = Actions::none();
    for action in &permission.narrow(resource, actions) {
        match action {
            Action::Any
                if [Action::Pull, Action::Push, Action::Delete, Action::Any].iter().any(denied) =>
            {
                // As for whoever has `*` from a rule: written out, without what is taken.
                for action in [Action::Pull, Action::Push, Action::Delete] {
                    if !denied(&action) {
                        own.insert(action);
                    }
                }
            }
            // A word without a meaning here is in no rule but `*` (SC4), so a `deny` of it shows in none.
            Action::Other(_) => {}
            action if denied(action) => {}
            action => {
                own.insert(action.clone());
            }
        }
    }
    // All that rules give below the permission is its own too, but for those words.
    let mut decision = by_rules.under(Some(permission));
    for action in &decision.granted {
        if let Action::Other(_) = action {
            own.insert(action.clone());
        }
    }
    decision.granted = own;
    decision
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use portpass_protocol::AccessSet;
    use portpass_token::ServiceName;

    use super::*;
    use crate::{
        policy::{RuleContext, RuleSet, RuleText, explain},
        subject::{Account, AccountId, CredentialVersion, Labels, RobotName, SourceName, Subject},
    };

    fn rules() -> RuleSet {
        let rule = |allow: &[&str], deny: &[&str], repository: &str, to: &str| {
            let words = |words: &[&str]| {
                (!words.is_empty()).then(|| words.iter().map(ToString::to_string).collect())
            };
            RuleText {
                allow: words(allow),
                deny: words(deny),
                repository: Some(repository.to_owned()),
                to: vec![to.to_owned()],
                ..RuleText::default()
            }
        };
        let rules = [
            rule(&["pull"], &[], "public/**", "anyone"),
            rule(&["*"], &[], "team/**", "signed-in"),
            rule(&[], &["push"], "team/app-frozen", "signed-in"),
            rule(&[], &["*"], "team/app-secret", "anyone"),
        ];
        let around = RuleContext {
            sources: vec![SourceName::local()],
            services: vec![ServiceName::new("registry")],
            anonymous: true,
            ..RuleContext::default()
        };
        RuleSet::parse(&rules, &around).unwrap()
    }

    /// An account with this limit.
    fn subject(kind: AccountKind, limit: &str) -> Subject {
        let (repository, actions) = limit.rsplit_once(':').unwrap();
        let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let ceiling = Ceiling::parse(&words(actions), &words(repository)).unwrap();
        Subject::from(Account {
            source: SourceName::robot(),
            id: AccountId::new("1"),
            version: CredentialVersion::new("1"),
            name: "ci".parse::<RobotName>().unwrap().account(),
            groups: [].into(),
            labels: Labels::default(),
            kind,
            ceiling: Some(Arc::new(ceiling)),
            valid_until: None,
        })
    }

    fn asked<T>(subject: &Subject, scope: &str, ask: impl Fn(&Request<'_>, &Access) -> T) -> T {
        let service = ServiceName::new("registry");
        let now = SystemTime::UNIX_EPOCH;
        let request = Request { subject, service: &service, address: None, now };
        ask(&request, &scope.parse::<AccessSet>().unwrap().into_iter().next().unwrap())
    }

    /// `own` is what no rule gave; `deny` rules count for a robot as for everybody.
    #[test]
    fn a_robot_has_its_permission_without_a_rule_and_no_more_by_one() {
        let table = [
            // limit, asked, granted, own
            ("other/x:pull,push", "other/x:pull,push,delete", "pull,push", "pull,push"),
            ("other/x:pull", "other/y:pull", "", ""),
            ("other/x:*", "other/x:*", "*", "*"),
            ("other/x:pull,push", "other/x:*", "pull,push", "pull,push"),
            ("team/app-*:pull", "team/app-1:pull,push", "pull", ""),
            ("team/app-*:pull,push", "team/base:pull", "", ""),
            ("team/app-*:pull,push", "public/x:pull", "", ""),
            ("team/app-*:pull,push", "team/app-frozen:pull,push", "pull", ""),
            ("team/app-*:*", "team/app-frozen:*", "pull,delete", ""),
            ("team/app-*:*", "team/app-secret:*", "", ""),
            ("team/app-*:*", "team/app-secret:pull,delete", "", ""),
            ("other/x:*", "other/x:sign", "", ""),
            ("team/x:*", "team/x:sign", "sign", ""),
            ("**:*", "public/x:*", "*", "*"),
        ];
        for (limit, scope, granted, own) in table {
            let robot = subject(AccountKind::Robot, limit);
            let decision = asked(&robot, &format!("repository:{scope}"), |request, access| {
                decide_for(&rules(), request, access)
            });
            assert_eq!(decision.granted.to_string(), granted, "{limit} {scope}");
            assert_eq!(decision.own().to_string(), own, "{limit} {scope}");
        }
        let everything = subject(AccountKind::Robot, "**:*");
        let catalog = asked(&everything, "registry:catalog:*", |request, access| {
            decide_for(&rules(), request, access)
        });
        assert!(catalog.granted.is_empty(), "a robot sees no catalog");
    }

    #[test]
    fn a_key_only_limits_what_the_rules_give() {
        for (limit, scope, granted) in [
            ("other/x:pull", "other/x:pull", ""),
            ("team/x:pull", "team/x:pull,push", "pull"),
            ("team/x:pull", "team/y:pull", ""),
        ] {
            let key = subject(AccountKind::ApiKey, limit);
            let decision = asked(&key, &format!("repository:{scope}"), |request, access| {
                decide_for(&rules(), request, access)
            });
            assert_eq!(decision.granted.to_string(), granted, "{limit} {scope}");
            assert!(decision.own().is_empty());
        }
    }

    #[test]
    fn an_explanation_names_the_permission_of_a_robot_and_the_limit_of_a_key() {
        let cases = [
            (AccountKind::Robot, "other/x:pull,push", "repository:other/x:pull,push"),
            (AccountKind::Robot, "other/x:pull,push", "repository:other/x:pull,delete"),
            (AccountKind::Robot, "other/x:pull,push", "repository:other/y:pull"),
            (AccountKind::Robot, "team/app-*:push", "repository:team/app-frozen:push"),
            (AccountKind::Robot, "team/app-*:push", "repository:team/app-1:push"),
            (AccountKind::ApiKey, "team/**:pull", "repository:team/x:pull,push"),
            (AccountKind::ApiKey, "team/**:pull", "repository:other/x:pull"),
        ];
        let said = cases.map(|(kind, limit, scope)| {
            let subject = subject(kind, limit);
            asked(&subject, scope, |request, access| explain(&rules(), request, access).to_string())
        });
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
