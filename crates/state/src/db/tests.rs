//! What is true of the file, and of several processes that share it.

use std::os::unix::fs::PermissionsExt as _;

use portpass_protocol::{Digest, Reference, RepositoryName};

use super::*;
use crate::{AbsentChildren, Deletion, NewManifest, PutManifest};

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let (directory, path) = place();
    let db = Db::open(&path).await.unwrap();
    db.set_meta("a", "b").await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["state.db", "state.db-shm", "state.db-wal"]);
}

/// An acknowledged write is on the disk.
#[tokio::test]
async fn writes_are_synced_and_readers_cannot_write() {
    let (_directory, path) = place();
    let db = Db::open(&path).await.unwrap();
    let pragma = async |connections: &Connections, statement, column| {
        connections.first(sql(statement)).await.unwrap().unwrap().integer(column).unwrap()
    };
    assert_eq!(pragma(&db.outside(), "PRAGMA synchronous", "synchronous").await, 2, "FULL");
    assert_eq!(pragma(&db.outside(), "PRAGMA foreign_keys", "foreign_keys").await, 1);
    let mode = db.outside().first(sql("PRAGMA journal_mode")).await.unwrap().unwrap();
    assert_eq!(mode.text("journal_mode").unwrap(), "wal");
    let attempt = db.read().run(sql("DELETE FROM meta")).await;
    assert!(matches!(attempt, Err(StateError::Unavailable(_))), "{attempt:?}");
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let (_directory, path) = place();
    let name: RepositoryName = "library/alpine".parse().unwrap();
    let digest = Digest::sha256(b"{}");
    let db = Db::open(&path).await.unwrap();
    assert_eq!(put(&db, &name, &digest).await, PutManifest::Stored);
    db.close().await;
    assert!(matches!(db.ping().await, Err(StateError::Unavailable(_))), "closed is closed");

    let db = Db::open(&path).await.unwrap();
    db.ping().await.unwrap();
    let manifest = db.manifest(&name, &Reference::Digest(digest)).await.unwrap();
    assert_eq!(manifest.unwrap().bytes, "{}");
}

/// A deletion has done its part, and is not committed: what is read then must not be remembered.
#[tokio::test]
async fn what_is_read_beside_a_write_that_waits_for_others_is_forgotten_with_it() {
    let (_directory, path) = place();
    let name: RepositoryName = "library/alpine".parse().unwrap();
    let digest = Digest::sha256(b"{}");
    let db = Db::open(&path).await.unwrap().with_cache();
    assert_eq!(put(&db, &name, &digest).await, PutManifest::Stored);
    let is_there = async || {
        let found = db.manifest(&name, &Reference::Digest(digest)).await;
        found.unwrap().is_some()
    };
    let before = db.write().await.unwrap();
    let deletion = tokio::spawn({
        let (db, name) = (db.clone(), name.clone());
        async move { db.delete_manifest(&name, &digest).await }
    });
    tokio::task::yield_now().await;
    let other = tokio::spawn({
        let db = db.clone();
        async move { db.write().await }
    });
    tokio::task::yield_now().await;
    before.commit().await.unwrap();
    // Its turn comes behind the deletion.
    let other = other.await.unwrap().unwrap();
    assert!(is_there().await && !deletion.is_finished());
    other.commit().await.unwrap();
    let deletion = deletion.await.unwrap().unwrap();
    assert_eq!(deletion, Deletion::Deleted { tags: Vec::new() });
    assert!(!is_there().await);
}

/// Two processes have the database open: what one remembers is what the other has not changed.
#[tokio::test]
async fn what_another_process_changed_is_forgotten() {
    let (_directory, path) = place();
    let name: RepositoryName = "library/alpine".parse().unwrap();
    let digest = Digest::sha256(b"{}");
    let serving = Db::open(&path).await.unwrap().with_cache();
    let command = Db::open(&path).await.unwrap();
    assert_eq!(put(&serving, &name, &digest).await, PutManifest::Stored);
    let is_there = async || {
        let found = serving.manifest(&name, &Reference::Digest(digest)).await;
        found.unwrap().is_some()
    };
    assert!(serving.forget_foreign_writes().await.unwrap(), "it cannot tell at first");
    assert!(is_there().await);
    serving.set_meta("a", "b").await.unwrap();
    assert!(!serving.forget_foreign_writes().await.unwrap(), "its own writes");
    let turns = serving.write_turns();
    assert_ne!(command.delete_manifest(&name, &digest).await.unwrap(), Deletion::Unknown);
    assert!(is_there().await, "nobody told it");
    assert!(serving.forget_foreign_writes().await.unwrap());
    assert!(!is_there().await);
    assert!(!serving.forget_foreign_writes().await.unwrap());
    assert_eq!(serving.write_turns(), turns + 2);
}

