//! Rows and objects that are not what they say, and what is done about them.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc, time::Duration};

use http::StatusCode;
use portpass_protocol::{Digest, DigestAlgorithm};
use portpass_registry::{
    fsck::{Checked, Fault, Fsck, Repair, Scope},
    gc::Speed,
};
use portpass_storage::Location;

use crate::harness::Harness;

const DAYS: Duration = Duration::from_hours(48);

fn fsck(registry: &Harness) -> Fsck {
    Fsck::new(&registry.db, Arc::clone(&registry.store), Speed::Full)
}

async fn check(registry: &Harness) -> Checked {
    fsck(registry).check(&Scope::All, registry.now()).await.unwrap()
}

async fn repair(registry: &Harness) -> Vec<Option<Repair>> {
    let mut checked = check(registry).await;
    fsck(registry).repair(&mut checked, registry.now()).await.unwrap();
    checked.findings.iter().map(|finding| finding.repair).collect()
}

fn faults(checked: &Checked) -> Vec<Fault> {
    checked.findings.iter().map(|finding| finding.fault.clone()).collect()
}

/// Where the object of a blob of `team/app` lies.
async fn file(registry: &Harness, content: &[u8]) -> PathBuf {
    let name = "team/app".parse().unwrap();
    let blob = registry.db.blob(&name, &Digest::sha256(content)).await.unwrap().unwrap();
    registry.directory().join(&blob.location[..2]).join(blob.location)
}

/// An object that no row names.
async fn unnamed(registry: &Harness, content: &'static [u8]) -> Location {
    let store = &registry.store;
    let upload = store.begin(DigestAlgorithm::Sha256).await.unwrap();
    let body = Box::pin(futures_util::stream::iter([Ok(content.into())]));
    let upload = store.append(upload, body).await.unwrap().upload;
    let committed = store.commit(&upload, &Digest::sha256(content)).await.unwrap();
    store.discard(committed.rest, None).await.unwrap();
    committed.location
}

#[tokio::test]
async fn what_is_as_it_should_be_is_only_counted() {
    let registry = Harness::on_files().await;
    registry.blob("team/app", b"hello").await;
    registry.blob("team/else", b"hello").await;
    registry.blob("team/else", &vec![7; 300_000]).await;
    let checked = check(&registry).await;
    assert_eq!((checked.blobs, checked.bytes, checked.objects), (2, 300_005, 2));
    assert_eq!(checked.findings, []);
    let one = Scope::Repositories(vec!["team/app".parse().unwrap()]);
    let checked = fsck(&registry).check(&one, registry.now()).await.unwrap();
    assert_eq!((checked.blobs, checked.bytes, checked.objects), (1, 5, 0));
}

#[tokio::test]
async fn each_fault_is_told_with_who_has_it() {
    let registry = Harness::on_files().await;
    let large = &vec![7; 300_000][..];
    for content in [&b"gone"[..], b"cut short", b"damaged", large] {
        registry.blob("team/app", content).await;
    }
    registry.blob("team/else", b"damaged").await;
    fs::remove_file(file(&registry, b"gone").await).unwrap();
    fs::write(file(&registry, b"cut short").await, "cut").unwrap();
    fs::write(file(&registry, b"damaged").await, "DAMAGED").unwrap();
    let mut other = large.to_vec();
    other[299_999] = 8;
    fs::write(file(&registry, large).await, other).unwrap();
    let checked = check(&registry).await;
    for (content, fault, holders) in [
        (&b"gone"[..], Fault::BlobMissing, 1),
        (b"cut short", Fault::BlobLength { found: 3 }, 1),
        (b"damaged", Fault::BlobDamaged, 2),
        (large, Fault::BlobDamaged, 1),
    ] {
        let digest = Some(Digest::sha256(content));
        let found = checked.findings.iter().find(|finding| finding.digest == digest).unwrap();
        assert_eq!((&found.fault, found.repositories.len()), (&fault, holders));
    }
    assert_eq!(checked.findings.len(), 4);
}

/// The damaged object may be somebody else's file too.
#[tokio::test]
async fn bytes_that_lie_elsewhere_are_used_under_a_fresh_name() {
    let registry = Harness::on_files().await;
    for broken in [None, Some("cut"), Some("HELLO")] {
        let path = registry.blob("team/app", b"hello").await;
        unnamed(&registry, b"hello").await;
        let (object, shared) =
            (file(&registry, b"hello").await, registry.directory().join("other"));
        if let Some(bytes) = broken {
            fs::write(&object, bytes).unwrap();
            fs::hard_link(&object, &shared).unwrap();
        } else {
            fs::remove_file(&object).unwrap();
        }
        let before = fs::metadata(&shared).map(|it| (it.ino(), it.mode(), it.mtime())).ok();
        assert_eq!(repair(&registry).await, [Some(Repair::Replaced)]);
        let after = fs::metadata(&shared).map(|it| (it.ino(), it.mode(), it.mtime())).ok();
        assert_eq!(before, after);
        if let Some(bytes) = broken {
            assert_eq!(fs::read_to_string(&shared).unwrap(), bytes);
            fs::remove_file(&shared).unwrap();
        }
        assert_ne!(file(&registry, b"hello").await, object);
        assert_eq!(registry.get(&path).await.body, "hello");
        assert_eq!(faults(&check(&registry).await), []);
    }
}

#[tokio::test]
async fn what_is_damaged_for_good_is_unknown_until_it_is_pushed_again() {
    let registry = Harness::on_files().await;
    let path = registry.blob("team/app", b"hello").await;
    fs::write(file(&registry, b"hello").await, "HELLO").unwrap();
    registry.blob("team/app", b"hello").await;
    assert_eq!(registry.get(&path).await.body, "HELLO", "by its length it is whole");
    assert_eq!(repair(&registry).await, [Some(Repair::SetAside)]);
    assert_eq!(registry.head(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(repair(&registry).await, [None], "only a push helps");
    registry.blob("team/app", b"hello").await;
    assert_eq!(registry.get(&path).await.body, "hello");
    assert_eq!(faults(&check(&registry).await), []);
}

#[tokio::test]
async fn what_no_row_names_is_set_aside_when_no_row_can_come_any_more() {
    let registry = Harness::on_files().await;
    let path = registry.blob("team/app", b"hello").await;
    let session = registry.session("team/app").await;
    registry.patch(&session, "half of a blob").await;
    let unnamed = unnamed(&registry, b"nobody's").await;
    assert_eq!(faults(&check(&registry).await), [], "its row may be on its way");
    registry.clock.advance(DAYS);
    let checked = check(&registry).await;
    assert_eq!(faults(&checked), [Fault::ObjectUnnamed]);
    assert_eq!(checked.findings[0].object, Some(unnamed));
    assert_eq!(repair(&registry).await, [Some(Repair::SetAside)]);
    assert_eq!(registry.objects().await.len(), 2, "a blob and a session");
    assert_eq!(registry.get(&path).await.body, "hello");
}
