use std::time::SystemTime;

use portpass_protocol::{Digest, Reference};

use super::{at, commit, digest, manifest, put, repository, tag};
use crate::{Committed, Db, Deletion, NewManifest, OrphanAge, Piece, Pull, Pulled, PutManifest};

pub(super) async fn only_manifests_that_nothing_keeps_are_orphans(db: Db) {
    let child = put(&db, "a", "{\"child\":1}", &[], 0).await;
    let untagged = put(&db, "a", "{\"untagged\":1}", &[], 0).await;
    let tagged = put(&db, "a", "{\"tagged\":1}", &["t"], 0).await;
    index(&db, "{\"index\":1}", child, "index").await;
    refer(&db, "{\"signature\":1}", tagged).await;
    let stray = refer(&db, "{\"stray\":1}", digest("absent")).await;
    // The same bytes as a layer of something do not make it the child of an index.
    assert_eq!(commit(&db, "a", "{\"untagged\":1}", "o/1", 0).await, Committed::Stored);
    let (name, of, blobs) = (repository("a"), digest("{\"layered\":1}"), [untagged]);
    let new = NewManifest {
        blobs: &blobs,
        tags: &[tag("layered")],
        ..manifest(&name, &of, "{\"layered\":1}")
    };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);

    // Those with a tag or an index are no rows at all.
    assert_eq!(find(&db, 10).await, Piece { seen: 3, unkept: 2 });
    assert_eq!(find(&db, 10).await.seen, 0);
    assert_eq!(condemn(&db, 10, 20).await.seen, 0, "not older than 10");
    assert_eq!(condemn(&db, 11, 20).await.unkept, 2);
    assert_eq!(removed(&db, 20).await, []);
    let mut expected = vec![untagged, stray];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(removed(&db, 21).await, expected);
}

pub(super) async fn what_loses_its_tag_its_index_or_its_subject_is_an_orphan_from_then_on(db: Db) {
    let moved = put(&db, "a", "{\"moved\":1}", &["latest"], 0).await;
    let two = put(&db, "a", "{\"two\":1}", &["one", "other"], 0).await;
    let child = put(&db, "a", "{\"child\":1}", &[], 0).await;
    let list = index(&db, "{\"index\":1}", child, "index").await;
    let signature = refer(&db, "{\"signature\":1}", list).await;
    let _ = find(&db, 10).await;
    assert_eq!(condemn(&db, 100, 100).await.seen, 0);

    put(&db, "a", "{\"now\":1}", &["latest"], 20).await;
    let deleted = db.delete_tag(&repository("a"), &tag("one")).await.unwrap();
    assert!(matches!(deleted, Deletion::Deleted { .. }));
    assert_eq!(find(&db, 30).await, Piece { seen: 2, unkept: 1 }, "`other` is there still");
    let _ = db.delete_manifest(&repository("a"), &list).await.unwrap();
    assert_eq!(find(&db, 40).await, Piece { seen: 2, unkept: 2 }, "child and signature");

    assert_eq!(condemn(&db, 31, 50).await.unkept, 1);
    assert_eq!(removed(&db, 51).await, [moved]);
    assert_eq!(condemn(&db, 41, 60).await.unkept, 2);
    let mut expected = vec![child, signature];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(removed(&db, 61).await, expected);
    let _ = db.delete_tag(&repository("a"), &tag("other")).await.unwrap();
    assert_eq!(find(&db, 70).await.unkept, 1);
    assert_eq!(condemn(&db, 71, 72).await.unkept, 1);
    assert_eq!(removed(&db, 73).await, [two]);
}

/// At every step; and its time begins anew when it loses its name again.
pub(super) async fn what_is_named_again_is_none_any_more(db: Db) {
    let one = put(&db, "a", "{\"v\":1}", &[], 0).await;
    let _ = find(&db, 10).await;
    put(&db, "a", "{\"v\":1}", &["t"], 11).await;
    assert_eq!(condemn(&db, 100, 100).await.seen, 0);
    let _ = db.delete_tag(&repository("a"), &tag("t")).await.unwrap();
    assert_eq!(find(&db, 20).await.unkept, 1);
    assert_eq!(condemn(&db, 20, 30).await.seen, 0, "since 20");
    assert_eq!(condemn(&db, 21, 30).await.unkept, 1);
    // Pushed again without a tag, it is as young as a new one.
    put(&db, "a", "{\"v\":1}", &[], 31).await;
    assert_eq!(removed(&db, 100).await, []);
    assert_eq!(find(&db, 40).await.unkept, 1);
    assert_eq!(condemn(&db, 41, 50).await.unkept, 1);
    index(&db, "{\"index\":1}", one, "index").await;
    assert_eq!(removed(&db, 100).await, []);
    // A subject that comes after its referrer.
    let subject = digest("{\"subject\":1}");
    refer(&db, "{\"signature\":1}", subject).await;
    assert_eq!(find(&db, 60).await.unkept, 1);
    assert_eq!(condemn(&db, 61, 61).await.unkept, 1);
    put(&db, "a", "{\"subject\":1}", &["subject"], 62).await;
    assert_eq!(removed(&db, 100).await, []);
    assert_eq!(find(&db, 100).await, Piece { seen: 0, unkept: 0 }, "it was forgotten");
}

