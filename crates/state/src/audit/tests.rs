//! The chain, its bounds, and what is seen of those who change it.

use std::time::Duration;

use serde_json::json;
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

use super::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn record(seconds: u64, detail: Value) -> AuditRecord {
    AuditRecord {
        at: at(seconds),
        action: "manifest-pushed".to_owned(),
        actor: Some("ann".to_owned()),
        object: Some("ann/app".to_owned()),
        address: Some("192.0.2.7".to_owned()),
        request: Some("0707070707070707-000001".to_owned()),
        detail,
    }
}

/// So many rows, a second apart, from one second on.
async fn write(db: &Db, rows: std::ops::Range<u64>) {
    let records: Vec<_> = rows.map(|n| record(n, json!({ "number": n }))).collect();
    db.append_audit(&records).await.unwrap();
}

async fn in_a_file() -> (tempfile::TempDir, Db) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(&directory.path().join("state.db")).await.unwrap();
    (directory, db)
}

async fn verified(db: &Db) -> Verified {
    db.verify_audit(None).await.unwrap()
}

async fn faults(db: &Db) -> Vec<Fault> {
    verified(db).await.faults
}

async fn head_at(db: &Db, sequence: i64) -> AuditHead {
    let entry = db.audit_after(sequence - 1, 1).await.unwrap().remove(0);
    AuditHead { sequence, hash: entry.hash.unwrap() }
}

fn keep(rows: u64, room: u64) -> Retention {
    Retention { since: Some(at(rows)), max_bytes: room }
}

const ALL: u64 = u64::MAX;

#[tokio::test]
async fn the_chain_goes_through_batches_restarts_and_processes() {
    let (directory, db) = in_a_file().await;
    let path = directory.path().join("state.db");
    write(&db, 0..3).await;
    db.close().await;
    // A server and a management command.
    let [server, command] = [Db::open(&path).await.unwrap(), Db::open(&path).await.unwrap()];
    let both = [server.clone(), command.clone()].map(|db| {
        tokio::spawn(async move {
            for number in 0..20 {
                write(&db, number..number + 2).await;
            }
        })
    });
    for writing in both {
        writing.await.unwrap();
    }
    let verified = verified(&command).await;
    assert_eq!((verified.removed, verified.unchained, verified.chained), (0, 0, 83));
    assert_eq!(verified.faults, []);
    let last = &server.latest_audit(1).await.unwrap()[0];
    assert_eq!((last.sequence, last.hash), (83, verified.head.map(|head| head.hash)));
}

#[tokio::test]
async fn a_record_that_is_taken_back_leaves_no_gap() {
    let (_directory, db) = in_a_file().await;
    write(&db, 0..2).await;
    let mut part = db.write().await.unwrap();
    record(2, json!({})).append(&mut part).await.unwrap();
    drop(part);
    write(&db, 3..5).await;
    let verified = verified(&db).await;
    assert_eq!((verified.chained, verified.faults), (4, vec![]));
}

#[tokio::test]
async fn whoever_changes_a_row_is_seen() {
    for change in [
        "UPDATE audit SET detail = '{\"number\":7}' WHERE sequence = 3",
        "UPDATE audit SET at = at + 1 WHERE sequence = 3",
        "UPDATE audit SET actor = NULL WHERE sequence = 3",
        "UPDATE audit SET actor = 'bob' WHERE sequence = 3",
        "UPDATE audit SET object = NULL, address = object WHERE sequence = 3",
    ] {
        let db = Db::in_memory().await.unwrap();
        write(&db, 0..5).await;
        db.change(sql(change)).await.unwrap();
        assert_eq!(faults(&db).await, [Fault::Changed { sequence: 3 }], "{change}");
        assert_eq!(db.audit_after(0, 10).await.unwrap().len(), 5, "it can be read all the same");
    }
    let db = Db::in_memory().await.unwrap();
    write(&db, 0..5).await;
    db.change(sql("UPDATE audit SET hash = $1 WHERE sequence = 3").bind(&[7; 32][..]))
        .await
        .unwrap();
    let changed = [3, 4].map(|sequence| Fault::Changed { sequence });
    assert_eq!(faults(&db).await, changed);
    db.change(sql("UPDATE audit SET hash = NULL WHERE sequence = 3")).await.unwrap();
    let seen = [Fault::Unchained { sequence: 3 }, Fault::Changed { sequence: 4 }];
    assert!(faults(&db).await.starts_with(&seen[..1]), "{:?}", faults(&db).await);
}

