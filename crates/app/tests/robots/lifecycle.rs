//! Rotation, expiry, and the switch.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::world::{Issued, World};

const SCOPE: &str = "repository:team/app-1:pull";

async fn status(world: &World, issued: &Issued) -> StatusCode {
    world.token(&issued.username, &issued.secret, SCOPE).await.status
}

/// Asks until it is so, for as long as a change may take.
#[expect(
    clippy::disallowed_methods,
    reason = "what is promised is a time by the clock of the machine"
)]
pub(crate) async fn within_two_seconds(is_so: impl AsyncFn() -> bool) {
    let changed = Instant::now();
    while !is_so().await {
        assert!(changed.elapsed() < Duration::from_secs(2), "it took longer than two seconds");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_secrets_are_good_while_they_overlap_and_the_old_one_ends() {
    let world = World::new();
    let first = world.robot();
    assert_eq!(status(&world, &first).await, StatusCode::OK);
    let second = world.issue(&["robot", "rotate", "ci", "--overlap", "1h"]);
    assert_eq!(status(&world, &second).await, StatusCode::OK, "it works at once");
    assert_eq!(status(&world, &first).await, StatusCode::OK);

    let third = world.issue(&["robot", "rotate", "robot-ci", "--overlap", "0s"]);
    assert_eq!(status(&world, &third).await, StatusCode::OK);
    within_two_seconds(async || status(&world, &first).await == StatusCode::UNAUTHORIZED).await;
    assert_eq!(status(&world, &second).await, StatusCode::UNAUTHORIZED);
    world.portpass.wait_for_log(&["secret-unknown"]);

    let fourth = world.issue(&["robot", "rotate", "ci", "--overlap", "1s"]);
    assert_eq!(status(&world, &fourth).await, StatusCode::OK);
    within_two_seconds(async || status(&world, &third).await == StatusCode::UNAUTHORIZED).await;
    world.portpass.wait_for_log(&["robot-secret-replaced"]);
}

#[tokio::test]
async fn a_robot_expires_and_is_renewed() {
    let world = World::new();
    let add = ["robot", "add", "ci", "--allow", "pull", "--repository", "team/**"];
    let robot = world.issue(&[&add[..], &["--expires", "1s"]].concat());
    within_two_seconds(async || status(&world, &robot).await == StatusCode::UNAUTHORIZED).await;
    world.portpass.wait_for_log(&["robot-expired"]);
    let renewed = world.issue(&["robot", "rotate", "ci", "--expires", "90d"]);
    assert_eq!(status(&world, &renewed).await, StatusCode::OK);
    assert_eq!(status(&world, &robot).await, StatusCode::OK, "the end is the robot's");
}

#[tokio::test]
async fn a_disabled_robot_ends_within_two_seconds() {
    let world = World::new();
    let robot = world.robot();
    assert_eq!(status(&world, &robot).await, StatusCode::OK);
    world.manage(&["robot", "disable", "ci"]);
    within_two_seconds(async || status(&world, &robot).await == StatusCode::UNAUTHORIZED).await;
    world.portpass.wait_for_log(&["robot-disabled"]);
    world.manage(&["robot", "enable", "ci"]);
    assert_eq!(status(&world, &robot).await, StatusCode::OK, "what is set right works at once");
    world.manage(&["robot", "remove", "ci"]);
    within_two_seconds(async || status(&world, &robot).await == StatusCode::UNAUTHORIZED).await;
}

/// Uses are written some seconds later, and when the server stops.
#[tokio::test]
async fn the_last_use_is_told() {
    let world = World::new();
    let robot = world.robot();
    let key = world.issue(&["key", "add", "ann", "--allow", "pull", "--repository", "team/**"]);
    for issued in [&robot, &key] {
        assert_eq!(status(&world, issued).await, StatusCode::OK);
    }
    let mut world = world;
    world.portpass.restart();
    let json =
        |words: &[&str]| -> Value { serde_json::from_str(&world.manage(words).stdout).unwrap() };
    let robot = json(&["robot", "show", "ci", "--json"]);
    assert!(robot["used_at"].is_string() && robot["secrets"][0]["used_at"].is_string(), "{robot}");
    let keys = json(&["key", "list", "ann", "--json"]);
    assert!(keys[0]["used_at"].is_string(), "{keys}");
    let shown = world.manage(&["robot", "show", "ci"]).stdout;
    insta::assert_snapshot!(without_times(&shown));
    let listed = world.manage(&["robot", "list"]).stdout;
    insta::assert_snapshot!(without_times(&listed));
}

/// Times are those of the run.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n', ',']).map(|word| {
        let is_time = word.len() > 19 && word.starts_with("20") && word.contains('T');
        if is_time { word.replacen(&word[..20], "<time>", 1) } else { word.to_owned() }
    });
    words.collect()
}
