use std::collections::HashSet;

use super::{at, commit, digest, manifest, put, repository, tag};
use crate::{Change, Committed, Db, Garbage, NewManifest, PutManifest, UnreferencedBlob, sql::sql};

pub(super) async fn a_blob_that_no_repository_holds_becomes_garbage_after_its_grace(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    store(&db, "a", "kept", "o/2", 0).await;
    assert!(db.unreferenced_blobs(at(99), 10).await.unwrap().is_empty());
    delete(&db, "a", "x", 50).await;
    assert!(db.unreferenced_blobs(at(50), 10).await.unwrap().is_empty(), "its grace begins at 50");
    let found = db.unreferenced_blobs(at(51), 10).await.unwrap();
    assert_eq!(found, [UnreferencedBlob { digest: digest("x"), generation: 1, size: 1 }]);

    let garbage = Garbage { location: "o/1".to_owned(), marked_at: at(60) };
    assert_eq!(db.mark_blob(&found[0], at(60)).await.unwrap(), Some(garbage.clone()));
    assert_eq!(db.mark_blob(&found[0], at(61)).await.unwrap(), None, "once");
    assert!(db.garbage(at(60), 10).await.unwrap().is_empty(), "requests may still read it");
    assert_eq!(db.garbage(at(61), 10).await.unwrap(), [garbage]);
    db.remove_garbage_row("o/1").await.unwrap();
    assert!(db.garbage(at(99), 10).await.unwrap().is_empty());
}

/// A commit raises the generation, so a collector with older results notices the change.
pub(super) async fn a_blob_pushed_again_is_not_marked(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    delete(&db, "a", "x", 1).await;
    let found = db.unreferenced_blobs(at(9), 10).await.unwrap();
    assert!(matches!(commit(&db, "b", "x", "o/2", 10).await, Committed::Superfluous { .. }));
    assert_eq!(db.mark_blob(&found[0], at(11)).await.unwrap(), None);
    // Even when nobody holds it again by then: its grace begins anew.
    delete(&db, "b", "x", 12).await;
    assert_eq!(db.mark_blob(&found[0], at(13)).await.unwrap(), None);
    let found = db.unreferenced_blobs(at(99), 10).await.unwrap();
    assert_eq!(found[0].generation, 2);
}

pub(super) async fn a_blob_pushed_after_its_mark_lies_elsewhere(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    delete(&db, "a", "x", 1).await;
    let found = db.unreferenced_blobs(at(9), 10).await.unwrap();
    assert!(db.mark_blob(&found[0], at(10)).await.unwrap().is_some());
    store(&db, "a", "x", "o/2", 11).await;
    let blob = db.blob(&repository("a"), &digest("x")).await.unwrap().unwrap();
    assert_eq!(blob.location, "o/2");
    let garbage = db.garbage(at(99), 10).await.unwrap();
    assert_eq!(garbage.iter().map(|g| g.location.as_str()).collect::<Vec<_>>(), ["o/1"]);
}

pub(super) async fn an_unlinked_blob_is_marked_and_later_removed(db: Db) {
    store(&db, "a", "linked", "o/1", 0).await;
    store(&db, "a", "unlinked", "o/2", 0).await;
    store(&db, "a", "young", "o/3", 40).await;
    store(&db, "b", "linked", "o/1", 0).await;
    link(&db, "a", &["linked"], 1).await;

    assert_eq!(db.mark_unlinked_blobs(at(40), at(50)).await.unwrap(), 2);
    assert_eq!(db.remove_unlinked_blobs(at(50), at(60)).await.unwrap(), 0, "marked only now");
    assert_eq!(db.remove_unlinked_blobs(at(51), at(60)).await.unwrap(), 2);
    for (name, content, is_there) in [
        ("a", "linked", true),
        ("a", "unlinked", false),
        ("a", "young", true),
        ("b", "linked", false),
    ] {
        let blob = db.blob(&repository(name), &digest(content)).await.unwrap();
        assert_eq!(blob.is_some(), is_there, "{content} in {name}");
    }
    let left = db.unreferenced_blobs(at(60), 10).await.unwrap();
    assert!(left.is_empty(), "the grace of the blob itself begins at 60");
    let left = db.unreferenced_blobs(at(61), 10).await.unwrap();
    assert_eq!(left.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [digest("unlinked")]);
}

