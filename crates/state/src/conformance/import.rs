use portpass_protocol::Digest;

use super::{at, commit, digest, manifest as new_manifest, put, repository, tag};
use crate::{
    Committed, Db, HeldBlob, Imported, ImportedManifest, ImportedRepository, ImportedRows,
    ImportedTag, NewManifest,
};

fn held(content: &str, location: &str) -> HeldBlob {
    HeldBlob { digest: digest(content), location: location.to_owned(), size: 3 }
}

/// One image of one layer, whose manifest was pushed at 5 and tagged at `tagged`.
async fn import(db: &Db, blobs: &[HeldBlob], tagged: u64, now: u64) -> Imported {
    let (name, layer, manifest) = (repository("a"), [digest("x")], digest("m"));
    let new = NewManifest { blobs: &layer, ..new_manifest(&name, &manifest, "m") };
    let manifests = [ImportedManifest { manifest: new, pushed_at: at(5) }];
    let tags = [ImportedTag { tag: tag("v1"), digest: manifest, tagged_at: at(tagged) }];
    let part =
        ImportedRepository { name: &name, blobs: &layer, manifests: &manifests, tags: &tags };
    db.import(blobs, &[part], at(now)).await.unwrap()
}

pub(super) async fn what_was_reserved_and_imported_is_there_as_if_pushed(db: Db) {
    db.reserve_locations(&["o/1"], at(10)).await.unwrap();
    assert!(db.known_locations(&["o/1".to_owned()]).await.unwrap().contains("o/1"));
    let done = import(&db, &[held("x", "o/1")], 6, 11).await;
    let rows = ImportedRows { repositories: 1, blobs: 1, manifests: 1, tags: 1 };
    assert_eq!(done, Imported::Done(rows));
    assert!(db.garbage(at(99), 10).await.unwrap().is_empty());
    let name = repository("a");
    assert_eq!(db.blob(&name, &digest("x")).await.unwrap().unwrap().location, "o/1");
    assert_eq!(db.blobs_among(&[digest("x"), digest("y")]).await.unwrap(), [held("x", "o/1")]);
    let manifests = db.manifests_among(&name, &[digest("m"), digest("n")]).await.unwrap();
    assert_eq!(manifests.into_iter().collect::<Vec<Digest>>(), [digest("m")]);
    let tags = db.tags_among(&name, &[tag("v1"), tag("v2")]).await.unwrap();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [(tag("v1"), (digest("m"), at(6)))]);
    assert_eq!(db.manifest_digests(&name, None, 9).await.unwrap().items, [digest("m")]);
    assert_eq!(db.blobs_of(&name, None, 9).await.unwrap().items, [held("x", "o/1")]);
    assert_eq!(db.tagged(&name, None, 9).await.unwrap().items, [(tag("v1"), digest("m"))]);
    assert!(db.tagged(&name, Some("v1"), 9).await.unwrap().items.is_empty());
}

/// Whoever was killed between the two steps leaves what the collector removes by itself.
pub(super) async fn what_was_reserved_alone_is_garbage(db: Db) {
    db.reserve_locations(&["o/1", "o/2"], at(10)).await.unwrap();
    assert!(db.garbage(at(10 + 3_600), 10).await.unwrap().is_empty(), "whoever copies takes long");
    let garbage = db.garbage(at(11 + 3_600), 10).await.unwrap();
    assert_eq!(garbage.len(), 2);
    db.remove_garbage_rows(&["o/1"]).await.unwrap();
    assert_eq!(import(&db, &[held("x", "o/1")], 6, 12).await, Imported::ClearedAway);
    assert!(!db.repository_exists(&repository("a")).await.unwrap(), "nothing was changed");
    assert_eq!(import(&db, &[], 6, 13).await, Imported::ClearedAway, "its blob is not here");
}

pub(super) async fn a_blob_that_was_pushed_meanwhile_stays_and_the_new_object_is_garbage(db: Db) {
    db.reserve_locations(&["o/1"], at(10)).await.unwrap();
    assert_eq!(commit(&db, "b", "x", "o/2", 11).await, Committed::Stored);
    let Imported::Done(rows) = import(&db, &[held("x", "o/1")], 6, 12).await else { panic!() };
    assert_eq!(rows.blobs, 0);
    let garbage = db.garbage(at(9_999), 10).await.unwrap();
    assert_eq!(garbage.iter().map(|one| one.location.as_str()).collect::<Vec<_>>(), ["o/1"]);
    assert_eq!(db.blob(&repository("a"), &digest("x")).await.unwrap().unwrap().location, "o/2");
}

pub(super) async fn an_import_moves_a_tag_forward_and_never_back(db: Db) {
    db.reserve_locations(&["o/1"], at(10)).await.unwrap();
    let first = import(&db, &[held("x", "o/1")], 20, 11).await;
    assert!(matches!(first, Imported::Done(rows) if rows.tags == 1));
    let again = import(&db, &[], 20, 12).await;
    assert!(matches!(again, Imported::Done(rows) if rows.tags == 0 && rows.repositories == 0));
    put(&db, "a", "other", &["v1"], 30).await;
    let older = import(&db, &[], 29, 31).await;
    assert!(matches!(older, Imported::Done(rows) if rows.tags == 0), "pushed here since");
    let newer = import(&db, &[], 32, 33).await;
    assert!(matches!(newer, Imported::Done(rows) if rows.tags == 1), "{newer:?}");
}
