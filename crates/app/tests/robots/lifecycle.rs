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
    world.portpass.wait_for_log(&["robot-secret-replaced", "robot `ci` has another secret"]);

    let fourth = world.issue(&["robot", "rotate", "ci", "--overlap", "1s"]);
    assert_eq!(status(&world, &fourth).await, StatusCode::OK);
    within_two_seconds(async || status(&world, &third).await == StatusCode::UNAUTHORIZED).await;
    world.portpass.wait_for_log(&["robot-secret-replaced"]);
}

/// A cluster keeps pulling with what it has. It guesses nothing, so it stops nobody behind its address.
#[tokio::test]
async fn secrets_that_were_ended_stop_no_other_robot_behind_the_address() {
    let world = World::new();
    let rotated = world.robot();
    let add = |name| ["robot", "add", name, "--allow", "pull", "--repository", "team/**"];
    let (removed, other) = (world.issue(&add("old")), world.issue(&add("other")));
    let key = world.issue(&["key", "add", "ann", "--allow", "pull", "--repository", "team/**"]);
    world.manage(&["robot", "rotate", "ci", "--overlap", "0s"]);
    world.manage(&["robot", "remove", "old"]);
    world.manage(&["key", "revoke", &key.id]);
    for (ended, id, said) in [
        (&rotated, "robot-secret-replaced", "robot `ci` has another secret since it was rotated"),
        (&removed, "robot-removed", "robot `old` was removed"),
        (&key, "api-key-revoked", key.id.as_str()),
    ] {
        within_two_seconds(async || status(&world, ended).await == StatusCode::UNAUTHORIZED).await;
        world.portpass.wait_for_log(&[id, said]);
        for _ in 0..150 {
            assert_eq!(status(&world, ended).await, StatusCode::UNAUTHORIZED, "{id}");
        }
    }
    assert_eq!(status(&world, &other).await, StatusCode::OK);
    let log = world.portpass.log();
    assert!(!log.contains("secret-unknown") && !log.contains("ppb_"), "{log}");
}

#[tokio::test]
async fn a_second_rotation_says_which_secret_it_ends() {
    let world = World::new();
    world.robot();
    let first = world.manage(&["robot", "rotate", "ci"]);
    assert!(!first.stderr.contains("warning"), "{first}");
    let second = world.manage(&["robot", "rotate", "ci"]);
    let said = ["warning: the secret made ", " has ended", "never used"];
    assert!(said.iter().all(|said| second.stderr.contains(said)), "{second}");
    let leaked = world.manage(&["robot", "rotate", "ci", "--overlap", "0s"]);
    assert!(!leaked.stderr.contains("warning"), "all ended as it was meant: {leaked}");
}

#[tokio::test]
async fn an_expired_robot_is_shown_as_expired_and_no_change_hides_it() {
    let world = World::new();
    let add = ["robot", "add", "ci", "--allow", "pull", "--repository", "team/**"];
    let robot = world.issue(&[&add[..], &["--expires", "1s"]].concat());
    within_two_seconds(async || status(&world, &robot).await == StatusCode::UNAUTHORIZED).await;
    let shown = world.manage(&["robot", "list"]).stdout;
    assert!(shown.contains("expired 20"), "{shown}");
    let shown = world.manage(&["robot", "show", "ci", "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["status"], &shown["since"]), (&"expired".into(), &shown["expires_at"]));
    for words in [&["robot", "enable", "ci"][..], &["robot", "rotate", "ci"]] {
        let changed = world.manage(words);
        let said = "warning: robot `ci` has expired; `portpass robot rotate ci --expires 90d`";
        assert!(changed.stderr.contains(said), "{changed}");
    }
    let renewed = world.manage(&["robot", "rotate", "ci", "--overlap", "0s", "--expires", "90d"]);
    assert!(!renewed.stderr.contains("warning"), "{renewed}");
    assert!(world.manage(&["robot", "list"]).stdout.contains("enabled"));
}

#[tokio::test]
async fn no_end_is_later_than_people_can_write() {
    let world = World::new();
    let robot = ["robot", "add", "ci", "--allow", "pull", "--repository", "a", "--expires"];
    let key = ["key", "add", "ann", "--allow", "pull", "--repository", "a", "--expires"];
    world.manage(&["robot", "add", "x", "--allow", "pull", "--repository", "a"]);
    for words in [
        &robot[..],
        &key,
        &["robot", "rotate", "x", "--overlap"],
        &["robot", "rotate", "x", "--expires"],
    ] {
        let flag = words.last().unwrap();
        for span in ["3650000d", "99999999d"] {
            let ran = world.run(&[words, &[span]].concat());
            assert_eq!(ran.status, Some(2), "{ran}");
            let said = format!("`{flag}` ends after the year 9999");
            assert!(ran.stderr.contains(&said), "{said}: {ran}");
        }
    }
    world.manage(&[&robot[..], &["365000d"]].concat());
}

#[tokio::test]
async fn a_key_of_a_disabled_person_comes_with_a_warning() {
    let world = World::new();
    world.manage(&["user", "disable", "ann"]);
    let key = world.manage(&["key", "add", "ann", "--allow", "pull", "--repository", "a"]);
    assert!(key.stderr.contains("warning: `ann` gets no token: the account is disabled"), "{key}");
    let ran = world.run(&["user", "disable", "robot-ci"]);
    assert!(ran.expect_failure().stderr.contains("hint: `portpass robot list`"), "{ran}");
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
