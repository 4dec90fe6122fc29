//! Each sentence on docker_auth's entries, and what it says of an example.

use std::collections::BTreeMap;

use portpass_protocol::access::{Access, Action};

use super::{generate::Asked, request};
use crate::{
    docker_auth::{Acl, EntryText},
    policy::{Policy as _, explain},
};

fn asked(account: &str, name: &str) -> Asked {
    Asked {
        account: account.to_owned(),
        resource_type: "repository".to_owned(),
        name: name.to_owned(),
        service: "registry".to_owned(),
        actions: vec!["pull".to_owned(), "push".to_owned()],
        ..Asked::default()
    }
}

/// `account=/.+/ name=${account}/* label.group=dev actions=pull,push`
fn entry(text: &str) -> EntryText {
    let mut entry = EntryText::default();
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        let value = value.to_owned();
        match key {
            "account" => entry.account = Some(value),
            "type" => entry.resource_type = Some(value),
            "name" => entry.name = Some(value),
            "service" => entry.service = Some(value),
            "ip" => entry.ip = Some(value),
            "actions" => {
                entry.actions =
                    value.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect();
            }
            label => {
                entry.labels.insert(label.strip_prefix("label.").unwrap().to_owned(), value);
            }
        }
    }
    entry
}

fn acl(entries: &[&str]) -> Acl {
    Acl::parse(entries.iter().map(|text| entry(text)).collect()).unwrap()
}

/// What is granted, and by which entry.
fn granted(acl: &Acl, asked: &Asked) -> String {
    request(asked, |request| {
        let actions: Vec<Action> = asked.actions.iter().map(|a| Action::from(a.as_str())).collect();
        let mut requested = Access::repository(&asked.name, actions);
        requested.resource.resource_type = asked.resource_type.as_str().into();
        let decision = acl.decide(request, &requested);
        let by = decision.rule().map_or("nobody".to_owned(), |rule| rule.to_string());
        format!("{} by {by}", decision.granted)
    })
}

#[test]
fn the_first_entry_of_which_all_conditions_are_met_decides_alone() {
    let list = acl(&[
        "account=bob name=a/* actions=pull",
        "account=ann actions=pull",
        "account=ann actions=pull,push",
    ]);
    assert_eq!(granted(&list, &asked("ann", "a/b")), "pull by rule 2");
    assert_eq!(granted(&list, &asked("bob", "a/b")), "pull by rule 1");
    assert_eq!(granted(&list, &asked("bob", "b/b")), " by nobody");
}

#[test]
fn a_condition_that_is_not_there_is_met() {
    let list = acl(&["actions=pull"]);
    assert_eq!(granted(&list, &asked("", "a/b")), "pull by rule 1");
}

#[test]
fn an_empty_list_of_actions_denies() {
    let list = acl(&["account=ann actions=", "actions=*"]);
    assert_eq!(granted(&list, &asked("ann", "a")), " by rule 1");
    assert_eq!(granted(&list, &asked("bob", "a")), "pull,push by rule 2");
}

#[test]
fn only_a_star_that_stands_alone_gives_whatever_is_asked_for() {
    let with = |actions: &[&str]| Asked {
        actions: actions.iter().map(|word| (*word).to_owned()).collect(),
        ..asked("ann", "a")
    };
    let table: &[(&str, &[&str], &str)] = &[
        ("actions=*", &["*"], "* by rule 1"),
        ("actions=*", &["pull", "frobnicate"], "pull,frobnicate by rule 1"),
        ("actions=*,pull", &["pull", "push"], "pull by rule 1"),
        ("actions=*,pull", &["*"], "* by rule 1"),
        ("actions=pull,push,delete", &["*"], " by rule 1"),
        ("actions=frobnicate", &["frobnicate"], "frobnicate by rule 1"),
    ];
    for (list, actions, expected) in table {
        assert_eq!(granted(&acl(&[list]), &with(actions)), *expected, "{list} {actions:?}");
    }
}

#[test]
fn a_pattern_is_a_glob_of_the_whole_text_or_an_expression_found_anywhere() {
    let table = [
        ("name=prod", "my-product-x", false),
        ("name=/prod/", "my-product-x", true),
        ("name=/^prod$/", "my-product-x", false),
        ("name=*", "a", true),
        ("name=*", "a/b", false),
        ("name=**", "a/b", false),
        ("name=a/*", "a/b", true),
        ("name=a/*", "a/b/c", false),
        ("name=a?b", "a-b", true),
        ("name=a?b", "a/b", false),
        ("name=[a-c]x", "bx", true),
        ("name=[^a-c]x", "bx", false),
        ("name={a,b}", "a", false),
        ("name=\\a", "a", true),
        ("name=[a", "a", false),
        ("name=//", "//", true),
        ("name=//", "a", false),
        ("name=Prod", "prod", false),
        ("name=/(?i)PROD/", "prod", true),
    ];
    for (list, name, expected) in table {
        let by = granted(&acl(&[&format!("{list} actions=*")]), &asked("ann", name));
        assert_eq!(by.ends_with("rule 1"), expected, "{list} {name}: {by}");
    }
}

