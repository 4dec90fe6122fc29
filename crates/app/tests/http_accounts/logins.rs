//! What real clients reach by the word of the service.

use std::time::{Duration, Instant};

use portpass_testkit::{Client, Dockerd, Layout, RegistryAddress};
use serde_json::json;

use crate::{
    service::{CommandService, NEW, Service},
    world::{PASSWORD, TEAM, World},
};

fn section(service: &Service, cache: &str) -> String {
    format!(
        "        url: {}\n        bearer_token_file: token\n        cache: {cache}\n",
        service.url()
    )
}

#[tokio::test]
async fn docker_logs_in_and_pushes_by_the_word_of_the_example_and_is_refused_elsewhere() {
    let service = Service::start();
    let world = World::with(&section(&service, "5m"));
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("image"), "hello");
    let place = RegistryAddress::plain(world.portpass.address());
    let mut docker = Dockerd::start();
    docker.login(&world.portpass.address().to_string(), "ann", "wrong").expect_failure();
    Client::login(&mut docker, &place, "ann", PASSWORD).unwrap().expect_success();
    assert!(docker.client_configuration().contains("identitytoken"));
    let image = place.image("team/app:1");
    docker.push(&layout, &image).expect_success();
    docker.pull(&image).ran.expect_success();

    let refused = docker.push(&layout, &place.image("other/app:1"));
    assert!(refused.expect_failure().output().contains("denied"), "{refused}");
    let line = world.portpass.wait_for_log(&["access:", "insufficient-scope", "other/app"]);
    let request = line.split("request_id=").nth(1).unwrap().split(' ').next().unwrap();
    let said = world.manage(&["explain", request]);
    assert!(said.expect_success().stdout.contains("ann"), "{said}");
    for (scope, word) in [("other/app", "ann"), ("team/app", "developers")] {
        let said = world.manage(&["policy", "explain", "ann", &format!("repository:{scope}:push")]);
        assert!(said.expect_success().stdout.contains(word), "{said}");
    }
    assert!(!world.portpass.log().contains(PASSWORD));
}

#[tokio::test]
async fn a_name_that_the_service_does_not_know_is_asked_for_in_the_next_source() {
    let service = Service::start();
    let world = World::of(&format!("    - http:\n{}    - local: {{}}", section(&service, "5m")));
    world.manage(&["user", "add", "local", "--password-stdin"]).expect_success();
    world.manage(&["user", "add", "ann", "--password-stdin"]).expect_success();
    let granted = world.token("local", PASSWORD, "repository:local/app:push").await;
    assert_eq!(granted.granted(), ["push"]);
    world.token("nobody", PASSWORD, TEAM).await.is_refused();
    // Who knows the name decides.
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    service.change("ann", "disabled", json!(true));
    let refused = world.token("ann", "a bad guess", TEAM).await;
    world.explains(refused.is_refused(), &["http: the service says no: wrong password"]);
}

#[tokio::test]
async fn a_refresh_token_ends_with_the_account_or_its_password_and_the_reason_is_told() {
    let service = Service::start();
    let world = World::with(&section(&service, "0s"));
    let (ann, bob) = (world.login("ann", PASSWORD).await, world.login("bob", PASSWORD).await);
    assert_eq!(world.refresh(ann.refresh_token(), TEAM).await.granted(), ["push"]);
    service.change("ann", "groups", json!([]));
    assert!(world.refresh(ann.refresh_token(), TEAM).await.granted().is_empty());

    service.change("ann", "disabled", json!(true));
    let refused = world.refresh(ann.refresh_token(), TEAM).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    world.explains(&refused, &["refresh-token-account-gone"]);
    world.token("ann", PASSWORD, TEAM).await.is_refused();
    let said = world.manage(&["policy", "explain", "ann", TEAM]);
    assert!(said.output().contains("the service says no: disabled"), "{said}");

    service.change("bob", "scrypt", json!(NEW));
    let refused = world.refresh(bob.refresh_token(), TEAM).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    world.explains(&refused, &["refresh-token-password-changed"]);
    assert_eq!(world.token("bob", "new horse", "").await.status, 200);
}

