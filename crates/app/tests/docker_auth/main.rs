//! docker_auth moves in: its file becomes one of ours, a server starts from it, and each token has what the ACL gives.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use portpass_testkit::{CommandOutput, Portpass, run};
use reqwest::{Client, StatusCode};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
/// Its users have this password.
const PASSWORD: &str = "s3cret";
const HASH: &str = "$2y$05$HASH";

/// A folder with docker_auth's file and its key.
fn folder(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for name in ["server", "token"] {
        fs::write(folder.path().join(format!("{name}.crt")), pair.cert.pem()).unwrap();
        fs::write(folder.path().join(format!("{name}.key")), pair.signing_key.serialize_pem())
            .unwrap();
    }
    fs::write(folder.path().join("bind"), "opensesame\n").unwrap();
    fs::write(folder.path().join("auth_config.yml"), configuration.replace(HASH, &hash())).unwrap();
    folder
}

/// As `htpasswd -nB` writes it, which docker_auth's manual says to use.
fn hash() -> String {
    let made = run(Command::new("htpasswd").args(["-nbBC", "5", "ann", PASSWORD]), "");
    made.expect_success().stdout.trim().strip_prefix("ann:").unwrap().to_owned()
}

fn portpass(folder: &Path, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new(PROGRAM);
    run(command.args(arguments).current_dir(folder).env_clear().env("HOME", folder), "")
}

/// Imports into `portpass.yml` beside it, and starts a server from that.
fn moved(configuration: &str, more: &[&str]) -> Portpass {
    let folder = folder(configuration);
    let import = ["import", "docker-auth", "auth_config.yml", "--output", "portpass.yml"];
    portpass(folder.path(), &[&import, more].concat()).expect_success();
    portpass(folder.path(), &["config", "check", "portpass.yml"]).expect_success();
    let arguments = ["--config", "{folder}/portpass.yml", "--data", "{folder}/data"];
    Portpass::serve_in(Path::new(PROGRAM), &arguments, folder)
}

