use std::collections::HashSet;

use super::{at, commit, digest, manifest, repository};
use crate::{Change, Committed, Db, Garbage, NewManifest, Piece, PutManifest, sql::sql};

pub(super) async fn a_blob_that_no_repository_holds_becomes_garbage(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    store(&db, "a", "kept", "o/2", 0).await;
    assert_eq!(retire(&db, 99).await, 0);
    delete(&db, "a", "x", 50).await;
    assert_eq!(retire(&db, 60).await, 1);
    let garbage = Garbage {
        location: "o/1".to_owned(),
        marked_at: at(60),
        digest: Some(digest("x")),
        size: 1,
        released_by: Some("a".to_owned()),
    };
    assert!(db.garbage(at(60), 10).await.unwrap().is_empty(), "requests may still read it");
    assert_eq!(db.garbage(at(61), 10).await.unwrap(), [garbage]);
    db.remove_garbage_rows(&["o/1"]).await.unwrap();
    assert!(db.garbage(at(99), 10).await.unwrap().is_empty());
    db.remove_garbage_rows(&[]).await.unwrap();
}

pub(super) async fn a_blob_that_somebody_holds_is_not_retired(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    delete(&db, "a", "x", 1).await;
    assert!(matches!(commit(&db, "b", "x", "o/2", 10).await, Committed::Superfluous { .. }));
    assert_eq!(retire(&db, 11).await, 0);
    assert!(db.blob(&repository("b"), &digest("x")).await.unwrap().is_some());
    delete(&db, "b", "x", 12).await;
    assert_eq!(retire(&db, 13).await, 1);
}

pub(super) async fn a_blob_pushed_after_its_end_lies_elsewhere(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    delete(&db, "a", "x", 1).await;
    assert_eq!(retire(&db, 10).await, 1);
    store(&db, "a", "x", "o/2", 11).await;
    let blob = db.blob(&repository("a"), &digest("x")).await.unwrap().unwrap();
    assert_eq!(blob.location, "o/2");
    let garbage = db.garbage(at(99), 10).await.unwrap();
    assert_eq!(garbage.iter().map(|g| g.location.as_str()).collect::<Vec<_>>(), ["o/1"]);
}

/// What is kept is looked at once and then no more, however much of it comes first.
pub(super) async fn more_than_a_piece_goes_piece_by_piece(db: Db) {
    for number in 0..10 {
        let content = format!("blob {number}");
        store(&db, "a", &content, &format!("o/{number}"), number).await;
    }
    let odd: Vec<String> = (0..5).map(|number| format!("blob {}", 2 * number + 1)).collect();
    link(&db, "a", &odd.iter().map(String::as_str).collect::<Vec<_>>(), 20).await;
    // Suspected as after the manifest of another went.
    db.change(sql("UPDATE repository_blob SET suspect = 1")).await.unwrap();
    let mut marked = Vec::new();
    loop {
        let piece = db.mark_unlinked_blobs(at(30), 3).await.unwrap();
        if piece.seen == 0 {
            break;
        }
        marked.push(piece.unkept);
    }
    assert_eq!(marked.iter().sum::<u64>(), 5);
    assert!(marked.len() > 1 && marked.iter().all(|marked| *marked <= 3), "{marked:?}");
    let first = db.remove_unlinked_blobs(at(31), at(40), 2).await.unwrap();
    assert_eq!(first, Piece { seen: 2, unkept: 2 });
    let rest = db.remove_unlinked_blobs(at(31), at(40), 10).await.unwrap();
    assert_eq!(rest, Piece { seen: 3, unkept: 3 });
    assert_eq!(db.retire_blobs(at(40), 4).await.unwrap().unkept, 4);
    assert_eq!(db.retire_blobs(at(40), 4).await.unwrap().unkept, 1);
    assert_eq!(db.garbage(at(41), 10).await.unwrap().len(), 5);
}

pub(super) async fn an_unlinked_blob_is_marked_and_later_removed(db: Db) {
    store(&db, "a", "linked", "o/1", 0).await;
    store(&db, "a", "unlinked", "o/2", 0).await;
    store(&db, "a", "young", "o/3", 51).await;
    assert!(matches!(commit(&db, "b", "linked", "o/1", 0).await, Committed::Stored));
    link(&db, "a", &["linked"], 1).await;

    assert_eq!(mark(&db, 50).await, 2);
    assert_eq!(remove(&db, 50, 60).await, 0, "marked only now");
    assert_eq!(remove(&db, 51, 60).await, 2);
    for (name, content, is_there) in [
        ("a", "linked", true),
        ("a", "unlinked", false),
        ("a", "young", true),
        ("b", "linked", false),
    ] {
        let blob = db.blob(&repository(name), &digest(content)).await.unwrap();
        assert_eq!(blob.is_some(), is_there, "{content} in {name}");
    }
    assert_eq!(retire(&db, 60).await, 1);
    let [gone] = &db.garbage(at(61), 10).await.unwrap()[..] else { panic!("one") };
    assert_eq!((gone.digest, gone.released_by.as_deref()), (Some(digest("unlinked")), Some("a")));
}

/// A client that was told the blob is there does not push it again: its manifest comes next.
pub(super) async fn asking_for_a_marked_blob_saves_it(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    store(&db, "a", "y", "o/2", 0).await;
    assert_eq!(mark(&db, 20).await, 2);
    assert!(db.blob(&repository("a"), &digest("x")).await.unwrap().is_some());
    assert!(matches!(commit(&db, "a", "y", "o/3", 25).await, Committed::Superfluous { .. }));
    assert_eq!(remove(&db, 30, 30).await, 0);
    assert_eq!(mark(&db, 40).await, 2, "marked anew, later");
}