#[tokio::test]
async fn an_api_key_ends_with_the_account_of_the_service() {
    let service = Service::start();
    let world = World::with(&section(&service, "0s"));
    let words = ["key", "add", "ann", "--allow", "pull", "--repository", "team/**", "--json"];
    let made = world.manage(&words);
    let made: serde_json::Value = serde_json::from_str(&made.expect_success().stdout).unwrap();
    let (name, secret) = (made["username"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let scope = "repository:team/app:pull,push";
    assert_eq!(world.token(name, secret, scope).await.granted(), ["pull"]);
    service.change("ann", "disabled", json!(true));
    assert_eq!(world.token(name, secret, scope).await.status, 401);
}

#[expect(clippy::disallowed_methods, reason = "the server has the machine's clock")]
async fn within_two_seconds(is_so: impl AsyncFn() -> bool) {
    let changed = Instant::now();
    while !is_so().await {
        assert!(changed.elapsed() < Duration::from_secs(2), "it took longer than two seconds");
        tokio::task::yield_now().await;
    }
}

/// `local` is asked first. The new account is another person's, so what proves the old one opens nothing of hers.
#[tokio::test]
async fn what_proves_an_account_ends_when_an_earlier_source_gets_its_name() {
    let service = Service::start();
    let world = World::with(&section(&service, "5m"));
    let words = ["key", "add", "bob", "--allow", "pull,push", "--repository", "**", "--json"];
    let made = world.manage(&words);
    let made: serde_json::Value = serde_json::from_str(&made.expect_success().stdout).unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let session = world.login("bob", PASSWORD).await;
    let own = "repository:bob/app:push";
    assert_eq!(world.token("bob", secret, own).await.granted(), ["push"]);
    assert_eq!(world.refresh(session.refresh_token(), own).await.granted(), ["push"]);

    let added = world.manage(&["user", "add", "bob", "--password-stdin"]);
    let warned = "warning: `http` has the name `bob` too: its account gets no token any more";
    assert!(added.expect_success().stderr.contains(warned), "{added}");
    within_two_seconds(async || world.token("bob", secret, own).await.status == 401).await;
    for _ in 0..2 {
        let refused = world.token("bob", secret, own).await;
        let why = "`bob` of `http` is shadowed: `local` is asked first";
        world.explains(refused.is_refused(), &["account-shadowed", why]);
        let refused = world.refresh(session.refresh_token(), own).await;
        assert_eq!(refused.status, 401, "{refused:?}");
        world.explains(&refused, &["account-shadowed", why]);
        world.manage(&["user", "disable", "bob"]).expect_success();
    }
    let said = world.manage(&["policy", "who", "bob/app"]);
    let listed = format!("key:{id} (bob) (no login reaches it: `local` has the name)");
    assert!(said.expect_success().stdout.contains(&listed), "{said}");
    let said = world.manage(&["policy", "explain", &format!("key:{id}"), own]);
    assert!(said.output().contains("gets no token: the account `bob` of `http` is"), "{said}");

    world.manage(&["user", "remove", "bob"]).expect_success();
    within_two_seconds(async || world.token("bob", secret, own).await.status == 200).await;
}

/// What docker_auth's `ext_auth` runs answers for the same accounts here, labels included.
#[tokio::test]
async fn a_command_of_docker_auth_answers_over_http() {
    let service = CommandService::start(
        r#"case "$pair" in
            "ann correct horse") echo '{"labels":{"team":["team"]}}' ;;
            "bob correct horse") ;;
            ann*) exit 1 ;;
            crash*) exit 3 ;;
            *) exit 2 ;;
        esac"#,
    );
    let section = format!(
        "        url: {}\n        bearer_token_file: token\n        lookup: false\n",
        service.url()
    );
    let world = World::of_rules(
        &format!("    - http:\n{section}    - local: {{}}"),
        "    - { allow: [push], repository: \"${label:team}/**\", to: signed-in }\n",
    );
    world.manage(&["user", "add", "local", "--password-stdin"]).expect_success();
    let ann = world.token("ann", PASSWORD, TEAM).await;
    assert_eq!(ann.granted(), ["push"]);
    assert!(world.login("ann", PASSWORD).await.body.get("refresh_token").is_none());
    assert!(world.token("bob", PASSWORD, TEAM).await.granted().is_empty());
    world.token("ann", "wrong", TEAM).await.is_refused();
    assert_eq!(world.token("local", PASSWORD, TEAM).await.status, 200);
    let crashed = world.token("crash", PASSWORD, TEAM).await;
    world.explains(crashed.is_unavailable(), &["the command ended with status 3"]);
}
