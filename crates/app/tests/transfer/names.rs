//! `digest`, `manifest`, `tag` and `referrers`: what a name stands for, and what is about it, at our
//! registry and at one that keeps no list of referrers.

use std::fs;

use portpass_protocol::Digest;
use portpass_testkit::Layout;
use serde_json::{Value, json};

use crate::world::{Mover, Theirs, ours};

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const SIGNATURE: &str = "application/vnd.example.signature.v1";

#[test]
fn a_name_is_looked_up_and_given_without_a_pull() {
    let (ours, theirs) = (ours(), Theirs::start());
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64", "arm64"]);
    let digest = Layout::digest_of_tag(layout.folder()).to_string();
    for registry in [ours.address(), theirs.registry.address()] {
        let mover = Mover::at(&[registry]);
        let image = format!("{registry}/ann/app");
        let old = format!("{image}:old");
        mover.run(&["push", &layout.reference(), &old]).expect_success();
        let said = mover.run(&["digest", &old]);
        assert_eq!(said.expect_success().stdout, format!("{digest}\n"));
        let of_layout = mover.run(&["digest", &layout.reference()]);
        assert_eq!(of_layout.expect_success().stdout, said.stdout);

        let tagged = mover.done(&["tag", &old, "new", "newer"]);
        assert_eq!(tagged["digest"], digest.as_str());
        assert_eq!(tagged["tags"][0], json!({ "tag": "new", "changed": true, "before": null }));
        let again = mover.run(&["tag", &format!("{image}@{digest}"), "new"]);
        assert!(again.expect_success().stderr.contains(":new was already"), "{again}");
        let newer = mover.done(&["digest", &format!("{image}:newer")]);
        assert_eq!((&newer["digest"], &newer["size"]), (&tagged["digest"], &size_of(&layout)));

        // One image of the index, by two ways.
        let arm = mover.done(&["digest", &old, "--platform", "linux/arm64"]);
        let raw = mover.run(&["manifest", "get", &old, "--platform", "linux/arm64"]);
        let raw = raw.expect_success().stdout.clone();
        assert_eq!(Digest::sha256(raw.as_bytes()).to_string(), arm["digest"].as_str().unwrap());
        let missing = mover.run(&["digest", &old, "--platform", "linux/s390x"]);
        assert!(missing.expect_failure().stderr.contains("linux/amd64, linux/arm64"), "{missing}");
        for words in [&["digest", "X"][..], &["tag", "X", "other"], &["manifest", "get", "X"]] {
            let nowhere = format!("{image}:nowhere");
            let words: Vec<&str> =
                words.iter().map(|word| if *word == "X" { &nowhere } else { *word }).collect();
            assert_eq!(mover.run(&words).expect_failure().status, Some(1));
        }
    }
}

