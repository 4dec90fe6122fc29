//! Groups that the configuration puts accounts into, and what is said of members that can be nobody.

use portpass_authority::subject::{Group, SourceName};

use super::*;

/// A token service with a file of users, a directory and an issuer, and these lines.
fn folder(lines: &str) -> Folder {
    let folder = Folder::new(&format!(
        "\
registry: {{}}
token_service:
  accounts:
    - local: {{}}
    - htpasswd: {{ path: users.htpasswd }}
    - ldap: {{ servers: [\"ldaps://ldap.example.org\"], base: \"dc=x,dc=y\", filter: \"(uid=${{account}})\", groups: {{ chain: {{}} }} }}
    - workload:
        issuer: https://gitlab.example.com
        audience: registry
        accounts: [ {{ name: deploy, when: {{ project_path: acme/app }}, groups: deployers }} ]
{lines}"
    ));
    folder.write("users.htpasswd", "");
    folder
}

/// As in docs/configuration.md.
const MEMBERS: &str = r#"  groups:
    developers: [ann, "htpasswd/bob", "group:ldap/cn=devs,ou=groups,dc=x,dc=y"]
    release: ["robot:ci", "workload/deploy"]
"#;

fn groups(config: Config, source: &str) -> Vec<String> {
    let source: SourceName = source.parse().unwrap();
    let groups = config.token_service.unwrap().groups.of(&source);
    groups.iter().map(Group::to_string).collect()
}

#[test]
fn members_of_any_source_are_in_groups() {
    for (source, expected) in [
        ("local", &["developers"][..]),
        ("htpasswd", &["developers"]),
        ("workload", &["developers", "release"]),
        ("robot", &["developers", "release"]),
    ] {
        assert_eq!(groups(folder(MEMBERS).load().unwrap(), source), expected, "{source}");
    }
}

#[test]
fn a_variable_gives_groups_too() {
    let variable = "PORTPASS_TOKEN_SERVICE_GROUPS";
    let config = folder("").load_with(&[(variable, "{ staff: [ann] }")]).unwrap();
    assert_eq!(groups(config, "local"), ["staff"]);
    let error = folder("").load_with(&[(variable, "{ staff: [nowhere/ann] }")]).unwrap_err();
    let told = "PORTPASS_TOKEN_SERVICE_GROUPS: token_service.groups.staff: \"nowhere/ann\": there";
    assert!(error.to_string().starts_with(told), "{error}");
}

#[test]
fn members_that_can_be_nobody_are_refused() {
    let table = [
        ("developers: []", "the list is empty: nobody would be in the group"),
        ("\" a\": [ann]", "\" a\" cannot be a group: "),
        ("a: [\"an n\"]", "a: \"an n\": ' ' is not allowed in an account name"),
        ("a: [ann, ldpa/bob]", "there is no source of accounts called `ldpa`"),
        ("a: [ldpa/bob]", "\nhint: did you mean `ldap`?"),
        ("a: [robot/ci]", "\nhint: a robot is `robot:NAME`"),
        ("a: [\"group:b\"]", "a group is a member as `group:SOURCE/NAME`"),
        ("a: [\"group:htpasswd/b\"]", "accounts of `htpasswd` have no groups of their own\nhint: "),
        ("a: [\"devs:ann\"]", "write `NAME`, `SOURCE/NAME`, `robot:NAME` or `group:SOURCE/NAME`"),
        ("a: ann", "`token_service.groups.a` must be a list"),
    ];
    for (line, expected) in table {
        let refusal = folder(&format!("  groups:\n    {line}\n")).refusal();
        assert!(refusal.starts_with("portpass.yaml:12"), "{line}: {refusal}");
        assert!(refusal.contains(expected), "{line}: {refusal}");
    }
    let later = folder("  groups:\n    a:\n      - ann\n      - nowhere/bob\n").refusal();
    assert!(
        later.starts_with("portpass.yaml:14: token_service.groups.a: \"nowhere/bob\""),
        "{later}"
    );
}

/// Where only a file has accounts, groups of the configuration are all there are.
#[test]
fn a_rule_for_a_group_that_nobody_can_be_in_is_refused() {
    let folder = |lines: &str| {
        let folder = Folder::new(&format!(
            "registry: {{}}\ntoken_service:\n  accounts: [ htpasswd: {{ path: users.htpasswd }} ]\n{lines}"
        ));
        folder.write("users.htpasswd", "");
        folder.write("rules.yml", RULE);
        folder
    };
    let groups = "  groups: { developers: [bob], release: [\"htpasswd/bob\"] }\n";
    let policy = format!("  policy:\n    {RULE}");
    folder(&format!("{groups}{policy}")).load().unwrap();
    let file = "  policy_file: rules.yml\n";
    folder(&format!("{groups}{file}")).load().unwrap();

    insta::assert_snapshot!(folder(&policy).refusal(), @"portpass.yaml:5: token_service.policy[1]: nobody can be in `group:developers`: no account is in a group; write `token_service.groups`, or add the source `local`");
    let misspelt = groups.replace("developers", "develpers");
    insta::assert_snapshot!(folder(&format!("{misspelt}{policy}")).refusal(), @r"
    portpass.yaml:6: token_service.policy[1]: nobody can be in `group:developers`; there are: develpers, release
    hint: did you mean `develpers`?
    ");
    insta::assert_snapshot!(folder(&format!("{misspelt}{file}")).refusal(), @r"
    rules.yml:1: rule 1: nobody can be in `group:developers`; there are: develpers, release
    hint: did you mean `develpers`?
    ");
    let introspection = "  introspection: { to: \"group:htpaswd/developers\" }\n";
    insta::assert_snapshot!(folder(&format!("{groups}{introspection}")).refusal(), @r"
    portpass.yaml:5: token_service.introspection.to: there is no source of accounts called `htpaswd`; configured are: htpasswd; a group with `/` in its own name is `group:*/NAME`
    hint: did you mean `htpasswd`?
    ");
}

/// Nobody knows what groups the database, a directory or a claim has.
#[test]
fn a_group_that_somebody_may_have_is_left_to_the_lint() {
    let rule = |to: &str| {
        let rule = RULE.replace("group:developers", to);
        folder(&format!("{MEMBERS}  policy:\n    {rule}"))
    };
    for to in ["group:x", "group:local/x", "group:ldap/x", "group:workload/deployers"] {
        rule(to).load().unwrap();
    }
    let refusal = rule("group:workload/deployer").refusal();
    assert!(refusal.ends_with("hint: did you mean `deployers`?"), "{refusal}");
    let refusal = rule("group:htpasswd/x").refusal();
    assert!(
        refusal.contains("nobody can be in `group:htpasswd/x`; there are: developers"),
        "{refusal}"
    );
}

const RULE: &str = "- { allow: [pull], repository: 'team/**', to: 'group:developers' }\n";
