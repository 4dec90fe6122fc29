//! A whole storage comes in, with all that a registry does to it in its life.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use portpass_protocol::{Digest, DigestAlgorithm};
use portpass_testkit::Distribution;
use serde_json::json;

use crate::{
    old::{Images, Wire, pulled, push, push_schema2, state, walk},
    ours::{Installation, counts, import_beside, kinds, place},
};

/// Twenty repositories: deletes, a collection, and pushes after it; gives the images that can be pulled.
async fn life(storage: &Path, images: &Images) -> Vec<String> {
    let old = Distribution::open_on(storage);
    let wire = Wire::to(&old.address().to_string());
    let mut all = Vec::new();
    for number in 0..16 {
        let image = format!("team{}/app{number}:1.{number}", number % 4);
        match number % 4 {
            0 => push(&old, &images.multi, &image),
            1 => push_schema2(&old, &images.single, &image),
            2 => push(&old, &images.other, &image),
            _ => push(&old, &images.large, &image),
        }
        all.push(image);
    }
    wire.put_image("wide", "v1", b"layer of many digits", DigestAlgorithm::Sha512).await;
    let kept = wire.put_image("one", "kept", b"kept", DigestAlgorithm::Sha256).await;
    let subject = Digest::sha256(kept.to_string().as_bytes());
    let mut referrer = kept.clone();
    referrer["mediaType"] = "application/vnd.oci.image.manifest.v1+json".into();
    referrer["artifactType"] = "application/example".into();
    referrer["subject"] = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject.to_string(), "size": kept.to_string().len() });
    let name = Digest::sha256(referrer.to_string().as_bytes()).to_string();
    wire.put_manifest("one", &name, &referrer).await;
    let gone = wire.put_image("one", "gone", b"gone", DigestAlgorithm::Sha256).await;
    wire.delete("one", &Digest::sha256(gone.to_string().as_bytes()).to_string()).await;
    let only = wire.put_image("empty", "only", b"only", DigestAlgorithm::Sha256).await;
    wire.delete("empty", &Digest::sha256(only.to_string().as_bytes()).to_string()).await;
    wire.begin_upload("begun").await;
    drop(old);
    // It takes the sha512 layer too, for which it has no eyes; so that comes again.
    Distribution::collect_garbage(storage, false);
    let old = Distribution::open_on(storage);
    let wire = Wire::to(&old.address().to_string());
    wire.put_image("wide", "v1", b"layer of many digits", DigestAlgorithm::Sha512).await;
    push(&old, &images.multi, "late/app:2");
    push(&old, &images.other, "team0/app0:1.0");
    all.push("late/app:2".to_owned());
    all.push("one:kept".to_owned());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_of_docker_registry_comes_in_by_hard_links_and_stays_as_it_is() {
    let images = Images::new();
    let storage = tempfile::tempdir().unwrap();
    let all = life(storage.path(), &images).await;
    let before = state(storage.path());

    let ours = Installation::new();
    let would = ours.import(storage.path(), &["--link", "--dry-run"]);
    assert!(walk(&ours.blobs()).len() <= 1, "a dry run makes no object");
    let done = ours.import(storage.path(), &["--link"]);
    assert_eq!(counts(&would), counts(&done));
    let [repositories, tags, manifests, blobs] = counts(&done);
    assert_eq!((repositories, tags), (20, 19), "{done:#}");
    assert!(manifests > 30 && blobs > 10, "{done:#}");
    // What the collection has left: links of the images that were deleted.
    assert!(kinds(&done).iter().all(|kind| *kind == "layer-link"), "{done:#}");
    let objects: Vec<_> = walk(&ours.blobs()).into_iter().filter(|path| path.is_file()).collect();
    let linked = objects.iter().filter(|path| fs::metadata(path).unwrap().nlink() > 1).count();
    assert_eq!(linked as u64, blobs, "no byte was copied");

    let again = ours.import(storage.path(), &["--link", "--verify"]);
    assert_eq!(counts(&again), [0; 4], "nothing comes twice: {again:#}");
    assert_eq!(counts(&again["already"]), counts(&done));
    assert_eq!(state(storage.path()), before);

    let server = ours.serve();
    let old = Distribution::open_on(storage.path());
    let (new, former) = (place(&server), old.address().to_string());
    for image in &all {
        assert_eq!(pulled(&new, image), pulled(&former, image), "{image}");
    }
    same_by_the_wire(&Wire::to(&new), &Wire::to(&former)).await;
    drop(old);
    assert_eq!(state(storage.path()), before, "neither registry has changed it");
    delete_here_harms_nothing_there(&Wire::to(&new), storage.path()).await;
    assert_eq!(state(storage.path()), before);
}

/// Tags, manifests and layers, byte for byte, with those that skopeo does not pull.
async fn same_by_the_wire(new: &Wire, former: &Wire) {
    let names = former.catalog().await;
    let mut compared = 0;
    for name in &names {
        let tags = former.tags(name).await;
        assert_eq!(new.tags(name).await, tags, "{name}");
        for tag in tags {
            let manifest = former.manifest(name, &tag).await.unwrap();
            assert_eq!(new.manifest(name, &tag).await.unwrap(), manifest, "{name}:{tag}");
            let parsed: serde_json::Value = serde_json::from_slice(&manifest.1).unwrap();
            for layer in parsed["layers"].as_array().into_iter().flatten() {
                let digest = layer["digest"].as_str().unwrap();
                let bytes = former.blob(name, digest).await.unwrap();
                assert_eq!(new.blob(name, digest).await.unwrap(), bytes, "{name} {digest}");
                compared += 1;
            }
        }
    }
    assert!(compared > 15, "{compared} layers of {names:?}");
}

async fn delete_here_harms_nothing_there(new: &Wire, storage: &Path) {
    for name in new.catalog().await {
        for tag in new.tags(&name).await {
            let (digest, _) = new.manifest(&name, &tag).await.unwrap();
            if new.manifest(&name, &digest).await.is_ok() {
                new.delete(&name, &digest).await;
            }
        }
    }
    assert!(storage.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs_serves_what_is_imported_beside_it_by_each_way() {
    let images = Images::new();
    let storage = tempfile::tempdir().unwrap();
    let old = Distribution::open_on(storage.path());
    push(&old, &images.multi, "team/app:1");
    push(&old, &images.large, "other/app:1");
    for way in ["--link", "--copy", "--in-place"] {
        let server = Installation::new().serve();
        let done = import_beside(&server, storage.path(), &[way, "--repository", "team/**"]);
        assert_eq!(counts(&done)[..2], [1, 1], "{way}: {done:#}");
        let new = place(&server);
        assert_eq!(pulled(&new, "team/app:1"), pulled(&old.address().to_string(), "team/app:1"));
        assert_eq!(Wire::to(&new).catalog().await, ["team/app"], "{way}");
    }
}
