//! `workload`: what a section means, and those that could let in the wrong people.

use std::fmt::Write as _;

use portpass_federation::workload::{Glob, Uses};

use super::*;

const ISSUER: &str = "https://gitlab.example.com";

/// A file whose only source has these keys, one to a line.
fn file(keys: &str) -> String {
    let mut text = "token_service:\n  accounts:\n    - workload:\n".to_owned();
    for line in keys.lines() {
        writeln!(text, "        {line}").unwrap();
    }
    text
}

/// With an issuer, an audience and these accounts.
fn accounts(list: &str) -> String {
    let mut keys = format!("issuer: {ISSUER}\naudience: registry.example.com\naccounts:\n");
    for line in list.lines() {
        writeln!(keys, "  {line}").unwrap();
    }
    file(&keys)
}

fn source(text: &str) -> WorkloadSource {
    let config = Folder::new(text).load().unwrap();
    match config.token_service.unwrap().accounts.pop() {
        Some(AccountSource::Workload(source)) => *source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_section_means_what_it_says() {
    let source = source(&file(&format!(
        "name: gitlab\nissuer: {ISSUER}\naudience: [a, b]\njti: once\ncache: 10m\ntimeout: 3s\naccounts:\n  \
         - name: \"ci/${{claim:project_path}}\"\n    \
           when: {{ project_path: acme/**, ref_protected: true, project_id: [20, 21] }}\n    \
           groups: [ci, \"env:${{claim:environment}}\"]\n    labels: {{ team: red }}\n"
    )));
    assert_eq!(source.name.as_str(), "gitlab");
    assert_eq!(
        (source.rules.issuer.as_str(), &*source.rules.audiences),
        (ISSUER, &["a".into(), "b".into()][..])
    );
    assert_eq!(source.rules.uses, Uses::Once);
    let [mapping] = &*source.rules.mappings else { panic!("{source:?}") };
    let when: Vec<String> = mapping
        .when
        .iter()
        .map(|condition| {
            let globs: Vec<&str> = condition.globs.iter().map(Glob::as_str).collect();
            format!("{}={}", condition.claim, globs.join("|"))
        })
        .collect();
    assert_eq!(when, ["project_path=acme/**", "ref_protected=true", "project_id=20|21"]);
    let WorkloadKeys::Issuer { authorities, timeout, fresh } = &source.keys else { panic!() };
    assert!(authorities.is_empty());
    assert_eq!((timeout.as_secs(), fresh.as_secs()), (3, 600));
}

#[test]
fn the_keys_of_an_issuer_can_be_in_a_file() {
    let keys = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let folder = Folder::new(&file(&format!(
        "issuer: {ISSUER}\naudience: a\njwks: keys.json\naccounts: [{{ name: x, when: {{ a: b }} }}]\n"
    )));
    folder.write("keys.json", keys);
    let config = folder.load().unwrap();
    let Some(AccountSource::Workload(source)) = config.token_service.unwrap().accounts.pop() else {
        panic!()
    };
    assert_eq!(source.keys, WorkloadKeys::File(keys.to_owned()));
    assert_eq!(source.name.as_str(), "workload");
    folder.write("keys.json", r#"{"keys":[]}"#);
    let refusal = folder.refusal();
    assert!(
        refusal.starts_with("portpass.yaml:6: token_service.accounts.workload.jwks: "),
        "{refusal}"
    );
    assert!(refusal.contains("no key that portpass can use"), "{refusal}");
}

#[test]
fn several_issuers_have_names_of_their_own() {
    let two = |name: &str, issuer: &str| {
        let one = accounts("- { name: a, when: { a: b } }");
        let other = accounts("- { name: a, when: { a: b } }").replace(ISSUER, issuer);
        let other = other.strip_prefix("token_service:\n  accounts:\n").unwrap().to_owned();
        let other =
            other.replace("        issuer", &format!("        name: {name}\n        issuer"));
        Folder::new(&format!("{one}{other}"))
    };
    assert_eq!(
        two("second", "https://b.example").load().unwrap().token_service.unwrap().accounts.len(),
        2
    );
    let refusal = two("workload", "https://b.example").refusal();
    assert!(refusal.contains("`workload` is there twice"), "{refusal}");
    let refusal = two("second", ISSUER).refusal();
    assert!(refusal.contains("the issuer https://gitlab.example.com is there twice"), "{refusal}");
    let refusal = two("local", "https://b.example").refusal();
    assert!(refusal.contains("the name of another kind of source"), "{refusal}");
}

#[test]
fn what_could_let_in_the_wrong_people_is_refused() {
    let mut told = String::new();
    let github = "https://token.actions.githubusercontent.com";
    for (what, text) in [
        (
            "an issuer over plain HTTP",
            accounts("- { name: a, when: { a: b } }").replace("https://gitlab", "http://gitlab"),
        ),
        (
            "an issuer that is no URL",
            accounts("- { name: a, when: { a: b } }").replace(ISSUER, "gitlab"),
        ),
        ("no issuer", file("audience: a\naccounts: [{ name: a, when: { a: b } }]")),
        (
            "no audience",
            file(&format!("issuer: {ISSUER}\naccounts: [{{ name: a, when: {{ a: b }} }}]")),
        ),
        (
            "an empty audience",
            file(&format!(
                "issuer: {ISSUER}\naudience: ''\naccounts: [{{ name: a, when: {{ a: b }} }}]"
            )),
        ),
        ("no accounts", file(&format!("issuer: {ISSUER}\naudience: a"))),
        (
            "an empty list of accounts",
            file(&format!("issuer: {ISSUER}\naudience: a\naccounts: []")),
        ),
        ("no name", accounts("- { when: { a: b } }")),
        ("no condition", accounts("- name: a\n  groups: [ci]")),
        ("an empty condition", accounts("- { name: a, when: {} }")),
        ("a claim without a value", accounts("- { name: a, when: { a: [] } }")),
        ("a claim without a name", accounts("- { name: a, when: { a//b: c } }")),
        ("a condition that is no text", accounts("- { name: a, when: { a: { b: c } } }")),
        (
            "anybody's repository",
            accounts("- name: a\n  when: { ref: refs/heads/main }").replace(ISSUER, github),
        ),
        (
            "an owner that is a pattern",
            accounts("- { name: a, when: { repository: '*/app' } }").replace(ISSUER, github),
        ),
        ("an unknown placeholder", accounts("- { name: 'ci/${repository}', when: { a: b } }")),
        ("a name that the issuer decides", accounts("- { name: '${claim:sub}', when: { a: b } }")),
        (
            "two claims that run into each other",
            accounts("- { name: 'ci/${claim:a}-${claim:b}', when: { a: b } }"),
        ),
        ("a group that is none", accounts("- { name: a, when: { a: b }, groups: ' x' }")),
        ("a label that is none", accounts("- { name: a, when: { a: b }, labels: { 'a b': x } }")),
        (
            "two names for one token",
            accounts(
                "- name: ci-one\n  when: { project_path: acme/* }\n- name: ci-two\n  when: { ref: main }",
            ),
        ),
        ("a key of elsewhere", file(&format!("issuer: {ISSUER}\nclient_id: a"))),
        ("a word that is none", file(&format!("issuer: {ISSUER}\njti: twice"))),
        (
            "keys in a file and a cache",
            file(&format!(
                "issuer: {ISSUER}\naudience: a\njwks: x\ncache: 1h\naccounts: [{{ name: a, when: {{ a: b }} }}]"
            )),
        ),
        (
            "a file of keys that is not there",
            file(&format!(
                "issuer: {ISSUER}\naudience: a\njwks: gone.json\naccounts: [{{ name: a, when: {{ a: b }} }}]"
            )),
        ),
        (
            "no time at all",
            file(&format!(
                "issuer: {ISSUER}\naudience: a\ncache: 0s\naccounts: [{{ name: a, when: {{ a: b }} }}]"
            )),
        ),
    ] {
        writeln!(told, "── {what}\n{}", Folder::new(&text).refusal()).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn entries_of_one_name_may_overlap_and_others_where_a_claim_keeps_them_apart() {
    for list in [
        "- { name: ci, when: { a: x } }\n- { name: ci, when: { b: y }, groups: [more] }",
        "- { name: one, when: { a: x, ref: main } }\n- { name: two, when: { a: x, ref: 'v*' } }",
    ] {
        assert_eq!(source(&accounts(list)).rules.mappings.len(), 2, "{list}");
    }
}

/// Claims in a name are ours; elsewhere `${…}` is somebody's variable, which nobody replaces.
#[test]
fn claims_are_no_variables_of_the_environment() {
    let refusal = Folder::new(
        &accounts("- { name: a, when: { a: b } }").replace("registry.example.com", "${AUDIENCE}"),
    )
    .refusal();
    assert!(refusal.contains("portpass does not replace `${AUDIENCE}`"), "{refusal}");
    let variable = format!(
        "[{{ workload: {{ issuer: {ISSUER}, audience: a, accounts: [{{ name: 'ci/${{claim:a}}', when: {{ a: b }} }}] }} }}]"
    );
    let config = Folder::new("token_service: {}\n")
        .load_with(&[("PORTPASS_TOKEN_SERVICE_ACCOUNTS", &variable)]);
    assert!(config.is_ok(), "{:?}", config.err());
}
