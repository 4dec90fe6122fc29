//! docker_auth's ACL as the policy: what is taken, and what is said of the rest.

use super::*;

const ACL: &str = "\
- match: {account: admin}
  actions: ['*']
- match: {account: '/.+/', name: '${account}/*'}
  actions: [pull, push]
  comment: their own
";

fn folder(acl: &str) -> Folder {
    let folder = Folder::new("registry: {}\ntoken_service:\n  policy: { docker-auth: acl.yml }\n");
    folder.write("acl.yml", acl);
    folder
}

fn acl(config: Config) -> (AclFile, usize) {
    match config.token_service.unwrap().policy {
        PolicySource::DockerAuth { file, acl } => (file, acl.len()),
        source => panic!("{source:?}"),
    }
}

#[test]
fn the_list_alone_and_the_whole_configuration_are_taken() {
    let whole = format!(
        "server: {{ addr: ':5001' }}\ntoken: {{ issuer: x, expiration: 900 }}\nusers:\n  ann: {{ password: '$2y$05$x', labels: {{ group: [dev] }} }}\n  bob:\n  '': {{}}\nacl:\n{ACL}"
    );
    for text in [ACL, &whole] {
        let folder = folder(text);
        let config = folder.load().unwrap();
        assert_eq!(config.warnings, [""; 0]);
        let (file, entries) = acl(config);
        assert_eq!((file.path(), entries), (&*folder.path().join("acl.yml"), 2));
        folder.write("acl.yml", "[]\n");
        assert_eq!(file.understand(&file.read().unwrap()).unwrap().acl.len(), 0);
    }
}

#[test]
fn it_is_named_by_a_variable_too() {
    let folder = Folder::new("token_service: {}\n");
    folder.write("acl.yml", ACL);
    let path = folder.path().join("acl.yml");
    let variable = ("PORTPASS_TOKEN_SERVICE_POLICY_DOCKER_AUTH", path.to_str().unwrap());
    assert_eq!(acl(folder.load_with(&[variable]).unwrap()).0.path(), path);
}

#[test]
fn what_docker_auth_would_pass_over_is_an_error_in_an_entry_and_a_warning_elsewhere() {
    let table = [
        (
            "- match: {team: dev}\n  actions: [push]\n",
            "acl.yml:1: unknown key `acl[1].match.team`\nhint: docker_auth ignores it",
        ),
        (
            "- match: {account:\"x\"}\n  actions: [push]\n",
            "acl.yml:1: unknown key `acl[1].match.account:\"x\"`",
        ),
        ("- {match: {}, actions: [pull], coment: x}\n", "acl.yml:1: unknown key `acl[1].coment`"),
        ("\n- actions: [push]\n", "acl.yml:2: acl[1]: the key `match` is missing"),
        ("- match:\n  actions: [push]\n", "acl.yml:1: acl[1]: the key `match` is missing"),
        ("- match: {account: ann}\n", "acl.yml:1: acl[1]: the key `actions` is missing"),
        (
            "- match: {account: ann}\n  actions: []\n- match: {name: '/a(/'}\n  actions: []\n",
            "acl.yml:3: acl[2]: `name: \"/a(/\"`: it is no regular expression",
        ),
        ("users: {}\n", "acl.yml: there is no `acl`\nhint: write `acl: []`"),
        (
            "words\n",
            "acl.yml: this is no configuration of docker_auth\nhint: expected its whole file",
        ),
        ("", "acl.yml: this is no configuration of docker_auth"),
        (
            "- match: {account: ann, account: bob}\n",
            "acl.yml:1:25: the key `account` is there twice",
        ),
    ];
    for (text, expected) in table {
        let refusal = folder(text).refusal();
        assert!(refusal.starts_with(expected), "{text}: {refusal}");
    }
    let unknown = "acl: [{ match: {}, actions: [pull] }]\ntoken: { issuer: x, exp: 1 }\nusers: { ann: { labels: { 'a b': [x] } } }\n";
    let warnings = folder(unknown).load().unwrap().warnings;
    for (warning, expected) in warnings.iter().zip([
        "acl.yml:2: token.exp: docker_auth does not know this key and ignores it",
        "acl.yml:1: acl[1]: `match` has no conditions",
        "acl.yml: users.ann.labels: \"a b\": the name of a label has",
    ]) {
        assert!(warning.contains(expected), "{warning}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn a_policy_is_a_list_or_names_a_file() {
    let table = [
        (
            "policy: word",
            "portpass.yaml:2:3: found string \"word\", expected a list of rules, or `docker-auth: FILE`",
        ),
        (
            "policy: { docker_auth: acl.yml }",
            "portpass.yaml:2:13: unknown key `docker_auth`\nhint: did you mean `docker-auth`?",
        ),
        ("policy: {}", "portpass.yaml:2:11: the key `docker-auth` is missing"),
        ("policy: { docker-auth: acl.yml, to: anyone }", "portpass.yaml:2:"),
        (
            "policy: { docker-auth: missing.yml }",
            "portpass.yaml:2: token_service.policy.docker-auth: cannot read missing.yml",
        ),
    ];
    for (policy, expected) in table {
        let refusal = Folder::new(&format!("token_service:\n  {policy}\n")).refusal();
        assert!(refusal.starts_with(expected), "{policy}: {refusal}");
    }
}