#[test]
fn a_manifest_goes_there_as_it_is() {
    let ours = ours();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(scratch.path(), 1, 1000);
    let mover = Mover::at(&[ours.address()]);
    let image = format!("{}/ann/app:v1", ours.address());
    mover.run(&["push", &layout.reference(), &image]).expect_success();
    let got = mover.run(&["manifest", "get", &image]).expect_success().stdout.clone();
    // Another document, and so another digest, which points at the same.
    let mut changed: Value = serde_json::from_str(&got).unwrap();
    changed["annotations"] = json!({ "org.example.note": "changed by hand" });
    fs::write(mover.home().join("changed.json"), format!("{changed}\n")).unwrap();
    let other = format!("{}/ann/app:v2", ours.address());
    let put = mover.done(&["manifest", "put", &other, "changed.json"]);
    assert_eq!(mover.done(&["digest", &other])["digest"], put["digest"]);
    let got = mover.done(&["manifest", "get", &other]);
    assert_eq!(got["manifest"], changed);

    fs::write(mover.home().join("untyped.json"), r#"{"schemaVersion":2}"#).unwrap();
    let untyped = mover.run(&["manifest", "put", &other, "untyped.json"]);
    assert!(untyped.stderr.contains("--media-type"), "{untyped}");
    assert_eq!(untyped.status, Some(2));
    let pinned = format!("{}/ann/app@{}", ours.address(), Digest::sha256(b"other"));
    let refused = mover.run(&["manifest", "put", &pinned, "changed.json"]);
    assert!(refused.expect_failure().stderr.contains("received content with the digest"));
}

/// OCI distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema".
#[test]
fn what_is_about_an_image_is_listed_by_the_registry_or_under_a_tag() {
    let (ours, theirs) = (ours(), Theirs::start());
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(scratch.path(), 1, 1000);
    for (registry, api) in [(ours.address(), true), (theirs.registry.address(), false)] {
        let mover = Mover::at(&[registry]);
        let image = format!("{registry}/ann/app:v1");
        mover.run(&["push", &layout.reference(), &image]).expect_success();
        let none = mover.done(&["referrers", &image]);
        assert_eq!((&none["api"], &none["referrers"]), (&api.into(), &json!([])));
        let signatures: Vec<Value> =
            ["first", "second"].map(|note| sign(&mover, &image, note)).to_vec();
        let listed = mover.done(&["referrers", &image, "--artifact-type", SIGNATURE]);
        let digests = |list: &Value| -> Vec<String> {
            let list = list.as_array().unwrap().iter();
            let mut digests: Vec<_> =
                list.map(|one| one["digest"].as_str().unwrap().to_owned()).collect();
            digests.sort();
            digests
        };
        assert_eq!(digests(&listed["referrers"]), digests(&Value::from(signatures)));
        assert_eq!(listed["subject"], Layout::digest_of_tag(layout.folder()).to_string());
        let other = mover.done(&["referrers", &image, "--artifact-type", "text/plain"]);
        assert_eq!(other["referrers"], json!([]));
        let table = mover.run(&["referrers", &image]);
        assert_eq!(table.expect_success().stdout.matches(SIGNATURE).count(), 2, "{table}");
    }
}

fn size_of(layout: &Layout) -> Value {
    let digest = Layout::digest_of_tag(layout.folder());
    let blob = layout.folder().join("blobs/sha256").join(digest.hex());
    fs::metadata(blob).unwrap().len().into()
}

/// Puts a signature of the image beside it, with one blob: the config that artifacts have.
pub(crate) fn sign(mover: &Mover, image: &str, note: &str) -> Value {
    let subject = mover.done(&["manifest", "get", image]);
    let empty = json!({ "mediaType": EMPTY, "digest": Digest::sha256(b"{}"), "size": 2 });
    // A layout of an artifact brings the blob.
    let folder = mover.home().join("empty");
    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": SIGNATURE,
        "config": empty,
        "layers": [empty],
        "annotations": { "org.example.note": note },
        "subject": {
            "mediaType": subject["media_type"],
            "digest": subject["digest"],
            "size": subject["size"],
        },
    })
    .to_string();
    let digest = Digest::sha256(artifact.as_bytes());
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let blob = |content: &[u8]| {
        let path = folder.join("blobs/sha256").join(Digest::sha256(content).hex());
        fs::write(path, content).unwrap();
    };
    blob(b"{}");
    // Without its subject it is an artifact like others.
    let mut plain: Value = serde_json::from_str(&artifact).unwrap();
    plain.as_object_mut().unwrap().remove("subject");
    let plain = plain.to_string();
    blob(plain.as_bytes());
    let entry = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": Digest::sha256(plain.as_bytes()),
        "size": plain.len(),
    });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    let repository = image.rsplit_once(':').unwrap().0;
    mover.run(&["push", "oci:empty", &format!("{repository}:unsigned")]).expect_success();
    fs::write(mover.home().join("signature.json"), &artifact).unwrap();
    let put = mover.done(&["manifest", "put", repository, "signature.json"]);
    assert_eq!(put["digest"], digest.to_string());
    put
}
