//! Decisions of rules that nobody would write.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_rule()(
        effect in "(allow|allow|deny)",
        actions in "(pull|push|delete|\\*)(,(pull|push|delete)){0,2}",
        target in "(repository (a|b|\\*|\\*\\*|\\$\\{account\\}|\\$\\{group\\})(/(a|b|\\*|\\*\\*|\\$\\{account\\}|\\$\\{label:l\\})){0,1}(/(a|\\*|\\*\\*|\\$\\{label:m\\})){0,1})",
        to in "(anyone|signed-in|anonymous|user:a|user:local/b|user:\\*|robot:a|robot:\\*|group:b|group:local/a|group:a group:b|user:b group:a|group:\\*)",
        except in "( except (user:b|group:a|robot:b))?",
        from in "( from (10.0.0.0/8|10.0.0.1 2001:db8::/32))?",
        service in "( service (registry|mirror|registry mirror))?",
        between in "( between (mon-fri|sat,sun@08:00-18:00|@22:00-06:00@Europe/Berlin|@@@after=2026-12-(01|20)|@@@before=2026-12-25))?",
        lifetime in "( expiration (60|600))?",
    ) -> String {
        let lifetime = if effect == "allow" { &*lifetime } else { "" };
        format!("{effect} {actions} {target} to {to}{except}{from}{service}{between}{lifetime}")
    }
}

pub(super) fn some_rules() -> impl Strategy<Value = Vec<String>> {
    let can_match = |text: &String| RuleSet::parse(&[rule(text)], &context()).is_ok();
    prop::collection::vec(any_rule().prop_filter("matches somebody", can_match), 0..8)
}

/// What a decision can depend on beside the resource.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) subject: Subject,
    service: ServiceName,
    address: Option<IpAddr>,
    now: SystemTime,
}

impl Asked {
    pub(super) fn request(&self) -> Request<'_> {
        let Self { subject, service, address, now } = self;
        Request { subject, service, address: *address, now: *now }
    }
}

prop_compose! {
    pub(super) fn anybody()(
        who in "(|a|b|htpasswd/a|a:b|b:a,b)",
        robot in any::<bool>(),
        labels in prop::collection::vec("[lm]=[ab]", 0..3),
        service in "(registry|mirror)",
        address in prop::option::of(prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "192.0.2.1", "2001:db8::1"])),
        hour in 499_000_u64..500_000,
    ) -> Asked {
        let mut subject = subject(&who);
        if let Subject::SignedIn(account) = &mut subject {
            let account = std::sync::Arc::make_mut(account);
            account.kind = if robot { AccountKind::Robot } else { AccountKind::Person };
            for label in labels {
                let (name, value) = label.split_once('=').unwrap();
                account.labels.insert(name, value).unwrap();
            }
        }
        Asked {
            subject,
            service: ServiceName::new(&*service),
            address: address.map(|text| text.parse().unwrap()),
            now: SystemTime::UNIX_EPOCH + Duration::from_hours(hour),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn nothing_is_granted_that_was_not_asked_and_the_explanation_agrees(
        texts in some_rules(),
        asked in anybody(),
        scope in "(repository:[ab](/[ab]){0,2}|registry:catalog|other:a):(pull|push|delete|sign|\\*)(,(pull|push|delete|\\*)){0,3}",
    ) {
        let rules = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let requested = access(&scope);
        let decision = rules.decide(&asked.request(), &requested);

        let all = AccessSet::from_iter([requested.clone()]);
        prop_assert!(all.covers(&decision.to_access()), "{requested} became {}", decision.granted);

        let explanation = explain(&rules, &asked.request(), &requested);
        let granted: Vec<String> = decision.granted.iter().map(ToString::to_string).collect();
        prop_assert_eq!(&explanation.granted, &granted);
        // Every granted action has a rule that gives it, and no rule takes it.
        for action in &explanation.granted {
            let by = |effect: &str| explanation.rules.iter().any(|r| r.effect == effect && r.actions.contains(action));
            prop_assert!(by("allow"), "{action} of {explanation}");
            prop_assert!(!by("deny"), "{action} of {explanation}");
        }
        // What is missing has either a rule that took it, or the nearest that did not give it.
        if let Some(near) = &explanation.nearest {
            prop_assert!(!explanation.rules.iter().any(|r| r.number == near.number && granted == explanation.requested));
        }
    }

    /// What the index leaves out can never match: against a plain walk over all rules.
    #[test]
    fn granted_is_the_union_of_allows_without_the_union_of_denies(
        texts in some_rules(),
        asked in anybody(),
        name in "[ab](/[ab]){0,2}",
        action in "(pull|push|delete)",
    ) {
        let set = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let request = asked.request();
        let caller = Caller::new(&request);
        let path: Vec<&str> = name.split('/').collect();
        let action = Action::from(&*action);
        let says = |effect| {
            let speaks = |rule: &&Rule| {
                rule.effect == effect
                    && rule.covers_repository(&path, caller)
                    && rule.applies_to(caller)
                    && rule.conditions.hold(&request, effect)
                    && rule.actions.covers(&action)
            };
            set.rules().iter().filter(speaks).collect::<Vec<_>>()
        };
        let (allows, denies) = (says(Effect::Allow), says(Effect::Deny));
        let expected = !allows.is_empty() && denies.is_empty();
        let requested = Access::repository(&name, [action]);
        let decision = set.decide(&request, &requested);
        prop_assert_eq!(!decision.granted.is_empty(), expected, "{:?}: {}", texts, requested);

        let default = Lifetime::from_seconds(300).unwrap();
        let longest = allows.iter().filter_map(|rule| rule.lifetime).max().unwrap_or(default);
        prop_assert_eq!(decision.lifetime(default), expected.then_some(longest), "{:?}", texts);
    }

    /// Nobody gains by hiding where it comes from.
    #[test]
    fn without_an_address_nothing_more_is_granted(
        texts in some_rules(),
        asked in anybody(),
        name in "[ab](/[ab]){0,2}",
    ) {
        let set = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let requested = Access::repository(&name, [Action::Pull]);
        let with = set.decide(&asked.request(), &requested);
        let without = set.decide(&Request { address: None, ..asked.request() }, &requested);
        prop_assert!(without.granted.is_empty() || !with.granted.is_empty(), "{texts:?}");
    }
}
