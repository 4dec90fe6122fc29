//! Rules in a file of their own, and what is said of those that make no sense.

use super::*;

const RULES: &str = "\
- { allow: [pull], repository: 'public/**', to: anyone }
- { allow: [pull, push], repository: '${account}/**', to: signed-in }
";

fn folder(rules: &str) -> Folder {
    let folder = Folder::new("registry: {}\ntoken_service:\n  policy_file: rules.yml\n");
    folder.write("rules.yml", rules);
    folder
}

fn file(config: Config) -> RuleFile {
    match config.token_service.unwrap().policy {
        PolicySource::RuleFile { file, .. } => file,
        source => panic!("{source:?}"),
    }
}

#[test]
fn rules_can_have_a_file_of_their_own() {
    let folder = folder(RULES);
    let config = folder.load().unwrap();
    assert_eq!(config.token_service.as_ref().unwrap().policy.rules().unwrap().rules().len(), 2);
    let file = file(config);
    assert_eq!(file.path(), folder.path().join("rules.yml"));
    folder.write("rules.yml", "[]\n");
    assert_eq!(file.first(), RULES.as_bytes());
    let now = file.read().unwrap();
    assert_eq!(file.understand(&now).unwrap().rules.rules().len(), 0);
}

#[test]
fn a_rule_file_is_named_by_a_variable_too() {
    let folder = Folder::new("token_service: {}\n");
    folder.write("rules.yml", RULES);
    let path = folder.path().join("rules.yml");
    let config =
        folder.load_with(&[("PORTPASS_TOKEN_SERVICE_POLICY_FILE", path.to_str().unwrap())]);
    assert_eq!(file(config.unwrap()).path(), path);
}

#[test]
fn warnings_of_a_rule_file_have_its_line() {
    let folder =
        folder(&format!("{RULES}- {{ allow: [pull], repository: 'Team/**', to: anyone }}\n"));
    let warnings = folder.load().unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("rules.yml:3: rule 3: `Team/**`"), "{warnings:?}");
}

#[test]
fn mistakes_in_a_rule_file_are_named_with_file_and_line() {
    let table = [
        ("", "rules.yml: the file has no rules\nhint: write `[]` if nobody may do anything"),
        ("- [a]\n", "rules.yml:1:3: an entry of `token_service.policy` must have keys below it"),
        ("allow: [pull]\n", "rules.yml:1:1: `token_service.policy` must be a list"),
        (
            "- { alow: [pull], repository: 'a/**', to: anyone }\n",
            "rules.yml:1:5: unknown key `alow`\nhint: did you mean `allow`?",
        ),
        (
            &format!("{RULES}\n- {{ allow: [fetch], repository: 'a/**', to: anyone }}\n"),
            "rules.yml:4: rule 3: there is no action `fetch`",
        ),
        ("- { allow: [pull]\n", "rules.yml:1:3: unclosed bracket"),
        // As a template writes it whose variable is empty: it would hold everywhere, and always.
        (
            "- { allow: [push], repository: a, to: anyone, from: }\n",
            "rules.yml:1:51: nothing stands behind the key",
        ),
        (
            "- { allow: [push], repository: a, to: anyone, between: { before: ~ } }\n",
            "rules.yml:1:66: nothing stands behind the key",
        ),
    ];
    for (rules, expected) in table {
        let refusal = folder(rules).refusal();
        assert!(refusal.starts_with(expected), "{rules:?}: {refusal}");
    }
}

#[test]
fn rules_have_one_place_and_a_file_that_is_there() {
    let both = Folder::new("token_service:\n  policy: []\n  policy_file: rules.yml\n");
    both.write("rules.yml", RULES);
    insta::assert_snapshot!(both.refusal(), @r"
    portpass.yaml:3: token_service.policy_file: there is a `policy` too
    hint: rules have one place: `policy` or `policy_file`
    ");
    let missing = Folder::new("token_service:\n  policy_file: rules.yml\n");
    let refusal = missing.refusal();
    assert!(
        refusal.starts_with("portpass.yaml:2: token_service.policy_file: cannot read rules.yml: "),
        "{refusal}"
    );
}
