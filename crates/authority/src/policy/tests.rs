use std::time::{Duration, SystemTime};

use portpass_protocol::access::{Access, AccessSet};
use portpass_token::ServiceName;

use super::*;
use crate::subject::{
    Account, AccountId, AccountKind, CredentialVersion, Labels, SourceName, Subject,
};

mod conditions;
mod diff;
mod groups;
mod properties;

/// `allow pull,push repository team/** to group:dev group:qa except user:bob from 10.0.0.0/8 service registry
/// between mon-fri@08:00-18:00@Europe/Berlin expiration 600`
fn rule(text: &str) -> RuleText {
    let mut parts = text.splitn(4, ' ');
    let mut part = || parts.next().unwrap().to_owned();
    let (effect, actions, kind, rest) = (part(), part(), part(), part());
    let actions = Some(actions.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect());
    let (target, behind) = rest.split_once(" to ").unwrap_or((&rest, ""));
    let mut rule = RuleText::default();
    match effect.as_str() {
        "allow" => rule.allow = actions,
        _ => rule.deny = actions,
    }
    match kind.as_str() {
        "repository" => rule.repository = Some(target.to_owned()),
        _ => rule.registry = Some(target.to_owned()),
    }
    let mut key = "to";
    for word in behind.split_whitespace() {
        match (key, word) {
            (_, "except" | "from" | "service" | "between" | "expiration") => key = word,
            ("to", word) => rule.to.push(word.to_owned()),
            ("except", word) => rule.except.push(word.to_owned()),
            ("from", word) => rule.from.push(word.to_owned()),
            ("service", word) => rule.service.push(word.to_owned()),
            ("between", word) => rule.between = Some(times(word)),
            (_, word) => rule.expiration = Some(word.parse().unwrap()),
        }
    }
    rule
}

/// `mon-fri@08:00-18:00@Europe/Berlin`; `after=…` and `before=…` may be parts too.
fn times(text: &str) -> TimesText {
    let mut times = TimesText::default();
    let words = |part: &str| {
        part.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    for (place, part) in text.split('@').enumerate() {
        match (part.split_once('='), place) {
            (Some(("after", moment)), _) => times.after = Some(moment.to_owned()),
            (Some((_, moment)), _) => times.before = Some(moment.to_owned()),
            (None, 0) => times.days = words(part),
            (None, 1) => times.hours = words(part),
            (None, _) => times.zone = (!part.is_empty()).then(|| part.to_owned()),
        }
    }
    times
}

fn context() -> RuleContext {
    RuleContext {
        sources: vec![SourceName::local(), SourceName::htpasswd()],
        services: vec![ServiceName::new("registry"), ServiceName::new("mirror")],
        anonymous: true,
        ..RuleContext::default()
    }
}

fn rules(texts: &[&str]) -> RuleSet {
    let texts: Vec<RuleText> = texts.iter().map(|text| rule(text)).collect();
    RuleSet::parse(&texts, &context()).unwrap()
}

/// `""` is anonymous; `ann`, `htpasswd/ann`, `ann:dev,qa`.
fn subject(text: &str) -> Subject {
    if text.is_empty() {
        return Subject::Anonymous;
    }
    let (who, groups) = text.split_once(':').unwrap_or((text, ""));
    let (source, name) = who.split_once('/').unwrap_or(("local", who));
    Subject::from(Account {
        source: source.parse().unwrap(),
        id: AccountId::new(name),
        version: CredentialVersion::new("1"),
        name: name.parse().unwrap(),
        groups: groups.split(',').filter(|g| !g.is_empty()).map(|g| g.parse().unwrap()).collect(),
        labels: Labels::default(),
        kind: AccountKind::Person,
        ceiling: None,
        valid_until: None,
    })
}

fn access(text: &str) -> Access {
    text.parse::<AccessSet>().unwrap().into_iter().next().unwrap()
}

fn service() -> ServiceName {
    ServiceName::new("registry")
}

/// At noon, from nowhere in particular.
fn request<'a>(subject: &'a Subject, service: &'a ServiceName) -> Request<'a> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_004);
    Request { subject, service, address: None, now }
}