#[tokio::test]
async fn rows_that_are_gone_or_changed_places_are_seen() {
    let db = Db::in_memory().await.unwrap();
    write(&db, 0..9).await;
    db.change(sql("DELETE FROM audit WHERE sequence IN (1, 4, 5)")).await.unwrap();
    let missing = [Fault::Missing { from: 1, to: 1 }, Fault::Missing { from: 4, to: 5 }];
    assert_eq!(faults(&db).await, missing);

    let db = Db::in_memory().await.unwrap();
    write(&db, 0..5).await;
    for change in [
        "UPDATE audit SET sequence = 99 WHERE sequence = 2",
        "UPDATE audit SET sequence = 2 WHERE sequence = 3",
        "UPDATE audit SET sequence = 3 WHERE sequence = 99",
    ] {
        db.change(sql(change)).await.unwrap();
    }
    let swapped = [2, 3, 4].map(|sequence| Fault::Changed { sequence });
    assert_eq!(faults(&db).await, swapped);
}

/// A chain alone cannot show that its end is missing, nor that it was computed anew.
#[tokio::test]
async fn an_end_that_is_gone_is_seen_by_whoever_noted_it() {
    let db = Db::in_memory().await.unwrap();
    write(&db, 0..5).await;
    let noted = verified(&db).await.head.unwrap();
    assert_eq!(noted.sequence, 5);
    let against = async |noted: &AuditHead| db.verify_audit(Some(noted)).await.unwrap().faults;
    write(&db, 5..7).await;
    assert_eq!(against(&noted).await, []);

    db.change(sql("DELETE FROM audit WHERE sequence > 4")).await.unwrap();
    assert_eq!(faults(&db).await, [], "nothing in the trail tells");
    assert_eq!(against(&noted).await, [Fault::Cut { last: 4 }]);
    write(&db, 70..73).await;
    assert_eq!(faults(&db).await, []);
    assert_eq!(against(&noted).await, [Fault::Rewritten { sequence: 5 }]);
}

#[tokio::test]
async fn what_goes_for_its_age_leaves_a_chain_that_holds() {
    let db = Db::in_memory().await.unwrap();
    write(&db, 0..100).await;
    let (early, late) = (head_at(&db, 10).await, head_at(&db, 60).await);
    // A few at a time.
    for _ in 0..4 {
        assert_eq!(db.prune_audit(&keep(40, ALL), at(100), 10).await.unwrap(), 10);
    }
    assert_eq!(db.prune_audit(&keep(40, ALL), at(100), 10).await.unwrap(), 0);
    let verified = verified(&db).await;
    assert_eq!((verified.removed, verified.chained, &*verified.faults), (40, 60, &[][..]));
    let first = &db.audit_after(0, 1).await.unwrap()[0];
    assert_eq!((first.sequence, first.record.at), (41, at(40)));
    let against = async |noted: &AuditHead| db.verify_audit(Some(noted)).await.unwrap().faults;
    assert_eq!(against(&late).await, []);
    assert_eq!(against(&early).await, [Fault::Removed { sequence: 10 }]);
    // Whoever removes more of the beginning by hand does not come by the anchor.
    db.change(sql("DELETE FROM audit WHERE sequence < 45")).await.unwrap();
    assert_eq!(faults(&db).await, [Fault::Missing { from: 41, to: 44 }]);
}

#[tokio::test]
async fn the_last_row_stays_and_the_places_go_on_behind_it() {
    let db = Db::in_memory().await.unwrap();
    write(&db, 0..3).await;
    assert_eq!(db.prune_audit(&keep(50, 0), at(60), 10).await.unwrap(), 2);
    assert_eq!(db.prune_audit(&keep(50, 0), at(60), 10).await.unwrap(), 0);
    write(&db, 51..53).await;
    let verified = verified(&db).await;
    assert_eq!((verified.removed, verified.chained, &*verified.faults), (2, 3, &[][..]));
    assert_eq!(db.latest_audit(1).await.unwrap()[0].sequence, 5);
}

