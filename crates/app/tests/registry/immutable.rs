//! What clients say at a tag that must not move.

use portpass_testkit::{Client, Dockerd, Layout, Podman};

use crate::world::{World, layout};

/// Releases, with an exception for a robot.
const RULES: &str = "{ immutable: [ { name: releases, tags: 'v*', except: 'robot:mover' } ] }";

#[test]
fn each_client_names_the_rule_of_a_tag_that_must_not_move() {
    let world = World::with(RULES);
    let (_folder, first) = layout();
    let folder = tempfile::tempdir().unwrap();
    let second = Layout::runnable(folder.path(), "another");
    let (skopeo, image) = (world.skopeo(), world.image("app", "v1"));
    skopeo.push(&first, &image).expect_success();
    skopeo.push(&first, &image).expect_success();
    let told = "is immutable by rule `releases`";

    let clients: [Box<dyn Client>; 3] = [
        Box::new(world.skopeo()),
        Box::new(world.logged_in(Podman::default())),
        Box::new(world.logged_in(Dockerd::start())),
    ];
    for client in clients {
        let refused = client.push(&second, &image);
        assert!(refused.expect_failure().stderr.contains(told), "{}", refused.stderr);
        client.push(&second, &world.image("app", "latest")).expect_success();
    }
    let refused = skopeo.delete(&image).unwrap();
    assert!(refused.expect_failure().stderr.contains(told), "{}", refused.stderr);
    world.0.wait_for_log(&["refusal=\"tag-immutable\"", "status=409"]);
    let digest = Layout::digest_of_tag(first.folder()).to_string();
    assert_eq!(skopeo.pull(&image).digest, digest);
}