fn decide(rules: &RuleSet, who: &str, scope: &str) -> Decision {
    rules.decide(&request(&subject(who), &service()), &access(scope))
}

fn granted(rules: &RuleSet, who: &str, scope: &str) -> String {
    decide(rules, who, scope).granted.to_string()
}

/// `ann/a:pull,push`
fn ceiling(text: &str) -> Ceiling {
    let (pattern, actions) = text.rsplit_once(':').unwrap();
    let mut bits = ActionBits::default();
    for word in actions.split(',') {
        bits.insert(&Action::from(word));
    }
    Ceiling::new(bits, vec![PathPattern::parse(pattern).unwrap()])
}

/// The rules of the embedded default and of the configuration file's example, together.
fn example() -> RuleSet {
    rules(&[
        "allow pull repository public/** to anyone",
        "allow pull,push repository ${account}/** to signed-in",
        "allow pull,push,delete repository team/** to group:developers",
        "allow * repository ** to user:local/admin",
        "allow * registry catalog to user:local/admin",
        "deny push,delete repository prod/** to signed-in except group:release",
        "allow pull,push,delete repository prod/** to group:release group:ops",
    ])
}

#[test]
fn the_example_rules_give_what_they_say() {
    let rules = example();
    let table = [
        // (who, scope, granted)
        ("", "repository:public/a:pull,push", "pull"),
        ("", "repository:public:pull", ""), // everything below `public/`, not itself
        ("", "repository:ann/a:pull", ""),
        ("ann", "repository:public/a/b:push,pull", "pull"),
        ("ann", "repository:ann/a:pull,push,delete", "pull,push"),
        ("ann", "repository:ann/a:push,pull", "push,pull"), // the order asked
        ("ann", "repository:ann:pull", ""),
        ("ann", "repository:bob/a:pull", ""),
        ("ann:developers", "repository:team/a/b:delete", "delete"),
        ("ann:developersx", "repository:team/a/b:delete", ""),
        // skopeo delete asks for `*` alone: granted as what the rules allow, written out
        ("ann", "repository:ann/a:*", "pull,push"),
        ("ann:developers", "repository:team/a:*", "pull,push,delete"),
        ("ann", "repository:bob/a:*", ""),
        // the literal `*` only where a rule gives it
        ("admin", "repository:bob/a:*", "*"),
        ("admin", "repository:bob/a:pull,*", "pull,*"),
        ("htpasswd/admin", "repository:bob/a:*", ""), // `user:SOURCE/NAME`
        // ... and no deny rule is about the resource
        ("admin", "repository:prod/a:*", "pull"),
        ("admin:release", "repository:prod/a:*", "*"),
        ("ann:release", "repository:prod/a:*", "pull,push,delete"),
        ("ann:ops", "repository:prod/a:pull,push,delete", "pull"),
        // the catalog knows only the literal
        ("admin", "registry:catalog:*", "*"),
        ("admin", "registry:catalog:pull", ""),
        ("ann", "registry:catalog:*", ""),
        ("", "registry:catalog:*", ""),
        // words and types from elsewhere are ignored, not refused (SC4)
        ("ann", "repository:ann/a:sign", ""),
        ("admin", "repository:bob/a:sign", "sign"),
        ("admin", "repository:prod/a:sign", ""),
        ("admin", "registry:other:*", ""),
        ("admin", "model:a/b:pull", ""),
        ("ann", "repository(plugin):ann/a:pull", "pull"), // SC6
        // byte by byte (SC6)
        ("Ann", "repository:ann/a:pull", ""),
        ("ann", "repository:Ann/a:pull", ""),
        // an empty request is granted nothing
        ("admin", "repository:a/b:", ""),
    ];
    for (who, scope, expected) in table {
        assert_eq!(granted(&rules, who, scope), expected, "{who:?} asks {scope}");
    }
}

