//! Upload sessions with two writers, or with one that does not come to its end.

use std::{sync::atomic::Ordering, time::Duration};

use http::{Method, StatusCode, header};
use portpass_protocol::Digest;
use portpass_state::{Lease, LeaseOwner, Leased, UploadId};

use crate::{
    harness::{Halted, Harness, Wire, content, on_both_stores, request},
    staged::{Point, Staged},
};

on_both_stores![
    a_second_writer_is_told_the_offset_and_has_written_nothing,
    what_had_arrived_when_the_body_broke_off_is_kept,
    what_had_arrived_when_the_last_chunk_broke_off_is_kept,
    a_client_that_hangs_up_stops_nothing_half_way,
    a_writer_that_died_blocks_the_session_for_a_minute,
    a_writer_that_was_overtaken_has_changed_nothing,
    a_session_cancelled_under_its_writer_stays_cancelled,
];

const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

async fn a_second_writer_is_told_the_offset_and_has_written_nothing(registry: Harness) {
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello").await;
    let (wire, body) = Wire::new();
    let first = tokio::spawn(registry.answer(request(Method::PATCH, &session, [], body)));
    wire.send(" wor").await;
    wire.taken().await;
    let digest = Digest::sha256(b"hello");
    for second in [
        registry.patch(&session, " there").await,
        registry.chunk(&session, "5-10", " there").await,
        registry.put(&session, &digest, "").await,
    ] {
        assert_eq!(second.refusal(), (416, "RANGE_INVALID".into()));
        assert_eq!((second.location(), second.header("range")), (session.clone(), "0-4".into()));
    }
    assert_eq!(registry.progress(&session).await, "0-4");
    wire.send("ld").await;
    drop(wire);
    assert_eq!(first.await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(registry.progress(&session).await, "0-10");
    assert_eq!(registry.stored().await, 11);
    let created = registry.put(&session, &Digest::sha256(b"hello world"), "").await;
    assert_eq!(created.status, StatusCode::CREATED);
}

async fn what_had_arrived_when_the_body_broke_off_is_kept(registry: Harness) {
    let content = content(2_000_000);
    let session = registry.session("team/app").await;
    let (wire, body) = Wire::new();
    let sending = registry.answer(request(Method::PATCH, &session, [], body));
    let (refused, ()) = tokio::join!(sending, async {
        for piece in content[..1_234_567].chunks(100_000) {
            wire.send(piece.to_vec()).await;
        }
        wire.break_off().await;
    });
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(registry.progress(&session).await, "0-1234566");
    let rest = registry.chunk(&session, "1234567-1999999", content[1_234_567..].to_vec()).await;
    assert_eq!(rest.status, StatusCode::ACCEPTED);
    let created = registry.put(&session, &Digest::sha256(&content), "").await;
    assert!(registry.get(&created.location()).await.body == content);
}

async fn what_had_arrived_when_the_last_chunk_broke_off_is_kept(registry: Harness) {
    let digest = Digest::sha256(b"hello world");
    let session = registry.session("team/app").await;
    let (wire, body) = Wire::new();
    let path = format!("{session}?digest={digest}");
    let sending = registry.answer(request(Method::PUT, &path, [], body));
    let (refused, ()) = tokio::join!(sending, async {
        wire.send("hello").await;
        wire.break_off().await;
    });
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(registry.progress(&session).await, "0-4");
    assert_eq!(registry.put(&session, &digest, " world").await.status, StatusCode::CREATED);
}

/// A server drops the handler of a client that hangs up, and the body breaks off.
async fn a_client_that_hangs_up_stops_nothing_half_way(registry: Harness) {
    let session = registry.session("team/app").await;
    let (wire, body) = Wire::new();
    let handler = tokio::spawn(registry.answer(request(Method::PATCH, &session, [], body)));
    wire.send("hello").await;
    wire.taken().await;
    handler.abort();
    assert!(handler.await.unwrap_err().is_cancelled());
    wire.break_off().await;
    registry.until(async || registry.progress(&session).await == "0-4").await;
    let digest = Digest::sha256(b"hello world");
    assert_eq!(registry.put(&session, &digest, " world").await.status, StatusCode::CREATED);
}

async fn a_writer_that_died_blocks_the_session_for_a_minute(registry: Harness) {
    let session = registry.session("team/app").await;
    let (name, id) = named(&session);
    let now = registry.now();
    let until = now + Duration::from_mins(1);
    let leased = registry.db.lease_upload(&name, id, owner(), until, now).await.unwrap();
    assert!(matches!(leased, Leased::Taken { .. }));
    assert_eq!(registry.patch(&session, "hello").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    registry.clock.advance(Duration::from_secs(59));
    assert_eq!(registry.patch(&session, "hello").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    registry.clock.advance(Duration::from_secs(1));
    assert_eq!(registry.patch(&session, "hello").await.status, StatusCode::ACCEPTED);
}

/// A process that was stopped for longer than its lease comes back.
async fn a_writer_that_was_overtaken_has_changed_nothing(registry: Harness) {
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello").await;
    for (finishing, length) in [(false, 11), (true, 17)] {
        let (wire, body) = Wire::new();
        let request = if finishing {
            let digest = Digest::sha256(b"hello world there");
            request(Method::PUT, &format!("{session}?digest={digest}"), [], body)
        } else {
            request(Method::PATCH, &session, [], body)
        };
        let slow = tokio::spawn(registry.answer(request));
        wire.send(" there").await;
        wire.taken().await;
        registry.clock.advance(Duration::from_mins(2));
        assert_eq!(registry.patch(&session, " world").await.status, StatusCode::ACCEPTED);
        let progress = registry.progress(&session).await;
        drop(wire);
        let slow = slow.await.unwrap();
        assert_eq!(slow.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(slow.headers()[header::RANGE], progress);
        assert_eq!(registry.progress(&session).await, progress);
        assert_eq!(registry.stored().await, length, "what the session has, and no more");
    }
    let digest = Digest::sha256(b"hello world world");
    assert_eq!(registry.put(&session, &digest, "").await.status, StatusCode::CREATED);
}

/// What it has written lies behind what the row counts, and more follows while another goes on.
#[tokio::test]
async fn a_writer_that_was_overtaken_in_the_middle_has_changed_nothing() {
    let registry = Harness::on_files().await;
    let half = content(1_000_000);
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello").await;
    let (wire, body) = Wire::new();
    let slow = tokio::spawn(registry.answer(request(Method::PATCH, &session, [], body)));
    wire.send(half.clone()).await;
    registry.until(async || registry.stored().await > 5).await;
    registry.clock.advance(Duration::from_mins(2));
    assert_eq!(registry.patch(&session, " world").await.status, StatusCode::ACCEPTED);
    assert_eq!(registry.objects().await.len(), 2, "one is not for us to write to");
    wire.send(half).await;
    drop(wire);
    assert_eq!(slow.await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(registry.progress(&session).await, "0-10");
    let digest = Digest::sha256(b"hello world");
    assert_eq!(registry.put(&session, &digest, "").await.status, StatusCode::CREATED);
    assert_eq!(registry.stored().await, 11);
}

async fn a_session_cancelled_under_its_writer_stays_cancelled(registry: Harness) {
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello").await;
    let (wire, body) = Wire::new();
    let writer = tokio::spawn(registry.answer(request(Method::PATCH, &session, [], body)));
    wire.send(" world").await;
    wire.taken().await;
    assert_eq!(registry.delete(&session).await.status, StatusCode::NO_CONTENT);
    drop(wire);
    assert_eq!(writer.await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(registry.get(&session).await.status, StatusCode::NOT_FOUND);
    assert_eq!(registry.objects().await, []);
}

/// However slow the client is, nobody takes its session; and when it is cancelled, its body is not
/// read to the end.
#[tokio::test]
async fn a_lease_is_renewed_while_its_request_is_at_work() {
    let registry = Harness::in_memory().await;
    let session = registry.session("team/app").await;
    let (name, id) = named(&session);
    let until = async || match registry.db.upload(&name, id).await.unwrap().unwrap().lease {
        Lease::Held { until, .. } => until,
        Lease::Free => panic!("the lease was given up"),
    };
    let (wire, body) = Wire::new();
    let writer = tokio::spawn(registry.answer(request(Method::PATCH, &session, [], body)));
    wire.send("hello").await;
    wire.taken().await;
    let _halted = Halted::time();
    for _ in 0..10 {
        let before = until().await;
        registry.clock.advance(Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(30)).await;
        registry.until(async || until().await > before).await;
        wire.send(" and").await;
        wire.taken().await;
        assert_eq!(registry.patch(&session, "!").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    }
    registry.delete(&session).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    registry.until(async || wire.is_closed()).await;
    assert_eq!(writer.await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(registry.objects().await, []);
}

/// A client whose machine was switched off says nothing more, not even that it is gone: what it sent
/// is kept, and when it is back it goes on.
#[tokio::test]
async fn a_client_that_falls_silent_is_not_waited_for() {
    let registry = Harness::in_memory().await;
    let session = registry.session("team/app").await;
    let (wire, body) = Wire::new();
    let writer = tokio::spawn(registry.answer(request(Method::PATCH, &session, [], body)));
    wire.send("hello").await;
    wire.taken().await;
    let _halted = Halted::time();
    tokio::time::advance(Duration::from_secs(119)).await;
    assert_eq!(registry.patch(&session, "!").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert!(!wire.is_closed());
    tokio::time::advance(Duration::from_secs(2)).await;
    registry.until(async || writer.is_finished()).await;
    assert_eq!(writer.await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(registry.progress(&session).await, "0-4");
    let digest = Digest::sha256(b"hello world");
    assert_eq!(registry.put(&session, &digest, " world").await.status, StatusCode::CREATED);
}

/// Nobody's fault: the client may come back, and goes on where it was.
#[tokio::test]
async fn a_full_disk_is_503_and_costs_nothing_but_the_chunk() {
    let (store, harness) = Staged::in_memory().await;
    let session = harness.session("team/app").await;
    harness.patch(&session, "hello").await;
    store.full.store(true, Ordering::Relaxed);
    let digest = Digest::sha256(b"hello world");
    for refused in [
        harness.patch(&session, " world").await,
        harness.put(&session, &digest, " world").await,
        harness
            .send(request(Method::POST, &format!("{UPLOADS}?digest={digest}"), [], "hello world"))
            .await,
    ] {
        assert_eq!(refused.refusal(), (503, "UNAVAILABLE".into()));
        assert!(!refused.header("retry-after").is_empty());
    }
    assert_eq!(harness.progress(&session).await, "0-4");
    store.full.store(false, Ordering::Relaxed);
    assert_eq!(harness.put(&session, &digest, " world").await.status, StatusCode::CREATED);
}

/// A finish whose blob lies in the store already, but has no row yet, when somebody else cancels the
/// session or goes on with it.
#[tokio::test]
async fn what_loses_its_session_in_the_last_moment_has_changed_nothing() {
    for pieces in [vec!["hello"], vec!["hello", " world"]] {
        for with_the_last in [false, true] {
            for cancelled in [false, true] {
                for (store, registry) in Staged::both().await {
                    lose_in_the_last_moment(&store, &registry, &pieces, with_the_last, cancelled)
                        .await;
                }
            }
        }
    }
}

async fn lose_in_the_last_moment(
    store: &Staged,
    registry: &Harness,
    pieces: &[&'static str],
    with_the_last: bool,
    cancelled: bool,
) {
    let session = registry.session("team/app").await;
    let (last, before) = pieces.split_last().unwrap();
    let (sent, body) = if with_the_last { (before, *last) } else { (pieces, "") };
    for piece in sent {
        registry.patch(&session, *piece).await;
    }
    let objects = registry.objects().await.len();
    let (all, digest) = (pieces.concat(), Digest::sha256(pieces.concat().as_bytes()));
    let path = format!("{session}?digest={digest}");
    let held = store.hold(Point::AfterCommit);
    let finishing = tokio::spawn(registry.answer(request(Method::PUT, &path, [], body)));
    registry.until(async || held.waiting() == 1).await;
    if cancelled {
        assert_eq!(registry.delete(&session).await.status, StatusCode::NO_CONTENT);
    } else {
        registry.clock.advance(Duration::from_mins(2));
        assert_eq!(registry.patch(&session, "!").await.status, StatusCode::ACCEPTED);
    }
    drop(held);
    let status = finishing.await.unwrap().status();
    let blob = format!("/v2/team/app/blobs/{digest}");
    assert_eq!(registry.get(&blob).await.status, StatusCode::NOT_FOUND);
    if cancelled {
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(registry.objects().await, []);
        return;
    }
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(registry.objects().await.len(), objects + 1);
    let other = if with_the_last { before.concat() } else { all } + "!";
    let created = registry.put(&session, &Digest::sha256(other.as_bytes()), "").await;
    assert_eq!(registry.get(&created.location()).await.body, other);
    assert_eq!(registry.objects().await.len(), 1);
}

fn named(session: &str) -> (portpass_protocol::RepositoryName, UploadId) {
    let id = session.rsplit('/').next().unwrap().parse().unwrap();
    ("team/app".parse().unwrap(), id)
}

fn owner() -> LeaseOwner {
    LeaseOwner::from_random([7; 16])
}
