use portpass_authority::{
    policy::{RuleContext, RuleText},
    subject::AccountKind,
};
use portpass_config::Profile;

use super::*;
use crate::policy::rulebook::account;

/// `allow pull,push a/** to group:dev except user:bob`
fn rule(text: &str) -> RuleText {
    let words: Vec<&str> = text.split_whitespace().collect();
    let actions = Some(words[1].split(',').map(str::to_owned).collect());
    let mut rule = RuleText { repository: Some(words[2].to_owned()), ..RuleText::default() };
    if words[0] == "allow" {
        rule.allow = actions;
    } else {
        rule.deny = actions;
    }
    let mut key = "";
    for word in &words[3..] {
        match (key, *word) {
            (_, "to" | "except" | "from" | "before" | "expiration") => key = *word,
            ("to", word) => rule.to.push(word.to_owned()),
            ("except", word) => rule.except.push(word.to_owned()),
            ("from", word) => rule.from.push(word.to_owned()),
            ("before", word) => {
                rule.between.get_or_insert_default().before = Some(word.to_owned());
            }
            (_, word) => rule.expiration = Some(word.parse().unwrap()),
        }
    }
    rule
}

/// What is found, by rule: `shadowed 2`.
fn found(texts: &[&str], accounts: Option<&[(&str, &str)]>) -> Vec<String> {
    let context = RuleContext {
        sources: vec![SourceName::local(), SourceName::htpasswd()],
        services: vec![],
        anonymous: true,
        ..RuleContext::default()
    };
    let texts: Vec<RuleText> = texts.iter().map(|text| rule(text)).collect();
    let rules = RuleSet::parse(&texts, &context).unwrap();
    let accounts: Option<Vec<Account>> = accounts.map(|accounts| {
        let known = |(name, groups): &(&str, &str)| {
            let groups = groups.split_whitespace().map(|group| group.parse().unwrap()).collect();
            let profile = Profile { groups, ..Profile::default() };
            account(SourceName::local(), name.parse().unwrap(), AccountKind::Person, &profile)
        };
        accounts.iter().map(known).collect()
    });
    let lint = Lint {
        rules: &rules,
        anonymous: context.anonymous,
        sources: context.sources,
        accounts: accounts.as_ref().map(|accounts| accounts.iter().collect()),
        now: SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(500_000), // 2027-01-15
    };
    let findings = lint.findings();
    findings.iter().map(|finding| format!("{} {}", finding.id, finding.rule.unwrap())).collect()
}

#[test]
fn rules_that_say_nothing_new_are_shadowed() {
    let table: [(&[&str], &[&str]); 9] = [
        (&["allow pull a/** to anyone", "allow pull a/b to signed-in"], &["shadowed 2"]),
        (&["allow pull a/b to signed-in", "allow pull a/** to anyone"], &["shadowed 1"]),
        (&["allow pull a/** to anyone", "allow pull a/** to anyone"], &["shadowed 2"]),
        (&["allow pull a/** to anyone", "allow pull,push a/b to signed-in"], &[]),
        (&["allow pull a/** to anyone except user:x", "allow pull a/b to signed-in"], &[]),
        (&["allow pull a/** to anyone from 10.0.0.0/8", "allow pull a/b to signed-in"], &[]),
        (
            &[
                "allow pull a/** to anyone from 10.0.0.0/8",
                "allow pull a/b to signed-in from 10.1.0.0/16",
            ],
            &["shadowed 2"],
        ),
        (&["allow pull a/** to anyone", "allow pull a/b to signed-in expiration 600"], &[]),
        (&["allow pull a/** to group:*", "allow pull a/b to group:dev"], &["shadowed 2"]),
    ];
    for (texts, expected) in table {
        assert_eq!(found(texts, None), expected, "{texts:?}");
    }
}

#[test]
fn rules_that_do_nothing_are_found() {
    let table: [(&[&str], &[&str]); 9] = [
        (&["allow push a/b to user:x", "deny push a/** to signed-in"], &["unreachable 1"]),
        (&["allow pull a/b to anyone", "deny * a/** to signed-in"], &["unreachable 1"]),
        (&["allow push a/b to user:x", "deny push a/** to signed-in except user:x"], &[]),
        (&["allow pull,push a/b to user:x", "deny push a/** to signed-in"], &[]),
        (&["allow push a/b to user:x", "deny push a/** to signed-in from 10.0.0.0/8"], &[]),
        (&["allow push a/b to user:x", "deny push c/** to signed-in"], &["denies-nothing 2"]),
        (&["allow push ${account}/** to signed-in", "deny push c/** to signed-in"], &[]),
        (&["allow pull Team/** to anyone"], &["impossible-name 1"]),
        (&["allow pull a/** to anyone before 2027-01-01"], &["over 1"]),
    ];
    for (texts, expected) in table {
        assert_eq!(found(texts, None), expected, "{texts:?}");
    }
}

#[test]
fn rules_that_give_much_are_found() {
    let table: [(&[&str], &[&str]); 8] = [
        (&["allow push ** to signed-in"], &["over-broad 1"]),
        (&["allow push ** to anyone"], &["over-broad 1", "anonymous-push 1"]),
        (&["allow pull ** to anyone"], &[]),
        (&["allow push inbox/** to anyone"], &["anonymous-push 1"]),
        (&["allow push inbox/** to anyone from 10.0.0.0/8"], &[]),
        (&["allow push inbox/** to anyone except anonymous"], &[]),
        (&["allow * ** to user:admin"], &["any-source 1"]),
        (&["allow * ** to user:local/admin"], &[]),
    ];
    for (texts, expected) in table {
        assert_eq!(found(texts, None), expected, "{texts:?}");
    }
}

#[test]
fn names_of_nobody_are_found_where_all_accounts_are_known() {
    let texts = [
        "allow pull a/** to group:dev",
        "allow pull b/** to group:qa user:ann",
        "allow pull c/** to user:bob robot:ci",
        "deny pull a/** to group:dev except group:release",
    ];
    let accounts: &[(&str, &str)] = &[("ann", "dev")];
    let expected = ["no-member 2", "no-account 3", "no-account 3", "no-member 4"];
    assert_eq!(found(&texts, Some(accounts)), expected);
    assert_eq!(found(&texts, None), [""; 0]);
}