#[test]
fn rules_have_no_order() {
    let texts = [
        "allow pull,push repository a/** to signed-in",
        "deny push repository a/locked/** to signed-in",
        "allow push,delete repository a/locked/x to user:ann",
    ];
    let forwards = rules(&texts);
    let backwards = rules(&texts.iter().rev().copied().collect::<Vec<_>>());
    for rules in [forwards, backwards] {
        assert_eq!(granted(&rules, "ann", "repository:a/locked/x:pull,push,delete"), "pull,delete");
        assert_eq!(granted(&rules, "bob", "repository:a/x:pull,push,delete"), "pull,push");
    }
}

#[test]
fn a_deny_for_signed_in_binds_anonymous_callers_too() {
    let rules = rules(&[
        "allow pull,push repository ** to anyone",
        "deny push repository a/** to signed-in",
        "deny pull repository b/** to signed-in except user:ann",
        "deny pull repository c/${account}/** to signed-in",
        "deny pull repository d/** to anyone except signed-in",
        "deny pull repository e/** to user:bob",
    ]);
    let table = [
        ("", "a/x", "pull"),
        ("ann", "a/x", "pull"),
        ("", "b/x", "push"),
        ("ann", "b/x", "pull,push"),
        ("bob", "b/x", "push"),
        ("", "c/ann/x", "push"), // nobody gets round a deny by leaving the password out
        ("ann", "c/ann/x", "push"),
        ("bob", "c/ann/x", "pull,push"),
        ("", "d/x", "push"),
        ("ann", "d/x", "pull,push"),
        ("", "e/x", "pull,push"),
        ("bob", "e/x", "push"),
    ];
    for (who, name, expected) in table {
        let scope = format!("repository:{name}:pull,push");
        assert_eq!(granted(&rules, who, &scope), expected, "{who:?} asks {scope}");
    }
}

#[test]
fn groups_stand_for_one_segment_each() {
    let rules = rules(&[
        "allow pull repository teams/${group}/** to signed-in",
        "allow push repository teams/${group}/** to group:team-*",
        "allow delete repository x-${group}/${account} to group:qa",
    ]);
    let table = [
        ("ann:team-a,qa", "teams/team-a/x", "pull,push"),
        ("ann:team-a,qa", "teams/qa/x", "pull"),
        ("ann:team-a,qa", "teams/team-b/x", ""),
        ("ann:team-a,qa", "x-qa/ann", "delete"),
        ("ann:team-a,qa", "x-team-a/ann", ""), // the rule reaches her through `qa` alone
        ("ann:team-a,qa", "x-qa/bob", ""),
        ("ann", "teams/ann/x", ""),
        ("", "teams/qa/x", ""),
        // A group that looks like a pattern or a path is text.
        ("eve:*", "teams/qa/x", ""),
        ("eve:qa/x", "teams/qa/x/y", ""),
    ];
    for (who, name, expected) in table {
        let scope = format!("repository:{name}:pull,push,delete");
        assert_eq!(granted(&rules, who, &scope), expected, "{who:?} asks {scope}");
    }
}

#[test]
fn audiences_are_matched_by_source_name_and_glob() {
    let table = [
        ("user:ann", "ann", true),
        ("user:ann", "htpasswd/ann", true),
        ("user:local/ann", "htpasswd/ann", false),
        ("user:htpasswd/*", "htpasswd/ann", true),
        ("user:htpasswd/*", "ann", false),
        ("user:ci-*", "ci-7", true),
        ("user:ci-*", "ann", false),
        ("group:dev*", "ann:developers", true),
        ("group:dev*", "ann:qa", false),
        ("anyone", "", true),
        ("anyone", "ann", true),
        ("anonymous", "", true),
        ("anonymous", "ann", false),
        ("signed-in", "", false),
        ("signed-in", "ann", true),
    ];
    for (to, who, expected) in table {
        let rules = rules(&[&format!("allow pull repository ** to {to}")]);
        let pull = granted(&rules, who, "repository:a:pull");
        assert_eq!(pull == "pull", expected, "{to} for {who:?}");
    }
}

