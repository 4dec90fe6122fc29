//! Robots, sources of groups, labels; from where, for which registry, when, and for how long.

use std::net::IpAddr;

use super::*;

/// `local` accounts only: `ann`, or a robot.
fn account(name: &str, kind: AccountKind, labels: &[(&str, &str)]) -> Subject {
    let Subject::SignedIn(account) = subject(name) else { panic!("{name}") };
    let mut account = Account::clone(&account);
    account.kind = kind;
    for (name, value) in labels {
        account.labels.insert(name, value).unwrap();
    }
    Subject::from(account)
}

fn pushes(rules: &RuleSet, who: &Subject, repository: &str) -> bool {
    let decision = rules.decide(&request(who, &service()), &push(repository));
    !decision.granted.is_empty()
}

fn push(repository: &str) -> Access {
    Access::repository(repository, [Action::Push])
}

#[test]
fn robots_are_accounts_of_their_own() {
    let rules = rules(&[
        "allow push repository a/** to robot:ci",
        "allow push repository b/** to robot:build-*",
        "allow push repository c/** to signed-in except robot:*",
        "allow push repository d/** to robot:robot-ci",
    ]);
    let robot = |name: &str| account(name, AccountKind::Robot, &[]);
    let table = [
        (robot("robot-ci"), [true, false, false, true]),
        (robot("robot-build-7"), [false, true, false, false]),
        (account("robot-ci", AccountKind::Person, &[]), [false, false, true, false]),
        (account("ci", AccountKind::Person, &[]), [false, false, true, false]),
        (account("build-7", AccountKind::ApiKey, &[]), [false, false, true, false]),
        (Subject::Anonymous, [false; 4]),
    ];
    for (who, expected) in table {
        let pushed = ["a/x", "b/x", "c/x", "d/x"].map(|name| pushes(&rules, &who, name));
        assert_eq!(pushed, expected, "{who:?}");
    }
}

#[test]
fn a_group_can_be_that_of_one_source() {
    let rules = rules(&[
        "allow push repository a/** to group:local/dev",
        "allow push repository b/** to group:dev",
        "allow push repository c/** to group:*/x/dev",
        "allow push repository d/${group} to group:htpasswd/*",
        "deny push repository */no to signed-in except group:local/dev",
    ]);
    let table = [
        ("ann:dev", "a/x", true),
        ("htpasswd/ann:dev", "a/x", false),
        ("htpasswd/ann:dev", "b/x", true),
        ("ann:dev", "c/x", false),
        ("ann:x/dev", "c/x", true),
        ("htpasswd/ann:x/dev", "c/x", true),
        ("ann:dev", "d/dev", false),
        ("htpasswd/ann:dev", "d/dev", true),
        ("htpasswd/ann:dev", "d/qa", false),
        ("ann:dev", "b/no", true),
        ("htpasswd/ann:dev", "b/no", false),
    ];
    for (who, name, expected) in table {
        assert_eq!(pushes(&rules, &subject(who), name), expected, "{who} on {name}");
    }
    assert_eq!(
        rules.rules()[2].to_string(),
        "allow [push] repository c/** to group:*/x/dev",
        "as it was typed"
    );
}

#[test]
fn labels_stand_for_any_of_their_values_and_are_text() {
    let rules = rules(&[
        "allow push repository teams/${label:team}/** to signed-in",
        "allow push repository x/${label:env}/${label:team} to signed-in",
    ]);
    let who = |labels: &[(&str, &str)]| account("ann", AccountKind::Workload, labels);
    let two = who(&[("team", "red"), ("team", "blue"), ("env", "prod")]);
    let table = [
        (&two, "teams/red/x", true),
        (&two, "teams/blue/x/y", true),
        (&two, "teams/green/x", false),
        (&two, "teams/prod/x", false), // the value of another label
        (&two, "x/prod/blue", true),
        (&two, "x/red/blue", false),
        (&who(&[]), "teams/red/x", false),
        (&who(&[("team", "*")]), "teams/red/x", false),
        (&who(&[("team", "red/x")]), "teams/red/x/y", false),
        (&Subject::Anonymous, "teams/red/x", false),
    ];
    for (who, name, expected) in table {
        assert_eq!(pushes(&rules, who, name), expected, "{who:?} on {name}");
    }
    let error = RuleSet::parse(
        &[rule("allow push repository ${label:env}-${label:team} to signed-in")],
        &context(),
    );
    assert!(error.unwrap_err().to_string().contains("mixes a placeholder"));
}

