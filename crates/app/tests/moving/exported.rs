//! The way back, and out.

use std::path::Path;

use portpass_protocol::DigestAlgorithm;
use portpass_testkit::Distribution;

use crate::{
    old::{Images, Wire, copy, files, pulled, push, push_schema2},
    ours::{Installation, counts, json, place},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_served_by_docker_registry_and_read_by_skopeo() {
    let images = Images::new();
    let storage = tempfile::tempdir().unwrap();
    let old = Distribution::open_on(storage.path());
    push(&old, &images.multi, "team/app:1");
    push_schema2(&old, &images.single, "team/app:2");
    push(&old, &images.large, "large:latest");
    let wire = Wire::to(&old.address().to_string());
    wire.put_image("wide", "v1", b"layer of many digits", DigestAlgorithm::Sha512).await;
    let ours = Installation::new();
    let imported = ours.import(storage.path(), &[]);

    let outer = tempfile::tempdir().unwrap();
    let (tree, layout) = (outer.path().join("tree"), outer.path().join("layout"));
    for _ in 0..2 {
        let export = ["export", tree.to_str().unwrap(), "--format", "distribution", "--json"];
        let done = json(&ours.run(&export));
        assert_eq!(counts(&done), counts(&imported), "{done:#}");
    }
    let back = Distribution::open_on(&tree);
    let (former, latter) = (old.address().to_string(), back.address().to_string());
    for image in ["team/app:1", "team/app:2", "large:latest"] {
        assert_eq!(pulled(&latter, image), pulled(&former, image), "{image}");
    }
    let (digest, manifest) = wire.manifest("wide", "v1").await.unwrap();
    let there = Wire::to(&latter);
    assert_eq!(there.manifest("wide", "v1").await.unwrap(), (digest, manifest.clone()));
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(there.blob("wide", layer).await.unwrap(), b"layer of many digits");

    // An index that an export has written is brought up to date, repository by repository.
    for pattern in ["large", "team/*", "**"] {
        let export = ["export", layout.to_str().unwrap(), "--repository", pattern];
        ours.run(&export).expect_success();
    }
    for image in ["team/app:1", "large:latest"] {
        assert_eq!(read(&layout, image), pulled(&former, image), "{image}");
    }
    // Of docker's own kind, which skopeo does not look for there: it is there all the same.
    let (docker, _) = wire.manifest("team/app", "2").await.unwrap();
    let index = std::fs::read_to_string(layout.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let mut entries = index["manifests"].as_array().unwrap().iter();
    let name = "org.opencontainers.image.ref.name";
    let entry = entries.find(|entry| entry["annotations"][name] == "team/app:2").unwrap();
    assert_eq!(entry["digest"], docker.as_str());
    let server = ours.serve();
    let pushed = format!("docker://{}/again/app:1", place(&server));
    copy(&format!("oci:{}:team/app:1", layout.display()), &pushed, &[]).expect_success();
}

/// What skopeo reads in a layout.
fn read(
    layout: &Path,
    image: &str,
) -> std::collections::BTreeMap<String, portpass_protocol::Digest> {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("dir:{}", folder.path().display());
    copy(&format!("oci:{}:{image}", layout.display()), &to, &[]).expect_success();
    files(folder.path())
}

#[test]
fn an_export_touches_no_folder_of_others() {
    let ours = Installation::new();
    let storage = tempfile::tempdir().unwrap();
    drop(Distribution::open_on(storage.path()));
    std::fs::create_dir_all(storage.path().join("docker/registry/v2/repositories")).unwrap();
    ours.import(storage.path(), &[]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "").unwrap();
    for format in ["oci", "distribution"] {
        let export = ["export", folder.path().to_str().unwrap(), "--format", format];
        let refused = ours.run(&export);
        assert!(refused.expect_failure().stderr.contains("`mine`"), "{refused}");
    }
    let blobs = ours.blobs().join("x");
    let refused = ours.run(&["export", blobs.to_str().unwrap()]);
    assert!(refused.expect_failure().stderr.contains("within the data"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
