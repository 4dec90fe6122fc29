//! Decisions of rules that nobody would write.

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_rule()(
        effect in "(allow|allow|deny)",
        actions in "(pull|push|delete|\\*)(,(pull|push|delete)){0,2}",
        target in "(repository (a|b|\\*|\\*\\*|\\$\\{account\\}|\\$\\{group\\})(/(a|b|\\*|\\*\\*|\\$\\{account\\})){0,2})",
        to in "(anyone|signed-in|anonymous|user:a|user:local/b|user:\\*|group:b|group:a group:b|user:b group:a|group:\\*)",
        except in "( except (user:b|group:a))?",
    ) -> String {
        format!("{effect} {actions} {target} to {to}{except}")
    }
}

fn some_rules() -> impl Strategy<Value = Vec<String>> {
    let can_match = |text: &String| RuleSet::parse(&[rule(text)], &context()).is_ok();
    prop::collection::vec(any_rule().prop_filter("matches somebody", can_match), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn nothing_is_granted_that_was_not_asked_and_the_explanation_agrees(
        texts in some_rules(),
        who in "(|a|b|htpasswd/a|a:b|b:a,b)",
        scope in "(repository:[ab](/[ab]){0,2}|registry:catalog|other:a):(pull|push|delete|sign|\\*)(,(pull|push|delete|\\*)){0,3}",
    ) {
        let rules = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let (subject, service, requested) = (subject(&who), service(), access(&scope));
        let decision = rules.decide(&request(&subject, &service), &requested);

        let asked = AccessSet::from_iter([requested.clone()]);
        prop_assert!(asked.covers(&decision.to_access()), "{requested} became {}", decision.granted);

        let explanation = explain(&rules, &request(&subject, &service), &requested);
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
        who in "(|a|b|htpasswd/a|a:b|b:a,b)",
        name in "[ab](/[ab]){0,2}",
        action in "(pull|push|delete)",
    ) {
        let set = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let (subject, service) = (subject(&who), service());
        let caller = Caller::new(&request(&subject, &service));
        let path: Vec<&str> = name.split('/').collect();
        let action = Action::from(&*action);
        let says = |effect| {
            set.rules().iter().any(|rule| {
                rule.effect == effect
                    && rule.covers_repository(&path, caller)
                    && rule.applies_to(caller)
                    && rule.actions.covers(&action)
            })
        };
        let expected = says(Effect::Allow) && !says(Effect::Deny);
        let requested = Access::repository(&name, [action]);
        let decision = set.decide(&request(&subject, &service), &requested);
        prop_assert_eq!(!decision.granted.is_empty(), expected, "{:?}: {}", texts, requested);
    }
}