#[test]
fn names_that_a_rule_begins_with_are_reserved() {
    let rules = example();
    let reserved: Vec<_> = ["public", "team", "prod", "ann", "admin", "PUBLIC"]
        .iter()
        .map(|name| rules.reserves(&name.parse().unwrap()).map(RuleId::number))
        .collect();
    assert_eq!(reserved, [Some(1), Some(3), Some(6), None, None, None]);
}

/// What makes the name dangerous is a rule that gives `${account}/**`, and somebody else's rule.
#[test]
fn a_name_is_reserved_only_where_it_would_take_what_is_meant_for_others() {
    let own = "allow pull,push repository ${account}/** to signed-in";
    let table = [
        (vec!["allow pull repository team/** to anyone"], None),
        (vec![own, "allow pull repository team/** to anyone"], Some(2)),
        (vec![own, "deny push repository team to user:team"], Some(2)),
        (vec![own, "allow * repository team/** to user:team"], None),
        (vec![own, "allow * repository team/** to user:team group:dev"], Some(2)),
        (vec![own, "allow * repository team/** to user:local/team"], Some(2)),
        (vec![own, "allow * repository team/** to user:te*"], Some(2)),
        (
            vec![
                "deny push repository ${account}/** to bob",
                "allow pull repository team/** to anyone",
            ],
            None,
        ),
        (
            vec![
                "allow pull repository x/${account}/** to signed-in",
                "allow pull repository team/** to anyone",
            ],
            None,
        ),
        (
            vec![
                "allow pull repository my-${account} to signed-in",
                "allow pull repository team/** to anyone",
            ],
            None,
        ),
        (
            vec![
                "allow pull repository my-${account} to signed-in",
                "allow pull repository my-team/** to anyone",
            ],
            Some(2),
        ),
    ];
    for (texts, expected) in table {
        let texts: Vec<_> =
            texts.iter().map(|text| text.replace("to bob", "to user:bob")).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let rules = rules(&texts);
        let reserved = rules.reserves(&"team".parse().unwrap()).map(RuleId::number);
        assert_eq!(reserved, expected, "{texts:?}");
    }
}

