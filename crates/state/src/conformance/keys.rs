use super::{at, record};
use crate::{Db, KeyPhase, KeyRing, KeyRole, KeyRow, StateError, Swap, sql::sql};

pub(super) async fn a_new_ring_is_empty(db: Db) {
    assert_eq!(db.key_ring().await.unwrap(), KeyRing { version: 0, keys: vec![] });
    assert_eq!(db.key_ring_version().await.unwrap(), 0);
}

pub(super) async fn a_ring_comes_back_as_it_was_put(db: Db) {
    let keys = vec![
        key("root", KeyRole::Root),
        key("c", KeyRole::Leaf(KeyPhase::Retired { until: at(300) })),
        key("b", KeyRole::Leaf(KeyPhase::Signing { since: at(0) })),
        key("a", KeyRole::Leaf(KeyPhase::Announced { signs_from: at(100) })),
    ];
    let audit = [record("key-announced", 1), record("key-promoted", 1)];
    let swap = db.replace_key_ring(0, &keys, &audit).await.unwrap();
    assert_eq!(swap, Swap::Done { version: 1 });
    assert_eq!(db.key_ring().await.unwrap(), KeyRing { version: 1, keys: keys.clone() });
    assert_eq!(db.latest_audit(10).await.unwrap().len(), 2);

    let swap = db.replace_key_ring(1, &keys[..1], &[]).await.unwrap();
    assert_eq!(swap, Swap::Done { version: 2 });
    let ring = db.key_ring().await.unwrap();
    assert_eq!(ring, KeyRing { version: 2, keys: keys[..1].to_vec() });
    assert_eq!(db.key_ring_version().await.unwrap(), 2);
}

/// Replicas may race. The loser reloads.
pub(super) async fn of_two_changes_from_one_version_one_is_lost(db: Db) {
    let (ours, theirs) = ([key("ours", KeyRole::Root)], [key("theirs", KeyRole::Root)]);
    let (our_audit, their_audit) = ([record("ours", 0)], [record("theirs", 0)]);
    let (first, second) = tokio::join!(
        db.replace_key_ring(0, &ours, &our_audit),
        db.replace_key_ring(0, &theirs, &their_audit),
    );
    let winner = match (first.unwrap(), second.unwrap()) {
        (Swap::Done { version: 1 }, Swap::Lost { version: 1 }) => "ours",
        (Swap::Lost { version: 1 }, Swap::Done { version: 1 }) => "theirs",
        both => panic!("one must win and one must lose: {both:?}"),
    };
    let ring = db.key_ring().await.unwrap();
    assert_eq!(ring.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), [winner]);
    let trail = db.latest_audit(10).await.unwrap();
    assert_eq!(trail.iter().map(|e| e.record.action.as_str()).collect::<Vec<_>>(), [winner]);
}

pub(super) async fn a_key_in_no_phase_is_inconsistent(db: Db) {
    let swap = db.replace_key_ring(0, &[key("root", KeyRole::Root)], &[]).await.unwrap();
    assert_eq!(swap, Swap::Done { version: 1 });
    for change in [
        sql("UPDATE signing_key SET phase = 'signing'"),
        sql("UPDATE signing_key SET phase = 'lost', phase_at = 5"),
        sql("UPDATE signing_key SET phase = 'root'"),
    ] {
        db.change(change).await.unwrap();
        let error = db.key_ring().await.unwrap_err();
        assert!(matches!(error, StateError::Inconsistent { .. }), "{error}");
    }
}

pub(super) async fn the_first_value_of_a_fact_counts(db: Db) {
    assert_eq!(db.meta("installed").await.unwrap(), None);
    assert_eq!(db.meta_or_set("installed", "now").await.unwrap(), "now");
    assert_eq!(db.meta_or_set("installed", "later").await.unwrap(), "now");
    db.set_meta("installed", "again").await.unwrap();
    assert_eq!(db.meta("installed").await.unwrap().as_deref(), Some("again"));
}

/// The store has what was written last, or what was before if the start that wrote it was broken off.
pub(super) async fn a_pairing_counts_with_the_one_before_until_that_is_let_go(db: Db) {
    assert!(!db.pairing().await.unwrap().is_of("one"));
    for (before, of) in [(None, [false, true]), (Some("one"), [true, true])] {
        db.set_pairing("two", before).await.unwrap();
        let pairing = db.pairing().await.unwrap();
        assert_eq!(["one", "two"].map(|known| pairing.is_of(known)), of);
    }
}

/// What a refused start has begun is not begun anew: the store may have the id by then.
pub(super) async fn a_copy_becomes_an_installation_once(db: Db) {
    db.become_installation("one", at(1)).await.unwrap();
    db.become_installation("two", at(2)).await.unwrap();
    assert_eq!(db.installation("three").await.unwrap(), "one");
    assert_eq!(db.serving_since(at(9)).await.unwrap(), at(1));
    db.serving_anew(at(3)).await.unwrap();
    assert_eq!(db.serving_since(at(9)).await.unwrap(), at(3));
}

pub(super) async fn the_trail_keeps_its_order_and_is_read_from_both_ends(db: Db) {
    let records: Vec<_> = (0..5).map(|number| record(&format!("action-{number}"), 0)).collect();
    db.append_audit(&records[..3]).await.unwrap();
    db.append_audit(&[]).await.unwrap();
    db.append_audit(&records[3..]).await.unwrap();

    let from_the_start = db.audit_after(0, 3).await.unwrap();
    let of = |entries: &[crate::AuditEntry]| {
        entries.iter().map(|e| e.record.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(&from_the_start), records[..3]);
    let rest = db.audit_after(from_the_start[2].sequence, 10).await.unwrap();
    assert_eq!(of(&rest), records[3..]);
    let latest = db.latest_audit(2).await.unwrap();
    assert_eq!(of(&latest), [records[4].clone(), records[3].clone()]);
}

fn key(id: &str, role: KeyRole) -> KeyRow {
    KeyRow {
        id: id.to_owned(),
        role,
        algorithm: "ES256".to_owned(),
        certificate: vec![0x30, 0, 0xff],
        sealed: id.as_bytes().to_vec(),
        created_at: at(0),
    }
}