/// A clock that was wrong for a while must neither keep all that is behind it for ever, nor take what is
/// right along.
#[tokio::test]
async fn rows_of_a_clock_that_was_ahead_go_with_those_around_them() {
    let db = Db::in_memory().await.unwrap();
    let year = 365 * 86_400;
    write(&db, 0..2).await;
    write(&db, 10 * year..10 * year + 2).await;
    write(&db, 2..4).await;
    write(&db, year..year + 1).await;
    write(&db, 10 * year..10 * year + 1).await;
    write(&db, year + 1..year + 3).await;
    let now = at(year + 3);
    assert_eq!(db.prune_audit(&keep(year, ALL), now, 100).await.unwrap(), 6);
    assert_eq!(db.prune_audit(&keep(year, ALL), now, 100).await.unwrap(), 0);
    assert_eq!(db.audit_after(0, 1).await.unwrap()[0].record.at, at(year));
}

#[tokio::test]
async fn what_happened_since_a_time_is_found_by_it() {
    let db = Db::in_memory().await.unwrap();
    assert_eq!(db.audit_since(at(0)).await.unwrap(), None);
    write(&db, 0..10).await;
    assert_eq!(db.audit_since(at(7)).await.unwrap(), Some(8));
    assert_eq!(db.audit_since(at(10)).await.unwrap(), None);
}

#[tokio::test]
async fn no_word_of_a_caller_makes_a_row_long() {
    let db = Db::in_memory().await.unwrap();
    let long = "ä\u{1}".repeat(100_000);
    let record = AuditRecord {
        actor: Some(long.clone()),
        object: Some(long.clone()),
        address: Some(long.clone()),
        request: Some(long.clone()),
        ..record(0, json!({ "scope": long }))
    };
    db.append_audit(&[record]).await.unwrap();
    let kept = db.latest_audit(1).await.unwrap().remove(0).record;
    for text in [&kept.actor, &kept.object, &kept.address, &kept.request] {
        let text = text.as_deref().unwrap();
        assert!(text.len() <= MAX_TEXT && text.ends_with('…'), "{text}");
    }
    let detail = kept.detail.to_string();
    assert!(detail.len() <= MAX_DETAIL, "{}", detail.len());
    assert!(kept.detail["length"].as_u64().unwrap() > 200_000);
    assert_eq!(faults(&db).await, []);
}

/// What the bound counts is no less than what the trail takes of the file, and not much more.
#[tokio::test]
async fn the_trail_takes_no_more_room_than_it_may() {
    for length in [0, 60, 150, 400, 700, 1200, 1900, 2600, 3900] {
        let (directory, db) = in_a_file().await;
        let records: Vec<_> = (0..600)
            .map(|n| {
                record(n, json!({ "x": "x".repeat(length + usize::try_from(n).unwrap() * 7 % 97) }))
            })
            .collect();
        for records in records.chunks(50) {
            db.append_audit(records).await.unwrap();
        }
        let counted = db.audit_size().await.unwrap().bytes;
        let taken = pages(&directory).await;
        assert!(taken <= counted + 3 * 4096, "{length}: {taken} of {counted}");
        assert!(counted <= taken * 5 / 2, "{length}: {taken} of {counted}");

        let retention = Retention { since: None, max_bytes: counted / 2 };
        while db.prune_audit(&retention, at(0), 100).await.unwrap() > 0 {}
        let left = db.audit_size().await.unwrap().bytes;
        assert!(left <= counted / 2 && left + 10_000 > counted / 2, "{left} of {counted}");
        let taken = pages(&directory).await;
        assert!(taken <= left + 4 * 4096, "{length}: {taken} of {left} after pruning");
        // What was freed is used again.
        let size = size(&directory).await;
        db.append_audit(&records[..200]).await.unwrap();
        assert!(self::size(&directory).await <= size, "the file has not grown");
        assert_eq!(faults(&db).await, []);
        db.close().await;
    }
}

/// Bytes of the pages that hold the trail and its index.
async fn pages(directory: &tempfile::TempDir) -> u64 {
    number(
        directory,
        "SELECT SUM(pgsize) FROM dbstat WHERE name IN ('audit', 'audit_at') AND aggregate = TRUE",
    )
    .await
}

async fn size(directory: &tempfile::TempDir) -> u64 {
    number(directory, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        .await
}

async fn number(directory: &tempfile::TempDir, statement: &'static str) -> u64 {
    let path = directory.path().join("state.db");
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let number: i64 = sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap();
    number.try_into().unwrap()
}