/// What the token says of the scope.
async fn granted(
    portpass: &Portpass,
    account: &str,
    service: &str,
    scope: &str,
) -> BTreeSet<String> {
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/tokens/auth", portpass.url());
    let mut request = client.get(url).query(&[("service", service), ("scope", scope)]);
    if !account.is_empty() {
        request = request.basic_auth(account, Some(PASSWORD));
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{account} {scope}");
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let token = body["token"].as_str().unwrap();
    let inspected = portpass.command(&["token", "inspect", "--json", "-"], token);
    let inspected: Value = serde_json::from_str(&inspected.expect_success().stdout).unwrap();
    assert_eq!(inspected["claims"]["iss"], "Acme auth server");
    let actions = inspected["claims"]["access"][0]["actions"].as_array().unwrap();
    actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect()
}

const STAYS: &str = "\
server: { addr: '127.0.0.1:0', path_prefix: /tokens }
token: { issuer: Acme auth server, expiration: 900, certificate: token.crt, key: token.key }
users:
  admin: { password: $2y$05$HASH }
  ann: { password: $2y$05$HASH, labels: { group: [dev, VIP], tier: [x] } }
  bob: { password: $2y$05$HASH }
  '': {}
acl:
  - { match: { account: admin }, actions: ['*'], comment: everything }
  - { match: { account: bob, name: 'prod/*', ip: 10.0.0.0/8 }, actions: [pull, push] }
  - { match: { account: '/.+/', name: '${account}/*' }, actions: [pull, push, delete] }
  - { match: { name: '${labels:group}-${labels:tier}/*' }, actions: [pull, push] }
  - { match: { labels: { group: '/^V/' }, name: 'vip/*' }, actions: [pull] }
  - { match: { account: '/^(.)ob$/', name: '/^letter-${account:1}/' }, actions: [pull] }
  - { match: { name: /secret/ }, actions: [] }
  - { match: { account: '', name: hello-world }, actions: [pull] }
  - { match: { account: '/.+/', type: registry, name: catalog }, actions: ['*'] }
  - { match: { account: '/.+/' }, actions: [pull] }
";

#[tokio::test]
async fn a_server_answers_as_the_acl_says() {
    let portpass = moved(STAYS, &["--service", "Docker registry"]);
    let here = portpass.folder().join("portpass.yml");
    let written = fs::read_to_string(here).unwrap();
    assert!(written.contains("policy: { docker-auth: "), "{written}");
    let table = [
        ("admin", "repository:a/b/c:pull,push,delete", "delete pull push"),
        ("admin", "registry:catalog:*", "*"),
        ("ann", "registry:catalog:*", "*"),
        ("ann", "repository:ann/app:pull,push,delete", "delete pull push"),
        ("ann", "repository:ann/app/deep:pull,push", "pull"),
        ("ann", "repository:bob/app:pull,push", "pull"),
        ("ann", "repository:dev-x/app:pull,push", "pull push"),
        ("bob", "repository:dev-x/app:pull,push", "pull"),
        ("ann", "repository:vip/app:pull,push", "pull"),
        ("bob", "repository:letter-bx:pull", "pull"),
        ("bob", "repository:prod/app:pull,push", "pull"),
        ("ann", "repository:my-secrets:pull", ""),
        ("", "repository:hello-world:pull,push", "pull"),
        ("", "repository:other:pull", ""),
        ("", "registry:catalog:*", ""),
    ];
    for (account, scope, expected) in table {
        let expected: BTreeSet<String> = expected.split_whitespace().map(str::to_owned).collect();
        let actions = granted(&portpass, account, "Docker registry", scope).await;
        assert_eq!(actions, expected, "{account} {scope}");
    }
}

#[test]
fn an_explanation_and_the_trail_name_the_entry() {
    let portpass = moved(STAYS, &["--service", "Docker registry"]);
    let explain = |account, scope| {
        let arguments = [
            "policy",
            "explain",
            account,
            scope,
            "--config",
            "{folder}/portpass.yml",
            "--data",
            "{folder}/data",
        ];
        portpass.command(&arguments, "").expect_success().stdout.clone()
    };
    let told = explain("ann", "repository:my-secrets:pull");
    assert!(told.contains("rule 7 denies pull: [] for name \"/secret/\""), "{told}");
    assert!(told.contains("nearest: rule 10: [pull] for account \"/.+/\", but rule 7 matches too, comes first, and decides alone"), "{told}");
    let told = explain("ann", "repository:ann/app/deep:push");
    assert!(told.contains("rule 10 denies push"), "{told}");
    assert!(
        told.contains(
            "its name \"${account}/*\" does not match \"ann/app/deep\" (`*` matches no `/`)"
        ),
        "{told}"
    );
}

const BECOMES_RULES: &str = "\
server: { addr: '127.0.0.1:0', path_prefix: /tokens }
token: { issuer: Acme auth server, expiration: 900, certificate: token.crt, key: token.key }
users:
  admin: { password: $2y$05$HASH }
  ann: { password: $2y$05$HASH }
acl:
  - { match: { account: admin }, actions: ['*'] }
  - { match: { account: '/.+/', name: '${account}/*' }, actions: [pull, push] }
  - { match: { service: other, name: 'other/*' }, actions: [pull] }
  - { match: { account: '' }, actions: [pull] }
";

#[tokio::test]
async fn a_server_answers_by_the_rules_that_the_acl_became() {
    let portpass = moved(BECOMES_RULES, &["--service", "registry"]);
    let written = fs::read_to_string(portpass.folder().join("portpass.yml")).unwrap();
    assert!(written.contains("  policy:\n    - { allow: "), "{written}");
    for (account, service, scope, expected) in [
        ("admin", "registry", "repository:a/b/c:pull,push,delete", "delete pull push"),
        ("ann", "registry", "repository:ann/app:pull,push", "pull push"),
        ("ann", "registry", "repository:other/app:pull", ""),
        ("ann", "other", "repository:other/app:pull", "pull"),
    ] {
        let expected: BTreeSet<String> = expected.split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            granted(&portpass, account, service, scope).await,
            expected,
            "{account} {scope}"
        );
    }
}

#[test]
fn a_file_with_every_key_becomes_one_that_is_taken() {
    let folder = folder(include_str!("every_key.yml"));
    let imported = portpass(folder.path(), &["import", "docker-auth", "auth_config.yml"]);
    imported.expect_success();
    assert!(imported.stderr.contains("doubts: look at each line"), "{}", imported.stderr);
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("portpass.yml"), &imported.stdout).unwrap();
    let checked = portpass(folder.path(), &["config", "check", "portpass.yml"]);
    checked.expect_success();
    assert!(checked.stdout.contains("9 entries of docker_auth's ACL, in "), "{}", checked.stdout);
}

#[test]
fn no_file_is_overwritten_and_secrets_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = folder(BECOMES_RULES);
    let arguments = ["import", "docker-auth", "auth_config.yml", "--output", "portpass.yml"];
    portpass(folder.path(), &arguments).expect_success();
    let users = folder.path().join("users.htpasswd");
    assert_eq!(fs::metadata(&users).unwrap().permissions().mode() & 0o777, 0o600);
    let again = portpass(folder.path(), &arguments);
    again.expect_failure();
    assert!(again.stderr.contains("cannot write portpass.yml: "), "{}", again.stderr);
    fs::write(&users, "other:x\n").unwrap();
    let other = portpass(folder.path(), &["import", "docker-auth", "auth_config.yml"]);
    other.expect_failure();
    assert!(other.stderr.contains("hint: give another file: --htpasswd FILE"), "{}", other.stderr);
    assert_eq!(fs::read_to_string(&users).unwrap(), "other:x\n");
    let missing = portpass(folder.path(), &["import", "docker-auth", "missing.yml"]);
    missing.expect_failure();
    assert!(missing.stderr.contains("cannot read missing.yml"), "{}", missing.stderr);
}
