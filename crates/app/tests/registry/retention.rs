//! Tags that go by rules: by a command, and by itself.

use portpass_testkit::{Client as _, Layout, Skopeo, wait_until};
use serde_json::{Value, json};

use crate::world::World;

const RULES: &str = "[ { name: releases, tags: 'v*', keep_last: 9 }, \
     { name: builds, repositories: 'team/**', tags: 'build-*', keep_last: 1 } ]";

fn registry(interval: &str, rules: &str) -> World {
    World::with(&format!("{{ auth: none, retention: {{ interval: {interval}, rules: {rules} }} }}"))
}

/// An image of random bytes; gives its digest.
fn push(world: &World, name: &str, seed: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of_files(folder.path(), [seed], 1 << 10);
    Skopeo::default().push(&layout, &world.place().image(name)).expect_success();
    Layout::digest_of_tag(layout.folder()).to_string()
}

/// Says something about a manifest, as a signature does.
fn refer(world: &World, name: &str, subject: &str) -> String {
    let kind = "application/vnd.oci.image.index.v1+json";
    let of = "application/vnd.oci.image.manifest.v1+json";
    let document = json!({
        "schemaVersion": 2,
        "mediaType": kind,
        "artifactType": "application/vnd.example.signature",
        "manifests": [],
        "subject": { "mediaType": of, "digest": subject, "size": 2 },
    });
    let image = format!("{}/{name}", world.0.address());
    let sent = world.0.command(&["manifest", "put", &image, "--json"], &document.to_string());
    let sent: Value = serde_json::from_str(&sent.expect_success().stdout).unwrap();
    sent["digest"].as_str().unwrap().to_owned()
}

fn json_of(world: &World, words: &[&str]) -> Value {
    serde_json::from_str(&world.says(words)).unwrap()
}

fn tags(world: &World, name: &str) -> Vec<String> {
    let image = format!("docker://{}/{name}", world.0.address());
    let listed = Skopeo::default().run(&["list-tags", "--tls-verify=false", &image]);
    let listed: Value = serde_json::from_str(&listed.expect_success().stdout).unwrap();
    let tags = listed["Tags"].as_array().unwrap().iter();
    tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

fn is_there(world: &World, name: &str, digest: &str) -> bool {
    let image = format!("{}/{name}@{digest}", world.0.address());
    world.0.command(&["manifest", "get", &image], "").success
}

#[test]
fn a_command_says_which_rule_keeps_or_drops_each_tag_and_drops_them() {
    let world = registry("1d", RULES);
    let old = push(&world, "team/app:build-1", 1);
    let new = push(&world, "team/app:build-2", 2);
    let release = push(&world, "team/app:v1", 3);
    push(&world, "team/app:latest", 4);
    push(&world, "other/app:build-1", 5);
    let gone = refer(&world, "team/app", &old);
    let kept = refer(&world, "team/app", &new);

    let said = world.says(&["retention", "--dry-run"]);
    let lines: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "REPOSITORY TAG FATE RULE WHY",
        "team/app build-1 drop builds nothing keeps it",
        "team/app build-2 keep builds number 1 of the last 1",
        "team/app latest keep - no rule is about it",
        "team/app v1 keep releases number 1 of the last 9",
    ];
    // The rule about releases is about all repositories.
    assert!(lines.contains(&"other/app build-1 keep - no rule is about it".to_owned()), "{said}");
    for expected in expected {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {said}");
    }
    let foretold = json_of(&world, &["retention", "--dry-run", "--json"]);
    assert_eq!((&foretold["tags"], &foretold["manifests"]), (&1.into(), &2.into()), "{foretold}");
    assert_eq!(tags(&world, "team/app"), ["build-1", "build-2", "latest", "v1"]);

    let done = json_of(&world, &["retention", "--json"]);
    assert_eq!(done, json!({ "tags": 1, "manifests": 2 }));
    // The server sees what another process has removed.
    assert!(wait_until(|| tags(&world, "team/app") == ["build-2", "latest", "v1"]));
    assert!(wait_until(|| !is_there(&world, "team/app", &old)));
    assert!(!is_there(&world, "team/app", &gone));
    for digest in [&new, &release, &kept] {
        assert!(is_there(&world, "team/app", digest), "{digest}");
    }
    assert_eq!(tags(&world, "other/app"), ["build-1"]);
    let image = world.place().image("team/app:build-2");
    assert_eq!(Skopeo::default().pull(&image).digest, new);
    for (action, count) in [("tag-deleted", 1), ("manifest-deleted", 2)] {
        let entries = world.lines(&["audit", "--action", action]);
        let by_retention = entries.iter().filter(|entry| entry["account"] == "retention");
        assert_eq!(by_retention.count(), count, "{entries:?}");
    }
}

#[test]
fn what_would_drop_everything_has_to_be_confirmed() {
    let world = registry("1d", "[ { name: slip, tags: 'build-*', keep: 'biuld-*' } ]");
    let old = push(&world, "team/app:build-1", 1);
    push(&world, "team/app:build-2", 2);
    let refused = world.0.command(&["retention", "--config", "{folder}/portpass.yml"], "");
    let told = &refused.expect_failure().stderr;
    assert!(told.contains("rule `slip` would drop all tags that it decides about (2)"), "{told}");
    assert!(told.contains("team/app would lose every tag"), "{told}");
    assert!(told.contains("--yes"), "{told}");
    assert_eq!(tags(&world, "team/app"), ["build-1", "build-2"]);
    let foretold = json_of(&world, &["retention", "--dry-run", "--json"]);
    assert_eq!(foretold["unconfirmed"].as_array().unwrap().len(), 2, "{foretold}");

    assert_eq!(json_of(&world, &["retention", "--yes", "--json"])["tags"], 2);
    assert!(wait_until(|| !is_there(&world, "team/app", &old)));
}

#[test]
fn the_server_applies_the_rules_by_itself() {
    let world = registry("1s", RULES);
    push(&world, "team/app:build-1", 1);
    push(&world, "team/app:build-2", 2);
    assert!(wait_until(|| tags(&world, "team/app") == ["build-2"]));
    world.0.wait_for_log(&["retention removed tags and manifests", "tags=1"]);
}

#[test]
fn without_rules_there_is_nothing_to_apply() {
    let world = World::with("{ auth: none }");
    let refused = world.0.command(&["retention", "--config", "{folder}/portpass.yml"], "");
    assert!(
        refused.expect_failure().stderr.contains("there is no rule in `registry.retention.rules`")
    );
}
