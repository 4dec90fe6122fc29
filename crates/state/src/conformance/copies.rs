use super::{at, commit, databases, digest, repository};
use crate::{Begun, Change, Committed, Db, NewUpload, UploadId, meta::Pairing};

/// A database in memory has copies in memory.
#[tokio::test]
async fn a_copy_is_made_of_a_file() {
    let (_directory, db) = databases::in_a_file().await;
    a_copy_has_all_of_one_moment_and_nothing_of_what_came_later(db.clone()).await;
    a_copy_that_cannot_be_written_is_named(db).await;
}

pub(super) async fn a_copy_has_all_of_one_moment_and_nothing_of_what_came_later(db: Db) {
    let folder = tempfile::tempdir().unwrap();
    hold(&db, "a", "early").await;
    let copy = folder.path().join("copy.db");
    db.copy_to(&copy).await.unwrap();
    hold(&db, "a", "later").await;

    let copy = Db::open(&copy).await.unwrap();
    let held = copy.held_blobs(None, 10).await.unwrap();
    assert_eq!(held.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [digest("early")]);
    assert_eq!(db.held_blobs(None, 10).await.unwrap().len(), 2);
}

pub(super) async fn a_copy_names_no_object_that_it_does_not_need(db: Db) {
    hold(&db, "a", "kept").await;
    assert_eq!(commit(&db, "b", "kept", "kept", 0).await, Committed::Stored);
    hold(&db, "a", "let go").await;
    let change = db.delete_blob(&repository("a"), &digest("let go"), at(0)).await.unwrap();
    assert_eq!(change, Change::Done);
    let upload = NewUpload {
        id: UploadId::from_random([1; 16]),
        repository: &repository("a"),
        account: "",
        progress: b"{}",
    };
    assert_eq!(db.begin_upload(&upload, at(0)).await.unwrap(), Begun::Begun);

    db.serving_since(at(1)).await.unwrap();
    db.set_pairing("one", None).await.unwrap();

    db.remove_instance_meta().await.unwrap();
    assert_eq!(db.pairing().await.unwrap(), Pairing::default(), "it has no store yet");
    assert_eq!(db.serving_since(at(9)).await.unwrap(), at(9), "nor was it ever at work");
    assert!(db.uploads(None, 10).await.unwrap().is_empty());
    assert_eq!(db.retire_blobs(at(99), 10).await.unwrap().unkept, 0);
    let holders = db.holders(&digest("kept")).await.unwrap();
    assert_eq!(holders, [repository("a"), repository("b")]);
    assert!(db.holders(&digest("let go")).await.unwrap().is_empty());
}

pub(super) async fn held_blobs_come_page_by_page(db: Db) {
    for content in ["a", "b", "c", "d", "e"] {
        hold(&db, "a", content).await;
    }
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = db.held_blobs(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.digest);
        seen += page.len();
    }
    assert_eq!(seen, 5);
}

async fn a_copy_that_cannot_be_written_is_named(db: Db) {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    std::fs::write(&there, "something").unwrap();
    for path in [there, folder.path().join("none/copy.db")] {
        let error = db.copy_to(&path).await.unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

async fn hold(db: &Db, name: &str, content: &str) {
    assert_eq!(commit(db, name, content, content, 0).await, Committed::Stored);
}
