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
fn rules_for_groups_need_no_database() {
    let folder = |groups: &str| {
        let folder = Folder::new(&format!(
            "\
registry: {{}}
token_service:
  accounts: [ htpasswd: {{ path: users.htpasswd }} ]
{groups}  policy:
    - {{ allow: [pull], repository: 'team/**', to: 'group:developers' }}
"
        ));
        folder.write("users.htpasswd", "");
        folder
    };
    folder("  groups: { developers: [bob] }\n").load().unwrap();
    insta::assert_snapshot!(folder("").refusal(), @"portpass.yaml:5: token_service.policy[1]: the rule can match nobody: no account is in a group: htpasswd files have none; write `token_service.groups`, or add the source `local`");
}
