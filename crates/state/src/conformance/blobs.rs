use portpass_protocol::Digest;

use super::{at, commit, digest, repository};
use crate::{Blob, Candidates, Change, Committed, Db, Mounted};

pub(super) async fn a_blob_is_seen_only_where_it_was_committed(db: Db) {
    assert_eq!(commit(&db, "a", "hello", "o/1", 0).await, Committed::Stored);
    let expected = Blob {
        location: "o/1".to_owned(),
        size: 5,
        media_type: "application/octet-stream".to_owned(),
    };
    assert_eq!(find(&db, "a", "hello").await, Some(expected));
    assert_eq!(find(&db, "b", "hello").await, None);
    assert_eq!(find(&db, "a", "other").await, None);
}

/// The new object is dropped. The table of garbage has it, so a crash in between does not lose it.
pub(super) async fn a_second_object_of_a_digest_is_superfluous_and_noted_as_garbage(db: Db) {
    assert_eq!(commit(&db, "a", "x", "o/1", 0).await, Committed::Stored);
    for (name, location) in [("a", "o/2"), ("b", "o/3")] {
        let kept = "o/1".to_owned();
        assert_eq!(commit(&db, name, "x", location, 1).await, Committed::Superfluous { kept });
        assert_eq!(find(&db, name, "x").await.unwrap().location, "o/1");
    }
    let garbage = db.garbage(at(2), 10).await.unwrap();
    let garbage: Vec<&str> = garbage.iter().map(|garbage| garbage.location.as_str()).collect();
    assert_eq!(garbage, ["o/2", "o/3"]);
    db.remove_garbage_rows(&["o/2"]).await.unwrap();
    assert_eq!(db.garbage(at(2), 10).await.unwrap().len(), 1);
}

/// The row of a blob whose object is lost names a whole one, once, for all who hold it.
pub(super) async fn a_lost_object_is_replaced_for_every_repository(db: Db) {
    assert_eq!(commit(&db, "a", "x", "o/1", 0).await, Committed::Stored);
    for (name, location) in [("b", "o/2"), ("b", "o/3")] {
        assert!(matches!(commit(&db, name, "x", location, 1).await, Committed::Superfluous { .. }));
    }
    let replace =
        async |found| db.replace_lost(&digest("x"), "o/1", found, 7, at(2)).await.unwrap();
    assert_eq!(replace("o/4").await, Change::Unknown, "it was cleared away");
    assert_eq!(find(&db, "a", "x").await.unwrap().location, "o/1");
    assert_eq!(replace("o/2").await, Change::Done);
    assert_eq!(replace("o/3").await, Change::Unknown, "somebody else was first");
    for name in ["a", "b"] {
        let blob = find(&db, name, "x").await.unwrap();
        assert_eq!((blob.location.as_str(), blob.size), ("o/2", 7));
    }
    let garbage = db.garbage(at(9), 10).await.unwrap();
    let garbage: Vec<&str> = garbage.iter().map(|garbage| garbage.location.as_str()).collect();
    assert_eq!(garbage, ["o/3", "o/1"]);
}

pub(super) async fn of_many_blobs_those_that_the_repository_holds_are_told(db: Db) {
    for number in 0..40 {
        let name = if number == 7 { "b" } else { "a" };
        let location = format!("o/{number}");
        assert_eq!(
            commit(&db, name, &format!("blob {number}"), &location, 0).await,
            Committed::Stored
        );
    }
    let asked: Vec<Digest> = (0..50).map(|number| digest(&format!("blob {number}"))).collect();
    let mut held = db.held_among(&repository("a"), &asked).await.unwrap();
    held.sort_by(|(_, one), (_, other)| one.location.cmp(&other.location));
    assert_eq!(held.len(), 39);
    for (digest, blob) in held {
        let found = db.blob(&repository("a"), &digest).await.unwrap();
        assert_eq!(found, Some(blob));
    }
    assert!(db.held_among(&repository("none"), &asked).await.unwrap().is_empty());
    assert!(db.held_among(&repository("a"), &[]).await.unwrap().is_empty());
}

/// A commit whose answer was lost may be made again.
pub(super) async fn the_same_commit_twice_is_not_garbage(db: Db) {
    assert_eq!(commit(&db, "a", "x", "o/1", 0).await, Committed::Stored);
    assert_eq!(commit(&db, "a", "x", "o/1", 1).await, Committed::Stored);
    assert!(db.garbage(at(9), 10).await.unwrap().is_empty());
}

