//! A registry that is made read-only while it runs.

use std::time::Instant;

use portpass_testkit::{Client as _, Distribution, RegistryAddress, Skopeo, wait_until};
use serde_json::Value;

use crate::world::{World, layout};

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it took is what is asked")]
fn skopeo_pulls_and_cannot_push_within_two_seconds_of_the_switch() {
    let mut world = World::with("{}");
    let (_folder, layout) = layout();
    let (skopeo, image) = (world.skopeo(), world.image("app", "v1"));
    skopeo.push(&layout, &image).expect_success();
    assert_eq!(world.says(&["readonly", "status"]), "writable\n");

    world.says(&["readonly", "on"]);
    let switched = Instant::now();
    let other = world.image("other", "v1");
    assert!(wait_until(|| !skopeo.push(&layout, &other).success));
    assert!(switched.elapsed().as_secs_f32() < 4.0, "two seconds, and a push");
    let refused = skopeo.push(&layout, &other);
    assert!(refused.expect_failure().stderr.contains("read-only"), "{}", refused.stderr);
    skopeo.pull(&image).ran.expect_success();
    world.0.wait_for_log(&["refusal=\"read-only\"", "status=405"]);
    assert!(world.says(&["readonly", "status"]).starts_with("read-only since "));

    // What was switched stays so.
    world.0.restart();
    let (skopeo, other) = (world.skopeo(), world.image("other", "v1"));
    let refused = skopeo.push(&layout, &other);
    assert!(refused.expect_failure().stderr.contains("read-only"), "{}", refused.stderr);
    let status: Value =
        serde_json::from_str(&world.says(&["readonly", "status", "--json"])).unwrap();
    assert_eq!((&status["readonly"], &status["configured"]), (&true.into(), &false.into()));
    world.says(&["readonly", "off"]);
    assert!(wait_until(|| skopeo.push(&layout, &other).success));
    let actions: Vec<Value> = world.lines(&["audit", "--action", "read-only-on,read-only-off"]);
    let actions: Vec<&str> = actions.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["read-only-on", "read-only-off"]);
}

/// The block is distribution's, and means the same there.
#[test]
fn the_block_of_distribution_is_heeded_as_there() {
    let block = "maintenance: { readonly: { enabled: true } }";
    let theirs = Distribution::open_with(&format!("  {block}"));
    let world = World::with(&format!("{{ auth: none, storage: {{ {block} }} }}"));
    let (_folder, layout) = layout();
    let theirs = RegistryAddress::plain(theirs.address());
    for (place, told) in [(theirs, "405"), (world.place(), "the registry is read-only")] {
        let ran = Skopeo::default().push(&layout, &place.image("team/app:v1"));
        let said = &ran.expect_failure().stderr;
        assert!(said.contains(told), "{said}");
    }
    let off = world.0.command(&["readonly", "off", "--config", "{folder}/portpass.yml"], "");
    let off = off.expect_failure();
    assert!(off.stderr.contains("`registry.storage.maintenance.readonly`"), "{}", off.stderr);
    assert!(world.says(&["readonly", "status"]).starts_with("read-only, by registry.storage"));
}
