//! An import that is killed, repeated, and run while the old registry takes pushes.

use std::process::Stdio;

use portpass_protocol::DigestAlgorithm::Sha256;
use portpass_testkit::{Distribution, SeededRng, wait_until};

use crate::{
    old::{Images, Wire, pulled, push, state},
    ours::{Installation, counts, import_beside, kinds, place},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_anywhere_goes_on_from_there() {
    let seed = SeededRng::seed_from_env("PORTPASS_MOVING_SEED");
    println!("a failure is repeated by PORTPASS_MOVING_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let storage = tempfile::tempdir().unwrap();
    let old = Distribution::open_on(storage.path());
    let wire = Wire::to(&old.address().to_string());
    for number in 0..60 {
        let content = format!("layer {number}").repeat(1 + number);
        let name = format!("team{}/app", number % 7);
        wire.put_image(&name, &format!("v{number}"), content.as_bytes(), Sha256).await;
    }
    let before = state(storage.path());
    let ours = Installation::new();
    let path = storage.path().to_str().unwrap();
    for way in ["--link", "--copy", "--in-place", "--link", "--copy", "--link"] {
        let mut import = ours.command(&["import", "storage", path, way]);
        let mut child = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let spins = rng.below(400_000);
        let mut looked = 0;
        wait_until(|| {
            looked += 1;
            looked > spins / 10_000 || matches!(child.try_wait(), Ok(Some(_)))
        });
        let _ = child.kill();
        child.wait().unwrap();
    }
    let last = ours.import(storage.path(), &["--link"]);
    let (new, already) = (counts(&last), counts(&last["already"]));
    let sum: Vec<u64> = new.iter().zip(already).map(|(new, already)| new + already).collect();
    assert_eq!(sum, [7, 60, 60, 61], "each once: {last:#}");
    assert!(kinds(&last).is_empty(), "{last:#}");
    assert_eq!(state(storage.path()), before);
    let server = ours.serve();
    let new = Wire::to(&place(&server));
    for name in wire.catalog().await {
        for tag in wire.tags(&name).await {
            let manifest = wire.manifest(&name, &tag).await.unwrap();
            assert_eq!(new.manifest(&name, &tag).await.unwrap(), manifest);
            let parsed: serde_json::Value = serde_json::from_slice(&manifest.1).unwrap();
            let layer = parsed["layers"][0]["digest"].as_str().unwrap();
            assert_eq!(new.blob(&name, layer).await, wire.blob(&name, layer).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_import_brings_what_was_pushed_since_and_takes_nothing_back() {
    let images = Images::new();
    let storage = tempfile::tempdir().unwrap();
    let old = Distribution::open_on(storage.path());
    let former = old.address().to_string();
    push(&old, &images.single, "app:moved");
    push(&old, &images.single, "app:stays");
    push(&old, &images.single, "app:ours");
    let server = Installation::new().serve();
    let (storage, new) = (storage.path(), place(&server));
    assert_eq!(counts(&import_beside(&server, storage, &[]))[..2], [1, 3]);

    // Pushes to both meanwhile: the later push of a tag counts.
    let pushed = format!("docker://{new}/app:ours");
    crate::old::copy(&images.other.reference(), &pushed, &[]).expect_success();
    push(&old, &images.multi, "app:moved");
    push(&old, &images.large, "late:1");
    let kept = pulled(&new, "app:ours");
    let importing = std::thread::scope(|scope| {
        let import = scope.spawn(|| import_beside(&server, storage, &[]));
        push(&old, &images.multi, "meanwhile:1");
        import.join().unwrap()
    });
    assert!(kinds(&importing).iter().all(|kind| *kind == "tag-newer-here"), "{importing:#}");
    drop(old);
    let last = import_beside(&server, storage, &[]);
    assert_eq!(kinds(&last), ["tag-newer-here"], "{last:#}");
    assert_eq!(counts(&import_beside(&server, storage, &[])), [0; 4]);
    assert_eq!(pulled(&new, "app:ours"), kept);
    let old = Distribution::open_on(storage);
    let again = old.address().to_string();
    assert_ne!(former, again, "another port");
    for image in ["app:moved", "app:stays", "late:1", "meanwhile:1"] {
        assert_eq!(pulled(&new, image), pulled(&again, image), "{image}");
    }
}
