//! The two set-ups that portpass began with: a registry and a token service in processes of their
//! own, joined by nothing but a certificate bundle; and a client that takes the challenge apart by
//! hand.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, path::Path};

use portpass_testkit::{Dockerd, FixedTokenService, Portpass};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// The token service of the first story, on a port that the kernel picks.
fn token_service() -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "\
data: {}
log: {{ level: debug }}
token_service:
  addr: 127.0.0.1:0
  path: /registry/v1/token
  issuer: dtest
  services:
    - {{ name: token-service }}
  accounts:
    - local: {{}}
  anonymous: true
  policy:
    - {{ allow: [pull], repository: \"public/**\", to: anyone }}
    - {{ allow: [pull, push, delete], repository: \"${{account}}/**\", to: signed-in }}
",
        folder.path().join("data").display()
    );
    fs::write(folder.path().join("token.yml"), configuration).unwrap();
    Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/token.yml"], folder)
}

/// The registry of the first story, with its `auth:` block word for word but for the port.
fn registry(realm: &str, bundle: &Path) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "\
data: {}
log: {{ level: debug }}
http:
  addr: 127.0.0.1:0
registry:
  auth:
    token:
      issuer: dtest
      realm: {realm}
      rootcertbundle: {}
      service: token-service
",
        folder.path().join("data").display(),
        bundle.display(),
    );
    fs::write(folder.path().join("registry.yml"), configuration).unwrap();
    Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/registry.yml"], folder)
}

fn realm_of(token_service: &Portpass) -> String {
    format!("{}/registry/v1/token", token_service.url())
}

fn add_account(token_service: &Portpass, name: &str, password: &str) {
    let command = ["user", "add", name, "--password-stdin", "--config", "{folder}/token.yml"];
    token_service.command(&command, password).expect_success();
}

#[test]
fn docker_logs_in_where_the_bundle_alone_joins_registry_and_token_service() {
    let tokens = token_service();
    add_account(&tokens, "ann", "opensesame");
    let registry = registry(&realm_of(&tokens), &tokens.folder().join("data/root.crt"));
    let docker = Dockerd::start();
    let address = registry.address().to_string();
    docker.login(&address, "ann", "opensesame").expect_success();
    docker.login(&address, "ann", "wrong").expect_failure();
    docker.login(&address, "nobody", "opensesame").expect_failure();
}

/// "authorization server did not include a token in the response", and "authorization token
/// required" in the registry's log: what the operator saw.
#[test]
fn a_token_service_that_answers_without_a_token_is_told_by_the_client_and_the_log() {
    let tokens = token_service();
    let foreign = FixedTokenService::answering(r#"{"jwt":"eyJhbGciOiJSUzI1NiJ9.e30.AAAA"}"#);
    let registry = registry(&foreign.realm(), &tokens.folder().join("data/root.crt"));
    let address = registry.address().to_string();

    let docker = Dockerd::start();
    let refused = docker.login(&address, "ann", "opensesame");
    refused.expect_failure();
    assert!(
        refused.output().contains("authorization server did not include a token in the response"),
        "{refused}"
    );
    // The registry has seen no more than the ping; its log says that this is how things begin.
    registry.wait_for_log(&["no credentials were sent", "clients begin so"]);

    let ours = registry
        .command(&["login", "--username", "ann", "--password-stdin", &address], "opensesame");
    ours.expect_failure();
    assert!(ours.stderr.contains("jwt") && ours.stderr.contains("token"), "{ours}");
    assert!(!ours.output().contains("eyJhbGci"), "no token may be shown: {ours}");
}

/// What it turned out to be.
#[test]
fn a_token_that_is_no_jwt_is_named_in_the_log_and_only_there() {
    let tokens = token_service();
    let foreign = FixedTokenService::answering(r#"{"token":"0123456789abcdef","expires_in":300}"#);
    let registry = registry(&foreign.realm(), &tokens.folder().join("data/root.crt"));
    let address = registry.address().to_string();

    let docker = Dockerd::start();
    let refused = docker.login(&address, "ann", "opensesame");
    refused.expect_failure();
    let line = registry.wait_for_log(&["token has 1 part, expected 3"]);
    assert!(!line.contains("0123456789abcdef"), "a token reached the log: {line}");
    assert!(!refused.output().contains("1 part"), "the client is told less: {refused}");
}

/// The Go program of the second story, step by step: it cuts the header at its commas and equals
/// signs in the order realm, service, scope, and POSTs nothing with everything in the query.
#[tokio::test]
async fn a_client_that_cuts_the_challenge_at_its_commas_gets_a_token() {
    let tokens = token_service();
    let registry = registry(&realm_of(&tokens), &tokens.folder().join("data/root.crt"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    let url = format!("{}/v2/public/app/manifests/latest", registry.url());
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let header = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let parts: Vec<&str> = header.trim_start_matches(['B', 'e', 'a', 'r']).split(',').collect();
    let value = |part: &str| part.split('=').nth(1).unwrap().trim_matches('"').to_owned();
    let (realm, service, scope) = (value(parts[0]), value(parts[1]), value(parts[2]));
    assert_eq!(service, "token-service");
    assert_eq!(scope, "repository:public/app:pull");

    let url = format!("{realm}?service={service}&scope={scope}");
    let answer = client.post(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let token = body["token"].as_str().unwrap();

    let url = format!("{}/v2/public/app/manifests/latest", registry.url());
    let answer = client.get(&url).bearer_auth(token).send().await.unwrap();
    // Nothing was pushed: past the access controller, there is no such manifest.
    assert_eq!(answer.status(), 404);
}
