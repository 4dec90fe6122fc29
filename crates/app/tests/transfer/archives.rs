//! Archives of `docker save`: what docker wrote is pushed, and docker loads what was pulled.

use portpass_protocol::Digest;
use portpass_testkit::{Client as _, Dockerd, Layout, Skopeo, run};

use crate::world::{ACCOUNT, Mover, PASSWORD, logged_in, ours};

#[test]
fn docker_loads_what_was_pulled() {
    let registry = ours();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(scratch.path(), "pulled by portpass");
    let (skopeo, place) = logged_in::<Skopeo>(registry.address());
    let image = place.image("ann/app:v1").to_string();
    skopeo.push(&layout, &place.image("ann/app:v1")).expect_success();
    let mover = Mover::at(&[registry.address()]);
    let docker = Dockerd::start();
    for (target, name) in [
        ("docker-archive:image.tar", image.as_str()),
        ("docker-archive:named.tar:team/app:1", "team/app:1"),
    ] {
        let done = mover.done(&["pull", &image, target]);
        assert_eq!(done["digest"], Layout::digest_of_tag(layout.folder()).to_string());
        let file = mover.home().join(target.split(':').nth(1).unwrap());
        docker.run(&["load", "--input", &file.to_string_lossy()]).expect_success();
        let said = docker.run(&["run", "--rm", "--network", "none", name]);
        assert_eq!(said.expect_success().stdout.trim(), "pulled by portpass");
    }
    // The manifest is in there too, so that nothing is lost on the way back.
    let back = format!("{}/ann/back:v1", registry.address());
    let pushed = mover.done(&["push", "docker-archive:named.tar", &back]);
    assert_eq!(pushed["digest"], Layout::digest_of_tag(layout.folder()).to_string());
}

#[test]
fn what_docker_saved_is_pushed_and_runs() {
    let registry = ours();
    let scratch = tempfile::tempdir().unwrap();
    let docker = Dockerd::start();
    for name in ["team/app:1", "team/other:1"] {
        let folder = scratch.path().join(name.replace(['/', ':'], "-"));
        docker.load(&Layout::runnable(&folder, name), "amd64", name);
    }
    let mover = Mover::at(&[registry.address()]);
    let archive = mover.home().join("saved.tar").to_string_lossy().into_owned();
    docker.run(&["save", "--output", &archive, "team/app:1", "team/other:1"]).expect_success();
    let image = format!("{}/ann/app:v1", registry.address());
    let unnamed = mover.run(&["push", "docker-archive:saved.tar", &image]);
    assert!(unnamed.expect_failure().stderr.contains("has 2 images"), "{unnamed}");
    mover.run(&["push", "docker-archive:saved.tar:team/app:1", &image]).expect_success();
    docker.login(&registry.address().to_string(), ACCOUNT, PASSWORD).expect_success();
    docker.run(&["pull", &image]).expect_success();
    let said = docker.run(&["run", "--rm", "--network", "none", &image]);
    assert_eq!(said.expect_success().stdout.trim(), "team/app:1");
}

/// skopeo writes archives as docker did before version 25: links in place of layers.
#[test]
fn an_archive_of_the_older_kind_is_pushed() {
    let registry = ours();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(&scratch.path().join("layout"), 3, 10_000);
    let archive = scratch.path().join("old.tar").display().to_string();
    let to = format!("docker-archive:{archive}:team/app:1");
    let mut command = std::process::Command::new("skopeo");
    run(command.args(["copy", &layout.reference(), &to]), "").expect_success();
    let mover = Mover::at(&[registry.address()]);
    let image = format!("{}/ann/old:v1", registry.address());
    let done = mover.done(&["push", &to, &image]);
    let (skopeo, place) = logged_in::<Skopeo>(registry.address());
    // As it is in the registry: a pull into a folder of OCI's would write another manifest.
    let remote = format!("docker://{}", place.image("ann/old:v1"));
    let raw = skopeo.run(&["inspect", "--raw", "--tls-verify=false", &remote]);
    let digest = Digest::sha256(raw.expect_success().stdout.as_bytes());
    assert_eq!(done["digest"], digest.to_string());
    skopeo.pull(&place.image("ann/old:v1")).ran.expect_success();
}