/// Nobody gets round a deny by leaving the password out, or by a token that lacks the claim.
#[test]
fn a_deny_by_label_binds_callers_without_that_label() {
    let rules = rules(&[
        "allow push repository ** to anyone",
        "deny push repository a/${label:team}/** to signed-in",
        "deny push repository b/${label:team}/** to signed-in except group:release",
    ]);
    let red = account("ann", AccountKind::Person, &[("team", "red")]);
    let none = account("ann", AccountKind::Person, &[("env", "red")]);
    let table = [
        (&red, "a/red/x", false),
        (&red, "a/blue/x", true),
        (&none, "a/red/x", false),
        (&none, "a/blue/x", false),
        (&Subject::Anonymous, "a/blue/x", false),
        (&none, "c/red/x", true),
        (&subject("ann:release"), "b/red/x", true),
        (&subject("ann:qa"), "b/red/x", false),
    ];
    for (who, name, expected) in table {
        assert_eq!(pushes(&rules, who, name), expected, "{who:?} on {name}");
    }
}

#[test]
fn an_unknown_address_meets_no_allow_and_escapes_no_deny() {
    let rules = rules(&[
        "allow push repository a/** to anyone from 10.0.0.0/8 2001:db8::/32 192.0.2.7",
        "allow push repository b/** to anyone",
        "deny push repository b/** to anyone from ::ffff:10.0.0.0/104", // the same network
    ]);
    let table = [
        (Some("10.1.2.3"), true, false),
        (Some("::ffff:10.1.2.3"), true, false), // what a socket for both families says
        (Some("11.1.2.3"), false, true),
        (Some("2001:db8::1"), true, true),
        (Some("192.0.2.7"), true, true),
        (Some("192.0.2.8"), false, true),
        (None, false, false),
    ];
    for (address, on_a, on_b) in table {
        let address = address.map(|text| text.parse::<IpAddr>().unwrap());
        let service = service();
        let request = Request { address, ..request(&Subject::Anonymous, &service) };
        let pushed = |name| !rules.decide(&request, &push(name)).granted.is_empty();
        assert_eq!((pushed("a/x"), pushed("b/x")), (on_a, on_b), "{address:?}");
    }
}

#[test]
fn a_rule_can_be_for_some_registries_alone() {
    let rules = rules(&[
        "allow push repository a/** to anyone service registry",
        "allow * registry catalog to anyone service mirror",
        "allow pull repository a/** to anyone service registry mirror",
    ]);
    for (name, expected) in [("registry", "pull,push/"), ("mirror", "pull/*")] {
        let service = ServiceName::new(name);
        let request = request(&Subject::Anonymous, &service);
        let granted = |scope| rules.decide(&request, &access(scope)).granted.to_string();
        let both =
            format!("{}/{}", granted("repository:a/x:pull,push"), granted("registry:catalog:*"));
        assert_eq!(both, expected, "{name}");
    }
}

#[test]
fn a_rule_can_be_for_some_times_alone() {
    let rules = rules(&[
        "allow push repository ** to anyone between mon-fri@08:00-18:00@Europe/Berlin",
        "deny push repository b/** to anyone between after=2026-12-24@before=2027-01-02",
    ]);
    let table = [
        ("2026-12-23T12:00:00Z", true, true),
        ("2026-12-24T12:00:00Z", true, false),
        ("2026-12-26T12:00:00Z", false, false), // Saturday
    ];
    for (moment, on_a, on_b) in table {
        let now = moment.parse::<jiff::Timestamp>().unwrap().into();
        let service = service();
        let request = Request { now, ..request(&Subject::Anonymous, &service) };
        let pushed = |name| !rules.decide(&request, &push(name)).granted.is_empty();
        assert_eq!((pushed("a/x"), pushed("b/x")), (on_a, on_b), "{moment}");
    }
}

fn seconds(seconds: u64) -> Lifetime {
    Lifetime::from_seconds(seconds).unwrap()
}