/// A client that was told the child is there does not push it again: its index comes next.
pub(super) async fn asking_for_a_condemned_manifest_saves_it_for_a_while(db: Db) {
    let one = put(&db, "a", "{\"v\":1}", &[], 0).await;
    let ask = async || db.manifest(&repository("a"), &Reference::Digest(one)).await.unwrap();
    assert!(ask().await.is_some());
    let _ = find(&db, 10).await;
    assert_eq!(condemn(&db, 11, 20).await.unkept, 1);
    assert!(ask().await.is_some());
    assert_eq!(removed(&db, 30).await, []);
    assert_eq!(condemn(&db, 11, 30).await.unkept, 1, "condemned anew, later");
    assert_eq!(removed(&db, 31).await, [one]);
    assert!(ask().await.is_none());
}

pub(super) async fn what_was_pulled_lately_waits(db: Db) {
    let one = put(&db, "a", "{\"v\":1}", &[], 0).await;
    let other = put(&db, "a", "{\"v\":2}", &[], 0).await;
    let pulled = Pulled::Digest(repository("a"), one);
    db.note_pulls(&[Pull { of: pulled, count: 1, last: at(100) }]).await.unwrap();
    let _ = find(&db, 10).await;
    // Orphans of ten seconds that nobody pulled for fifty.
    let age = |now: u64| OrphanAge {
        orphaned_before: at(now - 10),
        not_pulled_since: Some(at(now - 50)),
    };
    let condemn = async |now| db.condemn_orphans(age(now), at(now), 10).await.unwrap();
    assert_eq!(condemn(120).await, Piece { seen: 2, unkept: 1 });
    assert_eq!(removed(&db, 121).await, [other]);
    assert_eq!(condemn(150).await.seen, 0, "it is not looked at before its time");
    assert_eq!(condemn(151).await, Piece { seen: 1, unkept: 1 });
    assert_eq!(removed(&db, 152).await, [one]);
}

pub(super) async fn what_goes_lets_go_of_its_blobs(db: Db) {
    assert_eq!(commit(&db, "a", "x", "o/1", 0).await, Committed::Stored);
    let (name, of, blobs) = (repository("a"), digest("{}"), [digest("x")]);
    let new = NewManifest { blobs: &blobs, ..manifest(&name, &of, "{}") };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    assert_eq!(db.mark_unlinked_blobs(at(10), 10).await.unwrap().unkept, 0);
    let _ = find(&db, 10).await;
    assert_eq!(condemn(&db, 11, 20).await.unkept, 1);
    assert_eq!(removed(&db, 21).await, [of]);
    assert_eq!(db.mark_unlinked_blobs(at(30), 10).await.unwrap().unkept, 1);
}

async fn find(db: &Db, now: u64) -> Piece {
    db.find_orphans(at(now), 100).await.unwrap()
}

async fn condemn(db: &Db, orphaned_before: u64, now: u64) -> Piece {
    let age = OrphanAge { orphaned_before: at(orphaned_before), not_pulled_since: None };
    db.condemn_orphans(age, at(now), 100).await.unwrap()
}

async fn removed(db: &Db, before: u64) -> Vec<Digest> {
    let before: SystemTime = at(before);
    let (piece, removed) = db.remove_condemned(before, 100).await.unwrap();
    assert_eq!(piece.unkept, removed.len() as u64);
    let mut digests: Vec<Digest> = removed.into_iter().map(|manifest| manifest.digest).collect();
    digests.sort_by_key(ToString::to_string);
    digests
}

async fn index(db: &Db, bytes: &str, child: Digest, name: &str) -> Digest {
    let (repository, of) = (repository("a"), digest(bytes));
    let new =
        NewManifest { children: &[child], tags: &[tag(name)], ..manifest(&repository, &of, bytes) };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    of
}

async fn refer(db: &Db, bytes: &str, subject: Digest) -> Digest {
    let (repository, of) = (repository("a"), digest(bytes));
    let new = NewManifest { subject: Some(&subject), ..manifest(&repository, &of, bytes) };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    of
}
