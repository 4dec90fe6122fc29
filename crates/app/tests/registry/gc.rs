//! Disk space that comes back by itself, and by a command.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use portpass_testkit::{Client as _, Layout, Skopeo, wait_until};
use serde_json::Value;

use crate::world::World;

/// As `du` counts: what files and folders take of the disk.
fn used(path: &Path) -> u64 {
    let Ok(about) = fs::symlink_metadata(path) else { return 0 };
    let entries = if about.is_dir() { fs::read_dir(path).ok() } else { None };
    let within = entries.into_iter().flatten().flatten().map(|entry| used(&entry.path()));
    about.blocks() * 512 + within.sum::<u64>()
}

fn blobs(world: &World) -> std::path::PathBuf {
    world.0.folder().join("data/blobs")
}

/// An image of one layer of random bytes.
fn push(world: &World, tag: &str, seed: u64, size: usize) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of_files(folder.path(), [seed], size);
    let image = world.place().image(&format!("team/app:{tag}"));
    Skopeo::default().push(&layout, &image).expect_success();
}

fn delete(world: &World, reference: &str) {
    let image = format!("{}/team/app{reference}", world.0.address());
    world.0.command(&["delete", &image], "").expect_success();
}

fn registry(gc: &str) -> World {
    let storage = format!("{{ delete: {{ enabled: true }}, gc: {gc} }}");
    // Nobody is there.
    let told =
        "{ endpoints: [ { name: ci, url: 'http://127.0.0.1:9/', ignore: { actions: [pull] } } ] }";
    World::with(&format!("{{ auth: none, storage: {storage}, notifications: {told} }}"))
}

fn json(world: &World, words: &[&str]) -> Value {
    serde_json::from_str(&world.says(words)).unwrap()
}

/// Fifty images go, and the disk has what the others need.
#[test]
fn the_disk_is_freed_by_schedule_when_tags_are_deleted() {
    const LIVE: u64 = 6;
    // A push is done within the grace, on a busy machine too.
    let world = registry("{ interval: 1s, grace: 8s, untagged: { older_than: 1s } }");
    assert!(world.0.log().contains("registry.storage.gc.grace: 8s is for tests"));
    for number in 0..50 {
        push(&world, &format!("old-{number}"), number, 1 << 20);
    }
    for number in 0..LIVE {
        push(&world, &format!("new-{number}"), 100 + number, 8 << 20);
    }
    let only_live = registry("{ enabled: false }");
    for number in 0..LIVE {
        push(&only_live, &format!("new-{number}"), 100 + number, 8 << 20);
    }
    let needed = used(&blobs(&only_live));
    assert!(used(&blobs(&world)) > needed + (50 << 20));

    for number in 0..50 {
        delete(&world, &format!(":old-{number}"));
    }
    let freed = || used(&blobs(&world)) * 100 <= needed * 102;
    assert!(wait_until(freed), "{} of {needed} are in use", used(&blobs(&world)));
    for number in 0..LIVE {
        let image = world.place().image(&format!("team/app:new-{number}"));
        Skopeo::default().pull(&image).ran.expect_success();
    }
    let tags: Value = json(&world, &["gc", "--dry-run", "--json"]);
    assert_eq!((&tags["blobs"], &tags["manifests"]), (&0.into(), &0.into()), "{tags}");
    let gone = world.lines(&["audit", "--action", "manifest-deleted"]);
    let by_gc = gone.iter().filter(|entry| entry["account"] == "gc").count();
    assert_eq!(by_gc, 50, "{:?}", gone.first());
    let told = world.lines(&["events", "-n", "1000"]);
    let by_gc = told.iter().filter(|event| event["event"]["actor"]["name"] == "gc");
    assert!(by_gc.clone().all(|event| event["action"] == "delete"), "{told:?}");
    assert_eq!(by_gc.count(), 50, "{:?}", told.first());
}

/// The server does not collect here, and sees what the command does.
#[test]
fn a_command_says_what_goes_and_removes_it_beside_the_server() {
    let world = registry("{ enabled: false, grace: 1s }");
    push(&world, "v1", 1, 1 << 20);
    push(&world, "v2", 2, 1 << 20);
    let nothing = json(&world, &["gc", "--dry-run", "--json"]);
    assert_eq!((&nothing["blobs"], &nothing["items"]), (&0.into(), &Value::Array(Vec::new())));
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of_files(folder.path(), [1], 1 << 20);
    let digest = Layout::digest_of_tag(layout.folder()).to_string();
    delete(&world, &format!("@{digest}"));

    let foretold = json(&world, &["gc", "--dry-run", "--json"]);
    assert_eq!((&foretold["blobs"], &foretold["manifests"]), (&2.into(), &0.into()), "{foretold}");
    let items = foretold["items"].as_array().unwrap();
    for item in items {
        assert_eq!(item["repository"], "team/app");
        assert_eq!(item["why"], "no manifest refers to it");
    }
    let said = world.says(&["gc", "--dry-run"]);
    assert!(said.lines().count() == 3 && said.contains("team/app"), "{said}");
    // Nothing was changed: nothing is marked yet.
    let marked = json(&world, &["gc", "--json"]);
    assert_eq!((&marked["marked"], &marked["blobs"]), (&2.into(), &0.into()), "{marked}");

    world.says(&["readonly", "on"]);
    let config = "{folder}/portpass.yml";
    let refused = world.0.command(&["gc", "--config", config], "");
    assert!(refused.expect_failure().stderr.contains("the registry is read-only"));
    world.says(&["readonly", "off"]);

    let (mut blobs, mut bytes) = (0, 0);
    assert!(wait_until(|| {
        let collected = json(&world, &["gc", "--json"]);
        blobs += collected["blobs"].as_u64().unwrap();
        bytes += collected["bytes"].as_u64().unwrap();
        blobs == 2
    }));
    assert_eq!(foretold["bytes"], bytes);
    // The same again is another push: the server has seen that the blobs are gone.
    assert!(wait_until(|| Skopeo::default()
        .push(&layout, &world.place().image("team/app:v1"))
        .success));
    for tag in ["v1", "v2"] {
        Skopeo::default()
            .pull(&world.place().image(&format!("team/app:{tag}")))
            .ran
            .expect_success();
    }
}
