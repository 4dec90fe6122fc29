//! What others pushed, pulled by portpass.

use std::fs;

use portpass_testkit::{Client as _, Layout, Skopeo, StallingProxy, run, wait_until};

use crate::world::{Mover, Theirs, lines, logged_in, ours};

#[test]
fn what_skopeo_pushed_arrives_with_the_same_digests() {
    let registry = ours();
    let (skopeo, place) = logged_in::<Skopeo>(registry.address());
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large_multi_arch(scratch.path(), &["amd64", "arm64"], 3, 50_000);
    let image = place.image("ann/app:v1");
    skopeo.push(&layout, &image).expect_success();
    let mover = Mover::at(&[registry.address()]);
    let done = mover.done(&["pull", &image.to_string(), "oci:app"]);
    let folder = mover.home().join("app");
    assert_eq!(Layout::blobs(&folder), Layout::blobs(layout.folder()));
    assert_eq!(Layout::digest_of_tag(&folder), Layout::digest_of_tag(layout.folder()));
    assert_eq!(done["digest"], Layout::digest_of_tag(&folder).to_string());
    // Two configs, a layer for both, and two more for each.
    assert_eq!(done["blobs"]["transferred"], 7, "{done}");
    let again = mover.done(&["pull", &image.to_string(), "oci:app:v1"]);
    assert_eq!(again["blobs"]["transferred"], 0, "{again}");
    assert_eq!((&again["blobs"]["held"], &again["changed"]), (&7.into(), &false.into()));
}

#[test]
fn one_platform_is_an_image_that_others_can_use() {
    let registry = ours();
    let (skopeo, place) = logged_in::<Skopeo>(registry.address());
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64", "arm64"]);
    let image = place.image("ann/app:v1");
    skopeo.push(&layout, &image).expect_success();
    let mover = Mover::at(&[registry.address()]);
    let words = ["pull", &image.to_string(), "oci:app", "--platform", "linux/arm64"];
    mover.run(&words).expect_success();
    let here = format!("oci:{}:v1", mover.home().join("app").display());
    let inspected = skopeo.run(&["inspect", "--override-arch", "arm64", "--config", &here]);
    assert!(inspected.expect_success().stdout.contains("arm64"), "{inspected}");
    let ran = mover.run(&["pull", &image.to_string(), "oci:other", "--platform", "linux/s390x"]);
    assert_eq!(ran.status, Some(1));
    let said = "the index has no image for linux/s390x; it has linux/amd64, linux/arm64";
    assert!(ran.expect_failure().stderr.contains(said), "{ran}");
}

/// Killed in the middle of a layer; the next run asks for the rest of it alone.
#[test]
fn a_pull_that_was_killed_goes_on_where_it_was() {
    let theirs = Theirs::start();
    let at = theirs.registry.address();
    let (skopeo, place) = logged_in::<Skopeo>(at);
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(scratch.path(), 3, 1_000_000);
    skopeo.push(&layout, &place.image("ann/app:v1")).expect_success();
    let line = StallingProxy::before(at, 1_600_000);
    let mover = Mover::at(&[at, line.address()]);
    let image = format!("{}/ann/app:v1", line.address());
    let mut pull = mover.start(&["pull", &image, "oci:app", "--jobs", "1"]);
    line.wait();
    let incoming = mover.home().join("app/.portpass-incoming");
    let begun = || {
        let files = fs::read_dir(&incoming).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).any(|file| file.len() > 0)
    };
    assert!(wait_until(begun), "nothing is kept of the second layer");
    pull.kill().unwrap();
    pull.wait().unwrap();
    let done = mover.done(&["pull", &place.image("ann/app:v1").to_string(), "oci:app:v1"]);
    // The config and the first layer were whole.
    assert_eq!((&done["blobs"]["held"], &done["blobs"]["transferred"]), (&2.into(), &2.into()));
    assert!(done["bytes"].as_u64().unwrap() < 2_000_000, "{done}");
    let folder = mover.home().join("app");
    assert_eq!(Layout::blobs(&folder), Layout::blobs(layout.folder()));
    assert!(!incoming.exists(), "something is left over");
    let resumed = theirs.registry.log();
    assert_eq!(lines(&resumed, &["GET", "/blobs/", "\" 206 "]).count(), 1, "{resumed}");
    // Whoever reads every byte finds each blob to be what it is called.
    let here = format!("oci:{}:v1", folder.display());
    let there = format!("dir:{}", mover.home().join("checked").display());
    run(std::process::Command::new("skopeo").args(["copy", &here, &there]), "").expect_success();
}
