//! A blob whose bytes the disk has changed.

use std::{fs, path::PathBuf};

use portpass_testkit::{Client as _, Skopeo};
use serde_json::Value;

use crate::world::{World, layout};

const CONFIG: &str = "{folder}/portpass.yml";

/// The largest object: the layer.
fn layer(world: &World) -> PathBuf {
    let folders = fs::read_dir(world.0.folder().join("data/blobs")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

#[test]
fn a_damaged_blob_is_found_and_comes_back_by_a_push() {
    let world = World::with("{ auth: none }");
    let (_folder, layout) = layout();
    let image = world.place().image("team/app:v1");
    Skopeo::default().push(&layout, &image).expect_success();
    let whole: Value = serde_json::from_str(&world.says(&["fsck", "--json"])).unwrap();
    assert_eq!(
        (&whole["blobs"], &whole["manifests"], &whole["tags"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(whole["problems"], Value::Array(Vec::new()));

    let object = layer(&world);
    let mut bytes = fs::read(&object).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    // As an import by hard link has it: the same file is another registry's.
    let other = world.0.folder().join("other");
    fs::remove_file(&object).unwrap();
    fs::write(&other, &bytes).unwrap();
    fs::hard_link(&other, &object).unwrap();
    for words in [&["fsck", "--json"][..], &["fsck", "--json", "--repository", "team/**", "--fast"]]
    {
        let ran = world.0.command(&[words, &["--config", CONFIG]].concat(), "");
        let ran = ran.expect_failure();
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(told["problems"][0]["kind"], "blob-damaged", "{told}");
        assert_eq!(told["problems"][0]["repositories"][0], "team/app");
        assert_eq!(told["problems"][0]["repaired"], Value::Null);
    }
    world.says(&["readonly", "on"]);
    let refused = world.0.command(&["fsck", "--repair", "--config", CONFIG], "");
    assert!(refused.expect_failure().stderr.contains("the registry is read-only"));
    world.says(&["readonly", "off"]);
    let ran = world.0.command(&["fsck", "--repair", "--config", CONFIG], "");
    assert!(ran.expect_failure().stderr.contains("push the image again"), "{}", ran.stderr);
    assert_eq!(fs::read(&other).unwrap(), bytes);

    // A server that was read-only follows within two seconds.
    assert!(portpass_testkit::wait_until(|| Skopeo::default().push(&layout, &image).success));
    Skopeo::default().pull(&image).ran.expect_success();
    let said = world.says(&["fsck"]);
    assert!(said.starts_with("checked 2 blobs (") && said.ends_with("; 0 problems\n"), "{said}");
    let unknown = world.0.command(&["fsck", "--repository", "none/**", "--config", CONFIG], "");
    assert!(unknown.expect_failure().stderr.contains("none/**"));
}
