//! What is broken in a storage is named, and skipped; all else comes in.

use std::fs;

use portpass_protocol::{Digest, DigestAlgorithm::Sha256};
use portpass_testkit::Distribution;
use serde_json::{Value, json};

use crate::{
    old::{Images, Wire, data, push, repository},
    ours::{Installation, counts, kinds, place},
};

fn digest_of(manifest: &Value) -> Digest {
    Digest::sha256(manifest.to_string().as_bytes())
}

fn layer_of(manifest: &Value) -> Digest {
    manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_listed_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path();
    let old = Distribution::open_on(storage);
    let wire = Wire::to(&old.address().to_string());
    let image = async |tag: &str| {
        wire.put_image("a", tag, format!("layer of {tag}").as_bytes(), Sha256).await
    };
    let [whole, lost, cut, changed, gone] = [
        image("whole").await,
        image("lost").await,
        image("cut").await,
        image("changed").await,
        image("gone").await,
    ];
    let [rotten, schema1] = [image("rotten").await, image("schema1").await];
    drop(old);
    fs::remove_file(data(storage, &layer_of(&lost))).unwrap();
    fs::write(data(storage, &layer_of(&cut)), "lay").unwrap();
    fs::write(data(storage, &layer_of(&changed)), "layer of chbnged").unwrap();
    fs::remove_file(data(storage, &digest_of(&gone))).unwrap();
    fs::write(data(storage, &digest_of(&rotten)), "{}").unwrap();
    let old_kind = r#"{"schemaVersion":1,"name":"a","tag":"schema1","fsLayers":[],"history":[],"signatures":[]}"#;
    let old_digest = Digest::sha256(old_kind.as_bytes());
    let manifests = repository(storage, "a").join("_manifests");
    fs::create_dir_all(data(storage, &old_digest).parent().unwrap()).unwrap();
    fs::write(data(storage, &old_digest), old_kind).unwrap();
    let revision = manifests.join("revisions/sha256").join(old_digest.hex());
    fs::create_dir_all(&revision).unwrap();
    fs::write(revision.join("link"), old_digest.to_string()).unwrap();
    fs::write(manifests.join("tags/schema1/current/link"), old_digest.to_string()).unwrap();
    let nothing = Digest::sha256(b"nothing").to_string();
    fs::create_dir_all(manifests.join("tags/nothing/current")).unwrap();
    fs::write(manifests.join("tags/nothing/current/link"), nothing).unwrap();
    fs::create_dir_all(manifests.join("tags/half/index")).unwrap();

    let ours = Installation::new();
    let quick = ours.import(storage, &["--dry-run"]);
    let done = ours.import(storage, &["--verify"]);
    let expected = [
        "blob-digest",
        "blob-length",
        "blob-missing",
        "manifest-digest",
        "manifest-missing",
        "schema1",
        "tag-without-link",
        "tag-without-manifest",
    ];
    // The length is looked at in any case, the bytes only where it is asked for.
    let without: Vec<&str> = expected.into_iter().filter(|kind| *kind != "blob-digest").collect();
    assert_eq!(kinds(&quick), without, "{quick:#}");
    assert!(kinds(&done).iter().filter(|kind| **kind == "blob-digest").count() >= 1, "{done:#}");
    for kind in expected.into_iter().filter(|kind| *kind != "blob-length") {
        assert!(kinds(&done).contains(&kind), "{kind}: {done:#}");
    }
    for problem in done["problems"].as_array().unwrap() {
        for key in ["where", "what", "advice"] {
            assert!(!problem[key].as_str().unwrap().is_empty(), "{problem:#}");
        }
    }
    let server = ours.serve();
    let new = Wire::to(&place(&server));
    assert_eq!(new.tags("a").await, ["whole"]);
    assert_eq!(new.manifest("a", "whole").await.unwrap().0, digest_of(&whole).to_string());
    assert!(new.manifest("a", &digest_of(&schema1).to_string()).await.is_ok(), "by its digest");
}

/// `garbage-collect --delete-untagged` takes the images of an index.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_its_children_comes_in_and_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path();
    let images = Images::new();
    let old = Distribution::open_on(storage);
    push(&old, &images.multi, "a:1");
    drop(old);
    Distribution::collect_garbage(storage, true);
    let ours = Installation::new();
    let done = ours.import(storage, &[]);
    assert_eq!(kinds(&done).iter().filter(|kind| **kind == "child-missing").count(), 3, "{done:#}");
    let [repositories, tags, manifests, _] = counts(&done);
    assert_eq!([repositories, tags, manifests], [1, 1, 1]);
}

#[test]
fn what_is_no_storage_is_refused_with_what_to_do() {
    let ours = Installation::new();
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let refused = ours.run(&["import", "storage", path]);
    assert!(
        refused.expect_failure().stderr.contains("docker/registry/v2/repositories"),
        "{refused}"
    );
    let twice = ours.run(&["import", "storage", path, "--link", "--copy"]);
    assert_eq!(twice.status, Some(2), "{twice}");
    fs::create_dir_all(empty.path().join("docker/registry/v2/repositories")).unwrap();
    let nothing = ours.import(empty.path(), &[]);
    assert_eq!(counts(&nothing), [0; 4]);
    assert_eq!(nothing["problems"], json!([]));
    let pattern = ours.run(&["import", "storage", path, "--repository", "a b"]);
    assert!(pattern.expect_failure().stderr.contains("\"a b\""), "{pattern}");
}