/// SQLite ends a transaction by itself where the disk is full or a sync fails.
#[tokio::test]
async fn a_transaction_that_sqlite_has_ended_hinders_no_later_one() {
    let (_directory, path) = place();
    let db = Db::open(&path).await.unwrap();
    for committed in [false, true] {
        let mut write = db.write().await.unwrap();
        write.run(sql("INSERT INTO meta (name, value) VALUES ('lost', '')")).await.unwrap();
        write.run(sql("ROLLBACK")).await.unwrap();
        if committed {
            assert!(matches!(write.commit().await, Err(StateError::Unavailable(_))));
        } else {
            drop(write);
        }
        db.write().await.unwrap().commit().await.unwrap();
        assert_eq!(db.meta("lost").await.unwrap(), None);
    }
    // One that is given up is rolled back, and its connection stays.
    let mut write = db.write().await.unwrap();
    write.run(sql("PRAGMA cache_size = 777")).await.unwrap();
    write.run(sql("INSERT INTO meta (name, value) VALUES ('lost', '')")).await.unwrap();
    drop(write);
    let size = db.outside().first(sql("PRAGMA cache_size")).await.unwrap().unwrap();
    assert_eq!(size.integer("cache_size").unwrap(), 777);
    assert_eq!(db.meta("lost").await.unwrap(), None);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    let (_directory, path) = place();
    let db = Db::open(&path).await.unwrap();
    let newer = sql("INSERT INTO schema_version (version, checksum) VALUES (99, 'x')");
    db.change(newer).await.unwrap();
    db.close().await;
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StateError::Newer { found: 99, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("version 99") && text.contains("newer portpass"), "{text}");
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let (_directory, path) = place();
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut other = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE theirs (id INTEGER)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StateError::Foreign), "{error:?}");
}

#[tokio::test]
async fn a_migration_with_another_text_is_noticed() {
    let (_directory, path) = place();
    let db = Db::open(&path).await.unwrap();
    let altered = sql("UPDATE schema_version SET checksum = 'sha256:other' WHERE version = 1");
    db.change(altered).await.unwrap();
    db.close().await;
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StateError::Altered { version: 1 }), "{error:?}");
}

#[tokio::test]
async fn what_cannot_be_a_database_is_named() {
    let (directory, path) = place();
    std::fs::write(&path, "not a database, but long enough to have had a header".repeat(9))
        .unwrap();
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StateError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("state.db"), "{error}");

    let error = Db::open(&directory.path().join("absent/state.db")).await.unwrap_err();
    assert!(matches!(error, StateError::Open { .. }), "{error:?}");
    assert!(error.to_string().contains("absent/state.db"), "{error}");
    assert!(matches!(Db::open(directory.path()).await, Err(StateError::Open { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_first_starts_at_once_make_one_database() {
    let (_directory, path) = place();
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..8 {
        let path = path.clone();
        starts.spawn(async move {
            let db = Db::open(&path).await.unwrap();
            db.meta_or_set("installed", &number.to_string()).await.unwrap()
        });
    }
    let answers = starts.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

/// A management command works while the server does, and the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_in_turn_and_see_each_other() {
    let (_directory, path) = place();
    let (server, command) = (Db::open(&path).await.unwrap(), Db::open(&path).await.unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for (number, db) in [server.clone(), command.clone()].into_iter().cycle().take(20).enumerate() {
        writers.spawn(async move { db.set_meta(&format!("k{number}"), "v").await });
    }
    for outcome in writers.join_all().await {
        outcome.unwrap();
    }
    for db in [server, command] {
        let count = sql("SELECT COUNT(*) AS facts FROM meta");
        let row = db.read().first(count).await.unwrap().unwrap();
        assert_eq!(row.integer("facts").unwrap(), 20);
    }
}

/// A handler whose client hung up is dropped in the middle.
#[tokio::test]
async fn a_dropped_transaction_changes_nothing_and_blocks_nobody() {
    let (_directory, path) = place();
    for db in [Db::open(&path).await.unwrap(), Db::in_memory().await.unwrap()] {
        let mut write = db.write().await.unwrap();
        write.run(sql("INSERT INTO meta (name, value) VALUES ('half', 'done')")).await.unwrap();
        drop(write);
        assert_eq!(db.meta("half").await.unwrap(), None);
        db.set_meta("half", "whole").await.unwrap();
        assert_eq!(db.meta("half").await.unwrap().as_deref(), Some("whole"));
    }
}

/// Reads go on while somebody writes, and see what was committed.
#[tokio::test]
async fn readers_do_not_wait_for_the_writer() {
    let (_directory, path) = place();
    let db = Db::open(&path).await.unwrap();
    db.set_meta("a", "before").await.unwrap();
    let mut write = db.write().await.unwrap();
    write.run(sql("UPDATE meta SET value = 'after'")).await.unwrap();
    assert_eq!(db.meta("a").await.unwrap().as_deref(), Some("before"));
    write.commit().await.unwrap();
    assert_eq!(db.meta("a").await.unwrap().as_deref(), Some("after"));
}

/// Enough to be put into a database that holds nothing else.
async fn put(db: &Db, repository: &RepositoryName, digest: &Digest) -> PutManifest {
    let manifest = NewManifest {
        repository,
        digest,
        media_type: "application/json",
        bytes: b"{}",
        blobs: &[],
        children: &[],
        absent_children: AbsentChildren::Refused,
        subject: None,
        artifact_type: None,
        annotations: None,
        tags: &[],
        immutable: &[],
    };
    db.put_manifest(&manifest, std::time::SystemTime::UNIX_EPOCH).await.unwrap()
}

fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    (directory, path)
}
