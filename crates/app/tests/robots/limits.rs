//! What lies outside a robot's permission or a key's limit: refused, and the reason can be had.

use portpass_testkit::{Client, Layout, Skopeo};
use reqwest::StatusCode;
use serde_json::Value;

use crate::world::{Issued, World};

fn logged_in(world: &World, issued: &Issued) -> Skopeo {
    let mut skopeo = Skopeo::default();
    let login = skopeo.login(&world.place, &issued.username, &issued.secret).unwrap();
    login.expect_success();
    skopeo
}

/// The id under which the registry refused the last request for this repository.
fn last_refusal(world: &World, repository: &str) -> String {
    let ran = world.manage(&["explain", "--json"]);
    let refusals: Value = serde_json::from_str(&ran.stdout).unwrap();
    let about = |refusal: &&Value| refusal.to_string().contains(repository);
    let refusals = refusals.as_array().unwrap_or_else(|| panic!("{ran}"));
    let found = refusals.iter().find(about).unwrap_or_else(|| panic!("{ran}"));
    found["request"].as_str().unwrap_or_else(|| panic!("{ran}")).to_owned()
}

#[tokio::test]
async fn a_robot_is_refused_outside_its_permission_and_told_why() {
    let world = World::new();
    let robot = world.robot();
    let skopeo = logged_in(&world, &robot);
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("image"), "hello");
    skopeo.push(&layout, &world.image("team/app-1")).expect_success();
    for refused in ["team/other", "team/app-1/deeper", "team/app-frozen"] {
        skopeo.push(&layout, &world.image(refused)).expect_failure();
    }
    let log = world.portpass.log();
    let said =
        "pull,push on repository:team/other: robot-ci is limited to pull, push on team/app-*";
    assert!(log.contains(said), "{log}");

    let explained = world.manage(&["explain", &last_refusal(&world, "team/other")]).stdout;
    assert!(
        explained.contains("robot's own permission is only: pull, push on team/app-*"),
        "{explained}"
    );
    let explained = world.manage(&["explain", &last_refusal(&world, "team/app-frozen")]).stdout;
    assert!(explained.contains("rule 3 denies push"), "{explained}");

    let scope = "repository:team/other:pull";
    for who in ["robot-ci", "robot:ci"] {
        let explained = world.manage(&["policy", "explain", who, scope]).stdout;
        assert!(explained.contains("the robot's own permission is only"), "{explained}");
    }
    let scope = "repository:team/app-2:pull,delete";
    let explained = world.manage(&["policy", "explain", "robot:ci", scope]).stdout;
    assert!(explained.contains("the robot's own permission allows pull"), "{explained}");
}

#[tokio::test]
async fn a_key_is_refused_outside_its_limit_and_told_why() {
    let world = World::new();
    let key =
        world.issue(&["key", "add", "ann", "--allow", "pull,push", "--repository", "team/app-*"]);
    assert_eq!(key.username, "ann");
    let skopeo = logged_in(&world, &key);
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("image"), "hello");
    skopeo.push(&layout, &world.image("team/app-1")).expect_success();
    skopeo.push(&layout, &world.image("team/other")).expect_failure();
    let log = world.portpass.log();
    let said = "this API key of ann is limited to pull, push on team/app-*";
    assert!(log.contains(said) && !log.contains("ppk_"), "{log}");

    let explained = world.manage(&["explain", &last_refusal(&world, "team/other")]).stdout;
    assert!(explained.contains(&key.id), "{explained}");
    let who = format!("key:{}", key.id);
    let scope = "repository:team/other:pull";
    let explained = world.manage(&["policy", "explain", &who, scope]).stdout;
    assert!(explained.contains("the limit of the API key denies pull"), "{explained}");
    // What the person may is another question.
    let explained = world.manage(&["policy", "explain", "ann", scope]).stdout;
    assert!(explained.contains("is granted pull"), "{explained}");
}

#[tokio::test]
async fn the_key_of_a_person_who_is_disabled_is_dead() {
    let world = World::new();
    let key = world.issue(&["key", "add", "ann", "--allow", "pull", "--repository", "team/**"]);
    let ask =
        async || world.token(&key.username, &key.secret, "repository:team/x:pull").await.status;
    assert_eq!(ask().await, StatusCode::OK);
    world.manage(&["user", "disable", "ann"]);
    crate::lifecycle::within_two_seconds(async || ask().await == StatusCode::UNAUTHORIZED).await;
    world.portpass.wait_for_log(&["api-key-account-gone"]);
    world.manage(&["user", "enable", "ann"]);
    crate::lifecycle::within_two_seconds(async || ask().await == StatusCode::OK).await;
    world.manage(&["user", "remove", "ann"]);
    assert_eq!(world.manage(&["key", "list", "--json"]).stdout.trim(), "[]");
    crate::lifecycle::within_two_seconds(async || ask().await == StatusCode::UNAUTHORIZED).await;
}
