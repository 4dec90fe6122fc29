//! What others made, pushed by portpass and pulled by others again.

use std::process::Command;

use portpass_testkit::{Client as _, Dockerd, Layout, Skopeo, run};

use crate::world::{ACCOUNT, Mover, PASSWORD, Theirs, logged_in, ours};

#[test]
fn what_umoci_made_arrives_with_the_same_digest() {
    let registry = ours();
    let mover = Mover::at(&[registry.address()]);
    let umoci = |words: &[&str]| {
        run(Command::new("umoci").args(words).current_dir(mover.home()), "").expect_success();
    };
    umoci(&["init", "--layout", "made"]);
    umoci(&["new", "--image", "made:v1"]);
    umoci(&["config", "--image", "made:v1", "--config.cmd", "/bin/true"]);
    let image = format!("{}/ann/made:v1", registry.address());
    let done = mover.done(&["push", "oci:made:v1", &image]);
    let (skopeo, place) = logged_in::<Skopeo>(registry.address());
    let pulled = skopeo.pull(&place.image("ann/made:v1"));
    pulled.ran.expect_success();
    assert_eq!(done["digest"], pulled.digest);
}

#[test]
fn what_was_pushed_to_either_registry_runs_in_docker() {
    let (ours, theirs) = (ours(), Theirs::start());
    let registries = [ours.address(), theirs.registry.address()];
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(scratch.path(), "pushed by portpass");
    let docker = Dockerd::start();
    let mover = Mover::at(&registries);
    for registry in registries {
        let image = format!("{registry}/ann/app:v1");
        let first = mover.done(&["push", &layout.reference(), &image]);
        assert_eq!(first["blobs"]["transferred"], 2, "{first}");
        docker.login(&registry.to_string(), ACCOUNT, PASSWORD).expect_success();
        docker.run(&["pull", &image]).expect_success();
        let said = docker.run(&["run", "--rm", "--network", "none", &image]);
        assert_eq!(said.expect_success().stdout.trim(), "pushed by portpass");
        let again = mover.done(&["push", &layout.reference(), &image]);
        assert_eq!((&again["blobs"]["held"], &again["changed"]), (&2.into(), &false.into()));
    }
}

/// One byte of a layer is another than it was: nothing of the image gets a name.
#[test]
fn a_damaged_layout_is_not_pushed() {
    let registry = ours();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(scratch.path(), 1, 100_000);
    let blobs = layout.folder().join("blobs/sha256");
    let largest = std::fs::read_dir(&blobs).unwrap().flatten();
    let largest = largest.max_by_key(|file| file.metadata().unwrap().len()).unwrap().path();
    let mut bytes = std::fs::read(&largest).unwrap();
    bytes[50_000] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    let mover = Mover::at(&[registry.address()]);
    let image = format!("{}/ann/app:v1", registry.address());
    let ran = mover.run(&["push", &layout.reference(), &image]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("has the wrong content: its digest is"), "{ran}");
    mover.run(&["pull", &image, "oci:app"]).expect_failure();
}