pub(super) async fn a_manifest_saves_the_blobs_it_links_to(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    assert_eq!(mark(&db, 20).await, 1);
    link(&db, "a", &["x"], 25).await;
    assert_eq!(remove(&db, 90, 90).await, 0);
    // Even if the mark came at the same time as the link.
    let mark = sql("UPDATE repository_blob SET unlinked_at = $1").bind(at(20));
    assert_eq!(db.change(mark).await.unwrap(), 1);
    assert_eq!(remove(&db, 90, 90).await, 0);
}

pub(super) async fn a_blob_that_lost_its_manifest_is_marked_anew(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    assert_eq!(mark(&db, 20).await, 1);
    let of = link(&db, "a", &["x"], 25).await;
    let deletion = db.delete_manifest(&repository("a"), &of).await.unwrap();
    assert!(matches!(deletion, crate::Deletion::Deleted { .. }));
    assert_eq!(remove(&db, 90, 90).await, 0);
    assert_eq!(mark(&db, 91).await, 1);
}

pub(super) async fn what_nothing_keeps_is_listed(db: Db) {
    store(&db, "a", "linked", "o/1", 0).await;
    store(&db, "a", "suspected", "o/2", 30).await;
    store(&db, "a", "marked", "o/3", 0).await;
    store(&db, "a", "let go", "o/4", 0).await;
    assert!(matches!(commit(&db, "b", "marked", "o/3", 0).await, Committed::Stored));
    let image = link(&db, "a", &["linked"], 1).await;
    assert_eq!(mark(&db, 10).await, 3);
    delete(&db, "a", "let go", 20).await;

    let mut listed = db.unlinked_blobs().await.unwrap();
    listed.sort_by_key(|blob| (blob.repository.clone(), blob.marked_at));
    let listed: Vec<_> = listed
        .iter()
        .map(|blob| (blob.repository.as_str(), blob.digest, blob.marked_at, blob.holders))
        .collect();
    let marked = digest("marked");
    let expected = [
        ("a", digest("suspected"), None, 1),
        ("a", marked, Some(at(10)), 2),
        ("b", marked, Some(at(10)), 2),
    ];
    assert_eq!(listed, expected);
    let released = db.released_blobs().await.unwrap();
    let released: Vec<_> = released.iter().map(|blob| (blob.digest, blob.marked_at)).collect();
    assert_eq!(released, [(Some(digest("let go")), at(20))]);
    assert_eq!(db.all_garbage().await.unwrap(), []);
    assert_eq!(retire(&db, 40).await, 1);
    assert_eq!(db.all_garbage().await.unwrap(), db.garbage(at(41), 10).await.unwrap());
    let [orphan] = &db.orphans().await.unwrap()[..] else { panic!("one") };
    assert_eq!((orphan.digest, orphan.pushed_at, orphan.since), (image, at(1), None));
    let [blob] = &db.linked_blobs(&repository("a"), &image).await.unwrap()[..] else {
        panic!("one")
    };
    assert_eq!((blob.digest, blob.size, blob.links, blob.holders), (digest("linked"), 6, 1, 1));
}

pub(super) async fn known_locations_are_those_of_blobs_and_garbage(db: Db) {
    for number in 0..40 {
        store(&db, "a", &format!("blob {number}"), &format!("o/{number}"), 0).await;
    }
    assert!(matches!(commit(&db, "a", "blob 0", "twice", 0).await, Committed::Superfluous { .. }));
    let mut asked: Vec<String> = (0..50).map(|number| format!("o/{number}")).collect();
    asked.push("twice".to_owned());
    let expected: HashSet<String> =
        (0..40).map(|number| format!("o/{number}")).chain(["twice".to_owned()]).collect();
    assert_eq!(db.known_locations(&asked).await.unwrap(), expected);
    assert!(db.known_locations(&[]).await.unwrap().is_empty());
}

async fn store(db: &Db, name: &str, content: &str, location: &str, seconds: u64) {
    assert_eq!(commit(db, name, content, location, seconds).await, Committed::Stored);
}

async fn delete(db: &Db, name: &str, content: &str, seconds: u64) {
    let change = db.delete_blob(&repository(name), &digest(content), at(seconds)).await.unwrap();
    assert_eq!(change, Change::Done);
}

/// Puts a manifest that links to these blobs.
async fn link(db: &Db, name: &str, contents: &[&str], seconds: u64) -> portpass_protocol::Digest {
    let bytes = format!("{{\"links\":{contents:?}}}");
    let (name, of) = (repository(name), digest(&bytes));
    let blobs: Vec<_> = contents.iter().map(|content| digest(content)).collect();
    let new = NewManifest { blobs: &blobs, ..manifest(&name, &of, &bytes) };
    assert_eq!(db.put_manifest(&new, at(seconds)).await.unwrap(), PutManifest::Stored);
    of
}

async fn mark(db: &Db, now: u64) -> u64 {
    db.mark_unlinked_blobs(at(now), 100).await.unwrap().unkept
}

async fn remove(db: &Db, before: u64, now: u64) -> u64 {
    db.remove_unlinked_blobs(at(before), at(now), 100).await.unwrap().unkept
}

async fn retire(db: &Db, now: u64) -> u64 {
    db.retire_blobs(at(now), 100).await.unwrap().unkept
}