#[test]
fn a_token_lives_as_long_as_the_shortest_of_what_it_has() {
    let rules = rules(&[
        "allow pull repository ** to anyone",
        "allow pull,push repository big/** to signed-in expiration 3600",
        "allow push repository big/** to group:ci expiration 7200",
        "allow delete repository big/** to signed-in",
        "allow * repository all/** to signed-in expiration 600",
        "allow pull repository short/** to signed-in expiration 60",
        "deny push repository big/locked to anyone",
    ]);
    let table = [
        ("", "repository:big/x:pull,push", Some(300)), // no rule with a lifetime gives it
        ("ann", "repository:big/x:pull,push", Some(3600)), // a rule that names one wins
        ("ann:ci", "repository:big/x:push", Some(7200)), // of several the longest
        ("ann:ci", "repository:big/x:pull,push", Some(3600)), // of all actions the shortest
        ("ann", "repository:big/x:pull,delete", Some(300)),
        ("ann", "repository:all/x:*", Some(600)),
        ("ann", "repository:all/x:push", Some(600)),
        ("ann", "repository:short/x:pull,push", Some(60)),
        ("ann", "repository:big/locked:push", None),
        ("ann", "repository:big/locked:pull,push", Some(3600)),
        ("", "repository:x:push", None),
    ];
    for (who, scope, expected) in table {
        let lifetime = decide(&rules, who, scope).lifetime(seconds(300));
        assert_eq!(lifetime, expected.map(seconds), "{who:?} asks {scope}");
    }
    // What a limit takes away counts no more, and what it writes out still does.
    let decision = decide(&rules, "ann", "repository:all/x:*");
    let narrowed = decision.under(Some(&ceiling("all/**:pull")));
    assert_eq!(narrowed.lifetime(seconds(300)), Some(seconds(600)));
    let decision = decide(&rules, "ann", "repository:big/x:pull,delete");
    let narrowed = decision.under(Some(&ceiling("big/**:pull")));
    assert_eq!(narrowed.lifetime(seconds(300)), Some(seconds(3600)));
    assert_eq!(rules.longest_lifetime(), Some(seconds(7200)));
}

#[test]
fn conditions_that_cannot_be_meant_are_refused() {
    let broken = [
        "allow pull repository a/** to robot:",
        "allow pull repository a/** to robot:Ci",
        "allow pull repository a/** to signed-in except robot:a_-*",
        "allow pull repository a/** to group:ldap/dev",
        "allow pull repository a/** to group:Org/dev",
        "allow pull repository a/** to anyone from 10.0.0.0/33",
        "allow pull repository a/** to anyone from 10.1.2.3/8",
        "allow pull repository a/** to anyone from example.com",
        "allow pull repository a/** to anyone service registri",
        "allow pull repository a/** to anyone between mon-friday",
        "allow pull repository a/** to anyone expiration 10",
        "deny pull repository a/** to anyone expiration 600",
        "allow pull repository ${label:team}/** to anonymous",
        "allow pull repository ${labels:team}/** to anyone",
    ];
    let errors: Vec<String> = broken
        .iter()
        .map(|text| RuleSet::parse(&[rule(text)], &context()).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn an_explanation_says_which_condition_does_not_hold() {
    let rules = rules(&[
        "allow pull repository ** to anyone",
        "allow push repository a/** to user:ann from 10.0.0.0/8 192.0.2.0/24",
        "allow push repository b/** to user:ann service mirror",
        "allow push repository c/** to user:ann between mon-fri@08:00-12:00@Europe/Berlin",
        "allow push repository d/** to user:ann from 10.0.0.0/8 between mon@08:00-09:00",
        "allow push repository e/** to user:ann from 203.0.113.0/24 expiration 3600",
        "deny push repository e/no to anyone from 203.0.113.9",
    ]);
    let explained = |who: &str, name: &str, address: Option<&str>| {
        let (subject, service) = (subject(who), service());
        let address = address.map(|text| text.parse().unwrap());
        let request = Request { address, ..request(&subject, &service) };
        explain(&rules, &request, &push(name)).to_string()
    };
    let home = Some("203.0.113.9");
    let explanations = [
        explained("ann", "a/x", home),
        explained("ann", "a/x", None),
        explained("bob", "a/x", home),
        explained("ann", "b/x", home),
        explained("ann", "c/x", home),
        explained("ann", "d/x", home),
        explained("ann", "e/x", home),
        explained("ann", "e/no", home),
    ];
    insta::assert_snapshot!(explanations.join("\n\n"));
}