/// A client that was told the blob is there does not push it again: its manifest comes next.
pub(super) async fn asking_for_a_marked_blob_saves_it(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    store(&db, "a", "y", "o/2", 0).await;
    assert_eq!(db.mark_unlinked_blobs(at(10), at(20)).await.unwrap(), 2);
    assert!(db.blob(&repository("a"), &digest("x")).await.unwrap().is_some());
    assert!(matches!(commit(&db, "a", "y", "o/3", 25).await, Committed::Superfluous { .. }));
    assert_eq!(db.remove_unlinked_blobs(at(30), at(30)).await.unwrap(), 0);
    assert_eq!(db.mark_unlinked_blobs(at(10), at(40)).await.unwrap(), 1, "marked anew, later");
}

pub(super) async fn a_manifest_saves_the_blobs_it_links_to(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    assert_eq!(db.mark_unlinked_blobs(at(10), at(20)).await.unwrap(), 1);
    link(&db, "a", &["x"], 25).await;
    assert_eq!(db.remove_unlinked_blobs(at(90), at(90)).await.unwrap(), 0);
    // Even if the mark came at the same time as the link.
    let mark = sql("UPDATE repository_blob SET unlinked_at = $1").bind(at(20));
    assert_eq!(db.change(mark).await.unwrap(), 1);
    assert_eq!(db.remove_unlinked_blobs(at(90), at(90)).await.unwrap(), 0);
}

pub(super) async fn a_blob_that_lost_its_manifest_is_marked_anew(db: Db) {
    store(&db, "a", "x", "o/1", 0).await;
    assert_eq!(db.mark_unlinked_blobs(at(10), at(20)).await.unwrap(), 1);
    let of = link(&db, "a", &["x"], 25).await;
    let deletion = db.delete_manifest(&repository("a"), &of).await.unwrap();
    assert!(matches!(deletion, crate::Deletion::Deleted { .. }));
    assert_eq!(db.remove_unlinked_blobs(at(90), at(90)).await.unwrap(), 0);
    assert_eq!(db.mark_unlinked_blobs(at(90), at(91)).await.unwrap(), 1);
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

pub(super) async fn only_manifests_that_nothing_keeps_are_unreferenced(db: Db) {
    let child = put(&db, "a", "{\"child\":1}", &[], 0).await;
    let untagged = put(&db, "a", "{\"untagged\":1}", &[], 0).await;
    let tagged = put(&db, "a", "{\"tagged\":1}", &["t"], 0).await;
    put(&db, "a", "{\"young\":1}", &[], 50).await;
    let name = repository("a");
    let (index, children, tags) = (digest("{\"index\":1}"), [child], [tag("index")]);
    let new = NewManifest {
        children: &children,
        tags: &tags,
        ..manifest(&name, &index, "{\"index\":1}")
    };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    let (signature, orphan) = (digest("{\"s\":1}"), digest("{\"o\":1}"));
    let absent = digest("absent");
    for (of, bytes, subject) in [(signature, "{\"s\":1}", tagged), (orphan, "{\"o\":1}", absent)] {
        let new = NewManifest { subject: Some(&subject), ..manifest(&name, &of, bytes) };
        assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    }

    // The same bytes as a layer of something do not make it the child of an index.
    store(&db, "a", "{\"untagged\":1}", "o/1", 0).await;
    let layered = link(&db, "a", &["{\"untagged\":1}"], 50).await;
    assert_ne!(layered, untagged);

    let mut expected = vec![(name.clone(), untagged), (name.clone(), orphan)];
    expected.sort_by_key(|(_, digest)| digest.to_string());
    assert_eq!(db.unreferenced_manifests(at(50), 10).await.unwrap(), expected);
    for kept in [child, tagged, index, signature] {
        let change = db.remove_unreferenced_manifest(&name, &kept, at(50)).await.unwrap();
        assert_eq!(change, Change::Unknown);
    }
    let change = db.remove_unreferenced_manifest(&name, &untagged, at(50)).await.unwrap();
    assert_eq!(change, Change::Done);
    assert_eq!(db.unreferenced_manifests(at(50), 10).await.unwrap(), [(name, orphan)]);
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
