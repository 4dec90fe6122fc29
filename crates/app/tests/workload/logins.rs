//! What real clients reach with a workload's token.

use std::time::{Duration, Instant};

use portpass_testkit::{Client as _, Dockerd, Layout, Skopeo};
use serde_json::{Value, json};

use super::{
    exchange::exchange,
    world::{PASSWORD, World},
};

#[test]
fn docker_logs_in_pushes_and_pulls_with_the_token_of_a_github_job() {
    let world = World::new();
    let docker = Dockerd::start();
    let registry = world.portpass.address().to_string();
    let token = world.github_token(&json!({}));
    docker.login(&registry, "oidc", &token).expect_success();
    // No refresh token: whoever holds the job's token can show it again, as long as it is valid.
    assert!(!docker.client_configuration().contains("identitytoken"));

    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(scratch.path(), "a job was here");
    docker.load(&layout, "amd64", "job:loaded");
    let image = format!("{registry}/acme/app:v1");
    docker.run(&["tag", "job:loaded", &image]).expect_success();
    docker.run(&["push", &image]).expect_success();
    docker.run(&["rmi", &image]).expect_success();
    docker.run(&["pull", &image]).expect_success();

    let elsewhere = format!("{registry}/team/app:v1");
    docker.run(&["tag", &image, &elsewhere]).expect_success();
    let refused = docker.run(&["push", &elsewhere]);
    assert!(refused.expect_failure().output().contains("denied"), "{refused}");
    let why = world.command(
        &["policy", "explain", "ci.acme.app", "repository:team/app:push", "repository:acme/x:push"],
        "",
    );
    assert!(why.contains("is granted nothing"), "{why}");
    assert!(why.contains("group:ci"), "{why}");
    let log = world.portpass.wait_for_log(&["ci.acme.app", "insufficient-scope"]);
    assert!(log.contains("team/app"), "{log}");
    world.assert_untold(&token);
}

#[test]
fn skopeo_and_docker_pull_with_the_token_of_a_pod_and_do_not_push() {
    let world = World::new();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("in"), "a pod pulls it");
    let image = world.place().image("acme/app:v1");
    let mut job = Skopeo::default();
    job.login(&world.place(), "oidc", &world.github_token(&json!({}))).unwrap().expect_success();
    job.push(&layout, &image).expect_success();

    let token = world.cluster_token(&json!({}));
    let mut pod = Skopeo::default();
    pod.login(&world.place(), "oidc", &token).unwrap().expect_success();
    let pulled = pod.pull(&image);
    pulled.ran.expect_success();
    assert!(pulled.digest.contains("sha256:"), "{pulled:?}");
    pod.push(&layout, &world.place().image("acme/app:v2")).expect_failure();
    let refused = world.portpass.wait_for_log(&["k8s.build@pusher", "insufficient-scope"]);
    assert!(refused.contains("acme/app"), "{refused}");
    let words = ["policy", "explain", "k8s.build@pusher", "repository:acme/app:pull,push"];
    let why = world.command(&words, "");
    assert!(why.contains("rule 2 allows pull") && why.contains("push"), "{why}");

    let docker = Dockerd::start();
    let registry = world.portpass.address().to_string();
    docker.login(&registry, "oidc", &token).expect_success();
    let pulled = format!("{registry}/acme/app:v1");
    docker.run(&["pull", &pulled]).expect_success();
    let own = format!("{registry}/acme/app:v3");
    docker.run(&["tag", &pulled, &own]).expect_success();
    let push = docker.run(&["push", &own]);
    assert!(push.expect_failure().output().contains("denied"), "{push}");
    world.assert_untold(&token);
}

#[test]
fn a_job_that_no_account_is_for_is_told_nothing_and_its_operator_why() {
    let world = World::new();
    for (token, id, why) in [
        (
            world.github_token(&json!({ "ref": "refs/heads/dev" })),
            "workload-claims",
            r#"its claim `ref` is "refs/heads/dev"; expected "refs/heads/main""#,
        ),
        (
            world.github_token(&json!({ "repository": "evil/app" })),
            "workload-claims",
            r#"its claim `repository` is "evil/app"; expected "acme/*""#,
        ),
        (
            world.github_token(&json!({ "aud": "https://github.com/acme" })),
            "workload-audience",
            r#"its `aud` is "https://github.com/acme"; expected "registry.example.com""#,
        ),
        (
            world.github_token(&json!({ "event_name": "pull_request_target" })),
            "workload-trigger",
            "write `event_name: pull_request_target` under `when`",
        ),
        (
            world.cluster_token(&json!({ "kubernetes.io": { "namespace": "build" } })),
            "workload-claims",
            "its claim `kubernetes.io/serviceaccount/name` is missing; expected \"pu*\"",
        ),
        (
            world.cluster_token(&json!({ "iss": "https://elsewhere.example" })),
            "workload-issuer-unknown",
            r#"the issuer "https://elsewhere.example", which is not in `token_service.accounts`"#,
        ),
    ] {
        let login = Skopeo::default().login(&world.place(), "oidc", &token).unwrap();
        let said = login.expect_failure().output();
        assert!(!said.contains("refs/heads") && !said.contains("expected"), "{said}");

        let latest: Value =
            serde_json::from_str(&world.command(&["explain", "--json", "-n", "1"], "")).unwrap();
        assert_eq!(latest[0]["refusal"], id, "{latest}");
        let reason = latest[0]["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{reason}");
        let request = latest[0]["request"].as_str().unwrap();
        let explained = world.command(&["explain", request], "");
        assert!(explained.contains(why) && explained.contains("what to do"), "{explained}");
        world.portpass.wait_for_log(&[id, request]);
        world.assert_untold(&token);
    }
}

/// Both would own `${account}/**`. The name is the source's that is asked first, and whoever makes an account is told.
#[expect(clippy::disallowed_methods, reason = "the server has the machine's clock")]
#[tokio::test]
async fn a_workload_that_is_called_like_an_account_of_an_earlier_source_gets_no_token() {
    let world = World::new();
    let token = world.github_token(&json!({}));
    let scope = "repository:acme/app:push";
    assert_eq!(world.get_token("oidc", &token, scope).await.status(), 200);
    let added = world.run(&["user", "add", "ci.acme.app", "--password-stdin"], PASSWORD);
    let warned = "warning: `github` has the name `ci.acme.app` too";
    assert!(added.expect_success().stderr.contains(warned), "{added}");
    let since = Instant::now();
    let refused = loop {
        let answer = world.get_token("oidc", &token, scope).await;
        if answer.status() == 401 {
            break answer;
        }
        assert!(since.elapsed() < Duration::from_secs(2), "{answer:?}");
    };
    assert!(refused.text().await.unwrap().contains("wrong user name or password"));
    world.portpass.wait_for_log(&[
        "account-shadowed",
        "`ci.acme.app` of `github` is shadowed: `local` is asked first",
    ]);
    let exchanged = exchange(&world, &token, &[("scope", scope)]).await;
    assert_eq!(exchanged.status(), 400, "{exchanged:?}");
    // It has no password, and a local account has one.
    assert_eq!(world.get_token("ci.acme.app", PASSWORD, scope).await.status(), 200);
    world.assert_untold(&token);
}