#[test]
fn the_empty_pattern_means_callers_without_credentials() {
    let list = acl(&["account= actions=pull"]);
    assert_eq!(granted(&list, &asked("", "a")), "pull by rule 1");
    assert_eq!(granted(&list, &asked("ann", "a")), " by nobody");
    let signed_in = acl(&["account=/.+/ actions=pull"]);
    assert_eq!(granted(&signed_in, &asked("", "a")), " by nobody");
    assert_eq!(granted(&signed_in, &asked("ann", "a")), "pull by rule 1");
}

#[test]
fn values_are_put_in_without_their_powers_and_groups_with_them() {
    let table = [
        ("name=${account}/*", "dev.team", "dev.team/x", true),
        ("name=/^${account}\\/x/", "dev.team", "devxteam/x", false),
        ("account=/^(.+)@test.com$/ name=${account:1}/*", "ann@test.com", "ann/x", true),
        ("account=/^(.+)@test.com$/ name=${Account:1}/*", "ann@test.com", "ann/x", true),
        ("account=/^(.+)$/ name=/^${account:1}\\/x/", "dev.team", "devxteam/x", true),
        ("account=/^(.+)$/ name=${account:2}/*", "ann", "ann/x", false),
        ("account=/^(.+)$/ name=${account:0}/*", "ann", "ann/x", false),
        ("account=/^(x)?(.+)$/ name=${account:1}a/*", "ann", "a/x", true),
        ("account=ann name=${account:1}/*", "ann", "ann/x", false),
        ("name=${service}/*", "ann", "registry/x", true),
        ("name=${type}/*", "ann", "repository/x", true),
        ("name=${nothing}/*", "ann", "ann/x", false),
    ];
    for (list, account, name, expected) in table {
        let by = granted(&acl(&[&format!("{list} actions=*")]), &asked(account, name));
        assert_eq!(by.ends_with("rule 1"), expected, "{list} {account} {name}: {by}");
    }
}

fn labelled(name: &str, labels: &[(&str, &[&str])]) -> Asked {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let labels: BTreeMap<String, Vec<String>> =
        labels.iter().map(|(name, list)| ((*name).to_owned(), values(list))).collect();
    Asked { labels, ..asked("ann", name) }
}

#[test]
fn every_combination_of_labels_is_tried_and_a_value_keeps_its_powers() {
    let labels: &[(&str, &[&str])] =
        &[("group", &["red", "blue"]), ("tier", &["x", "y"]), ("all", &["test/*"])];
    let table = [
        ("name=${labels:group}/*", "blue/app", true),
        ("name=${labels:group}/*", "green/app", false),
        ("name=${labels:group}-${labels:tier}/*", "blue-y/app", true),
        ("name=${labels:group}-${labels:group}/*", "blue-red/app", false),
        ("name=${labels:all}", "test/app", true),
        ("name=${labels:all}", "other/app", false),
        ("name={labels:group}/*", "blue/app", false),
        ("name=${labels:none}/*", "blue/app", false),
        ("name=${labels:none}${labels:group}/*", "blue/app", false),
    ];
    for (list, name, expected) in table {
        let by = granted(&acl(&[&format!("{list} actions=*")]), &labelled(name, labels));
        assert_eq!(by.ends_with("rule 1"), expected, "{list} {name}: {by}");
    }
}

#[test]
fn of_every_label_that_is_named_one_value_must_match() {
    let labels: &[(&str, &[&str])] =
        &[("group", &["dev", "ops"]), ("tier", &["ann", "${labels:group}"])];
    let table = [
        ("label.group=dev", true),
        ("label.group=d*", true),
        ("label.group=/^(ops|qa)$/", true),
        ("label.group=qa", false),
        ("label.group=dev label.tier=ann", true),
        ("label.group=dev label.tier=qa", false),
        ("label.none=*", false),
        ("label.tier=${account}", true),
        ("name=/^(.+)$/ label.group=${name:1}", true),
        // In a label's own pattern a label is text.
        ("label.group=${labels:group}", false),
        ("label.tier=${labels:group}", true),
    ];
    for (list, expected) in table {
        let by = granted(&acl(&[&format!("{list} actions=*")]), &labelled("dev", labels));
        assert_eq!(by.ends_with("rule 1"), expected, "{list}: {by}");
    }
}