/// OC15
pub(super) async fn a_mount_needs_the_source_to_hold_the_blob_now(db: Db) {
    assert_eq!(commit(&db, "a", "x", "o/1", 0).await, Committed::Stored);
    let (source, target, of) = (repository("a"), repository("b"), digest("x"));
    let other = repository("c");
    let mounted = db.mount_blob(&other, &target, &of, at(1)).await.unwrap();
    assert_eq!(mounted, Mounted::NotAMember);
    assert_eq!(find(&db, "b", "x").await, None);

    let mounted = db.mount_blob(&source, &target, &of, at(1)).await.unwrap();
    let blob = find(&db, "a", "x").await.unwrap();
    assert_eq!(mounted, Mounted::Mounted(blob.clone()));
    assert_eq!(find(&db, "b", "x").await, Some(blob));

    assert_eq!(db.delete_blob(&source, &of, at(2)).await.unwrap(), Change::Done);
    let mounted = db.mount_blob(&source, &other, &of, at(3)).await.unwrap();
    assert_eq!(mounted, Mounted::NotAMember);
}

pub(super) async fn a_mounted_blob_outlives_its_source(db: Db) {
    assert_eq!(commit(&db, "a", "x", "o/1", 0).await, Committed::Stored);
    let (source, target, of) = (repository("a"), repository("b"), digest("x"));
    let mounted = db.mount_blob(&source, &target, &of, at(1)).await.unwrap();
    assert!(matches!(mounted, Mounted::Mounted(_)));
    assert_eq!(db.delete_blob(&source, &of, at(2)).await.unwrap(), Change::Done);
    assert!(find(&db, "b", "x").await.is_some());
    assert_eq!(db.retire_blobs(at(99), 10).await.unwrap().unkept, 0);
}

/// OC15: a registry that finds the blob by itself must check that the caller may pull from there.
pub(super) async fn a_source_is_found_among_the_candidates_only(db: Db) {
    assert_eq!(commit(&db, "secret", "x", "o/1", 0).await, Committed::Stored);
    let found = async |candidates| db.find_blob(&digest("x"), candidates).await.unwrap();
    assert_eq!(found(Candidates::All).await, Some(repository("secret")));
    assert_eq!(found(Candidates::Among(&[])).await, None);
    let others = [repository("a"), repository("b")];
    assert_eq!(found(Candidates::Among(&others)).await, None);
    let with = [repository("a"), repository("secret")];
    assert_eq!(found(Candidates::Among(&with)).await, Some(repository("secret")));
    assert_eq!(db.find_blob(&digest("y"), Candidates::All).await.unwrap(), None);
}

/// OC23
pub(super) async fn a_deleted_blob_is_gone_from_that_repository_only(db: Db) {
    for name in ["a", "b"] {
        let committed = commit(&db, name, "x", "o/1", 0).await;
        assert_eq!(committed, Committed::Stored);
    }
    let of = digest("x");
    assert_eq!(db.delete_blob(&repository("a"), &of, at(1)).await.unwrap(), Change::Done);
    assert_eq!(db.delete_blob(&repository("a"), &of, at(1)).await.unwrap(), Change::Unknown);
    assert_eq!(db.delete_blob(&repository("none"), &of, at(1)).await.unwrap(), Change::Unknown);
    assert_eq!(find(&db, "a", "x").await, None);
    assert!(find(&db, "b", "x").await.is_some());
}

pub(super) async fn one_of_many_simultaneous_commits_is_kept(db: Db) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let db = db.clone();
        tasks.spawn(async move {
            let (name, location) = (format!("a/{}", number % 4), format!("o/{number:02}"));
            (commit(&db, &name, "x", &location, 0).await, location)
        });
    }
    let outcomes = tasks.join_all().await;
    let stored: Vec<&String> = outcomes
        .iter()
        .filter_map(|(committed, location)| (*committed == Committed::Stored).then_some(location))
        .collect();
    assert_eq!(stored.len(), 1, "{outcomes:?}");
    for number in 0..4 {
        assert_eq!(&find(&db, &format!("a/{number}"), "x").await.unwrap().location, stored[0]);
    }
    assert_eq!(db.garbage(at(1), 100).await.unwrap().len(), 15);
}

async fn find(db: &Db, name: &str, content: &str) -> Option<Blob> {
    db.blob(&repository(name), &digest(content)).await.unwrap()
}