#[test]
fn what_is_no_rule_says_which_and_why() {
    let good = "allow pull repository public/** to anyone";
    let broken = [
        "allow pul repository a/** to anyone",
        "allow  repository a/** to anyone",
        "allow pull repository a/** to ",
        "allow pull repository a/** to everyone",
        "allow pull repository a/** to user:a/b/c",
        "allow pull repository a/** to user:ldap/ann",
        "allow pull repository a/** to user:LDAP/ann",
        "allow pull repository a/** to user:-x",
        "allow pull repository a/** to group:",
        "allow pull repository /a/** to anyone",
        "allow pull repository ${account}* to anyone",
        "allow pull repository ${account}/** to anonymous",
        "allow pull repository a/** to signed-in user:ann except signed-in",
        "allow pull repository a/** to anyone except signed-in anonymous",
        "allow pull registry catalog to anyone",
        "allow * registry everything to anyone",
    ];
    let mut errors: Vec<String> = broken
        .iter()
        .map(|text| RuleSet::parse(&[rule(good), rule(text)], &context()).unwrap_err().to_string())
        .collect();
    let both = RuleText { deny: Some(vec![]), ..rule(good) };
    let neither = RuleText { repository: None, ..rule(good) };
    for text in [both, neither] {
        errors.push(RuleSet::parse(&[text], &context()).unwrap_err().to_string());
    }
    let closed = RuleContext { anonymous: false, ..context() };
    let nobody = rule("allow pull repository a/** to anonymous");
    errors.push(RuleSet::parse(&[nobody], &closed).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_decision_names_the_rule_that_gave_or_took() {
    let rules = example();
    let rule = |who: &str, scope: &str| {
        let decision = decide(&rules, who, scope);
        decision.rule().map(RuleId::number)
    };
    assert_eq!(rule("", "repository:public/a:pull"), Some(1));
    assert_eq!(rule("ann", "repository:ann/a:push"), Some(2));
    assert_eq!(rule("ann:ops", "repository:prod/a:push"), Some(6)); // took it
    assert_eq!(rule("ann:ops", "repository:prod/a:pull,push"), Some(7)); // gave a part
    assert_eq!(rule("bob", "repository:ann/a:push"), None);
}

#[test]
fn a_ceiling_narrows_what_the_rules_give() {
    let rules = example();
    let under = |who: &str, scope: &str, limit: &str| {
        let decision = decide(&rules, who, scope);
        let session: AccessSet = format!("repository:{limit}").parse().unwrap();
        let within = decision.clone().within(Some(&session)).granted.to_string();
        let under = decision.under(Some(&ceiling(limit))).granted.to_string();
        assert_eq!(under, within, "an account's limit and a session's");
        under
    };
    assert_eq!(under("ann", "repository:ann/a:pull,push", "ann/a:pull"), "pull");
    assert_eq!(under("ann", "repository:ann/b:pull,push", "ann/a:pull"), "");
    assert_eq!(under("admin", "repository:x/a:*", "x/a:pull,push"), "pull,push");
    assert_eq!(under("ann", "repository:ann/a:push", "ann/a:*"), "push");
    assert_eq!(under("ann", "repository:bob/a:push", "bob/a:*"), "");
}

#[test]
fn an_explanation_names_the_rules_and_the_nearest_that_did_not() {
    let rules = example();
    let mut limited = subject("ann");
    if let Subject::SignedIn(account) = &mut limited {
        std::sync::Arc::make_mut(account).ceiling = Some(ceiling("ann/a:pull").into());
    }
    let explained = |who: &Subject, scope: &str| {
        explain(&rules, &request(who, &service()), &access(scope)).to_string()
    };
    let mut explanations: Vec<String> = [
        ("", "repository:public/a:pull,push"),
        ("ann", "repository:ann/a:pull,push,delete"),
        ("ann", "repository:ann/a:*"),
        ("ann", "repository:team/app:push"),
        ("ann:qa,ops", "repository:team/app:push"),
        ("ann:developers", "repository:tema/app:push"),
        ("ann:developers,ops", "repository:prod/app:pull,push"),
        ("admin", "repository:prod/app:*"),
        ("", "registry:catalog:*"),
        ("admin", "registry:catalog:*"),
        ("ann", "model:a:pull"),
        ("ann", "repository:ann/a:"),
    ]
    .iter()
    .map(|(who, scope)| explained(&subject(who), scope))
    .collect();
    explanations.push(explained(&limited, "repository:ann/a:pull,push"));
    insta::assert_snapshot!(explanations.join("\n\n"));
}

/// Not a timed test: `benches/` has the figure. This one fails only if each rule is compiled or
/// walked in some way that a thousand of them make felt.
#[test]
fn a_thousand_rules_are_compiled_once() {
    let texts: Vec<String> = (0..1000)
        .map(|n| format!("allow pull,push repository team-{n}/** to group:team-{n}"))
        .collect();
    let rules = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..1000 {
        let scope = format!("repository:team-{n}/app:pull,push,delete");
        assert_eq!(granted(&rules, &format!("ann:team-{n}"), &scope), "pull,push");
        assert_eq!(granted(&rules, "ann:team-x", &scope), "");
    }
}
