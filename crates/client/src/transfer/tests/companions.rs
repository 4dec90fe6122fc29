//! What is about images, and indexes without some of their images.

use super::*;

/// An index that is about an image, and has it in it.
fn about(store: &Store, subject: &Descriptor, below: &[&Descriptor]) -> Descriptor {
    let below: Vec<Value> = below.iter().map(|image| described(image)).collect();
    let text = json!({
        "schemaVersion": 2,
        "manifests": below,
        "subject": described(subject),
    });
    let kept = store.keep(text.to_string().as_bytes());
    Descriptor { media_type: MediaType::OciIndex.to_string(), ..kept }
}

/// Two platforms; a signature of the one, of the signature, and a report on the index that has all of it.
fn signed() -> Store {
    let mut store = Store::default();
    let amd64 = store.image("amd64", &["common", "layer of amd64"]);
    let arm64 = store.image("arm64", &["common", "layer of arm64"]);
    let index = store.index(&[("amd64", &amd64), ("arm64", &arm64)]);
    let signature = about(&store, &amd64, &[&amd64]);
    let of_signature = about(&store, &signature, &[&signature, &amd64]);
    let report = about(&store, &index, &[&index, &of_signature]);
    let tag = "sha256-0.sig".parse().unwrap();
    let list = [
        (amd64.digest, vec![Companion::Referrer(signature.clone())]),
        (signature.digest, vec![Companion::Tagged(tag, of_signature)]),
        (index.digest, vec![Companion::Referrer(report.clone()), Companion::Referrer(report)]),
    ];
    store.companions = list.into_iter().collect();
    store.rooted(&index)
}

#[tokio::test]
async fn what_is_about_images_comes_before_the_name_and_waits_for_nobody() {
    for (companions, attached) in [(Companions::LeftOut, 0), (Companions::Copied, 4)] {
        let (source, target) = (signed(), target(Store::default()));
        let all = Transfer { companions, ..transfer(&source, &target, Selection::Everything) };
        let done = tokio::time::timeout(Duration::from_mins(1), all.run());
        let done = done.await.expect("nobody waits for themselves").unwrap();
        let log = target.0.log();
        assert_eq!(count(&log, "attach"), attached, "{log:?}");
        assert!(log.last().unwrap().starts_with("named"), "{log:?}");
        // Each blob once, however many things have it.
        assert_eq!(done.blobs.transferred, 5);
        if companions == Companions::Copied {
            assert_eq!(*target.0.things.lock().unwrap(), *source.things.lock().unwrap());
        }
    }
}

#[tokio::test]
async fn a_sparse_index_has_one_image_and_its_own_digest() {
    let source = two_platforms();
    let folder = target(Store { sparse: true, ..Store::default() });
    let arm64: Platform = "linux/arm64".parse().unwrap();
    let only = Selection::Sparse(vec![arm64.clone()]);
    let done = transfer(&source, &folder, only).run().await.unwrap();
    assert_eq!(Some(done.digest), source.root.as_ref().map(|root| *root.digest()));
    // The index and the image; its config and its layers.
    assert_eq!((done.manifests, done.blobs.transferred), (2, 3));

    let other = Selection::Sparse(vec![arm64, "linux/s390x".parse().unwrap()]);
    let error = transfer(&source, &folder, other).run().await.unwrap_err();
    assert!(matches!(error, Error::NoPlatform { .. }), "{error}");
}

/// What builders attest of an image lies beside it in the index.
#[tokio::test]
async fn attestations_stay_with_their_image() {
    let store = Store::default();
    let (amd64, arm64) = (store.image("amd64", &["one"]), store.image("arm64", &["two"]));
    let attested = |image: &Descriptor, name: &str| {
        let mut entry = described(&store.image("unknown", &[name]));
        entry["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        entry["annotations"] = json!({ "vnd.docker.reference.digest": image.digest });
        entry
    };
    let entry = |image: &Descriptor, architecture: &str| {
        let mut entry = described(image);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let manifests = [
        entry(&amd64, "amd64"),
        entry(&arm64, "arm64"),
        attested(&amd64, "about one"),
        attested(&arm64, "about two"),
    ];
    let text = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
    let root =
        Descriptor { media_type: MediaType::OciIndex.to_string(), ..store.keep(text.as_bytes()) };
    let source = store.rooted(&root);
    let folder = target(Store { sparse: true, ..Store::default() });
    let only = Selection::Sparse(vec!["linux/arm64".parse().unwrap()]);
    transfer(&source, &folder, only).run().await.unwrap();
    for (content, there) in
        [("two", true), ("about two", true), ("one", false), ("about one", false)]
    {
        assert_eq!(folder.0.has(&Digest::sha256(content.as_bytes())), there, "{content}");
    }
}
