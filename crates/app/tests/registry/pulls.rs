//! When what was pulled last, and how often.

use portpass_testkit::{Client, Dockerd, Layout, wait_until};
use serde_json::Value;

use crate::world::{World, layout};

/// What is written down of a tag, when it has been pulled so often.
fn record(world: &World, pulls: u64) -> Value {
    let mut found = Value::Null;
    wait_until(|| {
        found = world.lines(&["pulls", "ann/app"]).remove(0);
        found["pulls"] == pulls
    });
    assert_eq!(found["pulls"], pulls, "{found}");
    found
}

#[test]
fn each_pull_of_skopeo_and_docker_counts_once() {
    let mut world = World::with("{}");
    let (_folder, layout) = layout();
    let (skopeo, image) = (world.skopeo(), world.image("app", "v1"));
    skopeo.push(&layout, &image).expect_success();
    let digest = Layout::digest_of_tag(layout.folder()).to_string();
    let [record_before] = world.lines(&["pulls", "ann/app"]).try_into().unwrap();
    assert_eq!(record_before["tag"], "v1");
    assert_eq!(record_before["digest"], digest.as_str());
    assert_eq!(record_before["last_pulled"], Value::Null);
    let before = record_before["pulls"].as_u64().unwrap();

    assert_eq!(skopeo.pull(&image).digest, digest);
    let at = record(&world, before + 1)["last_pulled"].clone();
    assert!(at.as_str().is_some_and(|at| at.ends_with('Z')), "{at}");
    let docker = world.logged_in(Dockerd::start());
    docker.pull(&image).ran.expect_success();
    record(&world, before + 2);
    let [manifest] = world.lines(&["pulls", "ann/app", "--digests"]).try_into().unwrap();
    assert_eq!((&manifest["digest"], &manifest["pulls"]), (&digest.into(), &2.into()));

    // The last second's are written when the server stops.
    skopeo.pull(&image).ran.expect_success();
    world.0.restart();
    record(&world, before + 3);
    let said = world.says(&["pulls", "ann/app"]);
    assert!(said.lines().next().is_some_and(|head| head.ends_with("LAST PULLED           TAG")));
    assert!(said.lines().any(|line| line.ends_with("Z  v1")), "{said}");
}

#[test]
fn a_repository_that_is_not_there_has_no_pulls() {
    let world = World::with("{}");
    let words = ["pulls", "ann/nothing", "--config", "{folder}/portpass.yml"];
    let ran = world.0.command(&words, "");
    assert!(ran.expect_failure().stderr.contains("there is no repository `ann/nothing`"));
}