#[test]
fn an_address_is_one_or_of_a_network() {
    let from = |ip: Option<&str>| Asked { ip: ip.map(str::to_owned), ..asked("ann", "a") };
    for (ip, expected) in [
        (Some("10.9.9.9"), true),
        (Some("::ffff:10.9.9.9"), true),
        (Some("11.0.0.1"), false),
        (None, false),
    ] {
        let by = granted(&acl(&["ip=10.0.0.0/8 actions=*"]), &from(ip));
        assert_eq!(by.ends_with("rule 1"), expected, "{ip:?}: {by}");
    }
    assert!(granted(&acl(&["ip=::1 actions=*"]), &from(Some("::1"))).ends_with("rule 1"));
}

#[test]
fn what_cannot_be_understood_is_named() {
    for (text, expected) in [
        ("account=/(/ actions=*", "entry 1: `account: \"/(/\"`: it is no regular expression"),
        (
            "label.group=/a**/ actions=*",
            "entry 1: `labels.group: \"/a**/\"`: `*` is no repetition of Go's",
        ),
        (
            "ip=10.0.0.0/33 actions=*",
            "entry 1: `ip: \"10.0.0.0/33\"`: it is neither an address nor a network",
        ),
        ("name=/\\Bx/ actions=*", "`\\B` is not supported"),
    ] {
        let error = Acl::parse(vec![entry(text)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let long = EntryText { name: Some("a".repeat(4097)), ..EntryText::default() };
    assert!(Acl::parse(vec![long]).unwrap_err().to_string().contains("at most 4096 bytes"));
}

/// What would be skipped may be what denies.
#[test]
fn an_entry_with_too_much_to_try_denies_everything() {
    let values: Vec<String> = (0..300).map(|n| format!("v{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let labels: &[(&str, &[&str])] = &[("a", &values), ("b", &values), ("c", &values)];
    let list = acl(&["name=${labels:a}-${labels:b}-${labels:c} actions=", "actions=*"]);
    let asked = labelled("team/app", labels);
    assert_eq!(granted(&list, &asked), " by rule 1");
    let why = request(&asked, |request| {
        explain(&list, request, &Access::repository("team/app", [Action::Pull])).to_string()
    });
    assert!(why.contains("too many or too long values to try"), "{why}");
    let long = "(x{1000}){1000}";
    let list = acl(&["name=/^${labels:a}$/ actions=", "actions=*"]);
    assert_eq!(granted(&list, &labelled("team/app", &[("a", &[long])])), " by rule 1");
}

#[test]
fn an_explanation_names_the_entry_and_what_kept_the_nearest_from_giving() {
    let list = acl(&[
        "account=ann name=team/* actions=pull",
        "account=ann actions=push",
        "label.group=dev name=dev/* actions=*",
        "ip=10.0.0.0/8 name=lan/* actions=*",
    ]);
    let table = [
        (
            asked("ann", "team/app"),
            "rule 1 allows pull: [pull] for account \"ann\", name \"team/*\"\n  rule 1 denies push",
            "rule 1 matches too, comes first, and decides alone",
        ),
        (asked("bob", "team/a/b"), "granted nothing", ""),
        (asked("bob", "team/a"), "granted nothing", "its account \"ann\" does not match \"bob\""),
        (asked("bob", "dev/x"), "granted nothing", "the account has no label `group`"),
        (
            asked("bob", "lan/x"),
            "granted nothing",
            "it is for the addresses 10.0.0.0/8, and none is given",
        ),
        (
            Asked { ip: Some("11.0.0.1".into()), ..asked("bob", "lan/x") },
            "granted nothing",
            "its ip 10.0.0.0/8 does not hold 11.0.0.1",
        ),
        (
            Asked { account: "bob".into(), ..labelled("dev/x/y", &[("group", &["dev"])]) },
            "",
            "its name \"dev/*\" does not match \"dev/x/y\" (`*` matches no `/`)",
        ),
    ];
    for (asked, expected, near) in table {
        let requested = Access::repository(&asked.name, [Action::Pull, Action::Push]);
        let why = request(&asked, |request| explain(&list, request, &requested).to_string());
        assert!(why.contains(expected) && why.contains(near), "{why}");
    }
}
