//! Upload sessions as clients see them: protocol.md OC7, OC9, OC11 to OC14, OC20.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::body::Body;
use http::{Method, StatusCode, header};
use portpass_protocol::Digest;
use portpass_registry::{Deletes, Guard};
use portpass_state::{Lease, LeaseOwner, Leased, UploadId};
use proptest::prelude::*;

use crate::{
    harness::{Halted, Harness, Wire, content, on_both_stores, request, sha512},
    troubled::Troubled,
};

on_both_stores![
    a_session_says_where_it_is_and_how_far,
    a_stream_and_an_empty_put_make_a_blob,
    one_put_with_everything_makes_a_blob,
    chunks_in_order_make_a_blob,
    a_chunk_out_of_order_is_told_where_to_go_on,
    a_last_chunk_out_of_order_is_told_too,
    a_chunk_that_is_not_as_long_as_it_says_is_refused,
    a_content_range_in_another_form_is_refused,
    a_wrong_digest_leaves_the_session_as_it_was,
    a_put_without_a_usable_digest_changes_nothing,
    sha512_is_hashed_along_or_afterwards,
    a_cancelled_session_is_gone_with_what_it_held,
    a_session_belongs_to_its_repository,
    a_session_that_never_was_is_unknown,
    a_finished_session_is_gone_and_so_are_its_segments,
    a_second_writer_is_told_the_offset_and_has_written_nothing,
    what_had_arrived_when_the_body_broke_off_is_kept,
    what_had_arrived_when_the_last_chunk_broke_off_is_kept,
    a_client_that_hangs_up_stops_nothing_half_way,
    a_writer_that_died_blocks_the_session_for_a_minute,
    a_writer_that_was_overtaken_has_changed_nothing,
    a_session_cancelled_under_its_writer_stays_cancelled,
];

const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

/// OC7, OC13
async fn a_session_says_where_it_is_and_how_far(registry: Harness) {
    let begun = registry.post(UPLOADS).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    let id = begun.header("docker-upload-uuid");
    assert_eq!(begun.location(), format!("{UPLOADS}{id}"));
    assert_eq!(begun.header("range"), "0-0");
    assert_eq!(begun.body, "");
    let session = begun.location();

    for (piece, range) in [("", "0-0"), ("h", "0-0"), ("ello", "0-4"), ("", "0-4")] {
        let answer = registry.patch(&session, piece).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.location(), session);
        assert_eq!(answer.header("docker-upload-uuid"), id);
        assert_eq!(answer.header("range"), range);
        assert_eq!(registry.progress(&session).await, range);
        let head = registry.head(&session).await;
        assert_eq!((head.status, head.header("range")), (StatusCode::NO_CONTENT, range.into()));
    }
    let unslashed = registry.post(UPLOADS.trim_end_matches('/')).await;
    assert_eq!(unslashed.status, StatusCode::ACCEPTED);
}

/// What docker does: OC11, OC12
async fn a_stream_and_an_empty_put_make_a_blob(registry: Harness) {
    let content = content(3_000_000);
    let digest = Digest::sha256(&content);
    let session = registry.session("team/app").await;
    let patched = registry.patch(&session, content.clone()).await;
    assert_eq!(
        (patched.status, patched.header("range")),
        (StatusCode::ACCEPTED, "0-2999999".into())
    );
    let created = registry.put(&session, &digest, "").await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.location(), format!("/v2/team/app/blobs/{digest}"));
    assert_eq!(created.header("docker-content-digest"), digest.to_string());
    assert!(registry.get(&created.location()).await.body == content);
}

/// OC12
async fn one_put_with_everything_makes_a_blob(registry: Harness) {
    for content in [&b""[..], b"hello"] {
        let session = registry.session("team/app").await;
        let created = registry.put(&session, &Digest::sha256(content), content.to_vec()).await;
        assert_eq!(created.status, StatusCode::CREATED);
        assert_eq!(registry.get(&created.location()).await.body, content);
    }
}

/// OC11, OC12
async fn chunks_in_order_make_a_blob(registry: Harness) {
    for last_with_put in [false, true] {
        let content = content(100 + usize::from(last_with_put));
        let digest = Digest::sha256(&content);
        let session = registry.session("team/app").await;
        for (start, end) in [(0, 40), (40, 80)] {
            let range = format!("{start}-{}", end - 1);
            let answer = registry.chunk(&session, &range, content[start..end].to_vec()).await;
            assert_eq!(answer.status, StatusCode::ACCEPTED);
            assert_eq!(answer.header("range"), format!("0-{}", end - 1));
        }
        let (range, last) = (format!("80-{}", content.len() - 1), content[80..].to_vec());
        let created = if last_with_put {
            let path = format!("{session}?digest={digest}");
            let headers = [(header::CONTENT_RANGE, &*range)];
            registry.send(request(Method::PUT, &path, headers, last)).await
        } else {
            registry.chunk(&session, &range, last).await;
            registry.put(&session, &digest, "").await
        };
        assert_eq!(created.status, StatusCode::CREATED);
        assert_eq!(registry.get(&created.location()).await.body, content);
    }
}

/// OC11
async fn a_chunk_out_of_order_is_told_where_to_go_on(registry: Harness) {
    let session = registry.session("team/app").await;
    let ahead = registry.chunk(&session, "5-9", "world").await;
    assert_eq!(ahead.refusal(), (416, "RANGE_INVALID".into()));
    registry.chunk(&session, "0-4", "hello").await;
    for (range, bytes) in [("6-10", "world"), ("0-4", "hello"), ("4-8", "oworl")] {
        let refused = registry.chunk(&session, range, bytes).await;
        assert_eq!(refused.refusal(), (416, "RANGE_INVALID".into()));
        assert_eq!(refused.header("range"), "0-4");
        assert_eq!(refused.location(), session);
        assert_eq!(registry.progress(&session).await, "0-4");
    }
    registry.chunk(&session, "5-9", "world").await;
    let created = registry.put(&session, &Digest::sha256(b"helloworld"), "").await;
    assert_eq!(created.status, StatusCode::CREATED);
}

/// OC12: even where the bytes happen to match.
async fn a_last_chunk_out_of_order_is_told_too(registry: Harness) {
    let session = registry.session("team/app").await;
    registry.chunk(&session, "0-4", "hello").await;
    let digest = Digest::sha256(b"helloworld");
    let path = format!("{session}?digest={digest}");
    for (range, status) in [("6-10", 416), ("0-4", 416), ("5-9", 201)] {
        let headers = [(header::CONTENT_RANGE, range)];
        let answer = registry.send(request(Method::PUT, &path, headers, "world")).await;
        assert_eq!(answer.status.as_u16(), status, "{range}");
        if status == 416 {
            assert_eq!(
                (answer.location(), answer.header("range")),
                (session.clone(), "0-4".into())
            );
        }
    }
}

/// OC11
async fn a_chunk_that_is_not_as_long_as_it_says_is_refused(registry: Harness) {
    let session = registry.session("team/app").await;
    for range in ["0-3", "0-5", "0-0"] {
        let refused = registry.chunk(&session, range, "hello").await;
        assert_eq!(refused.refusal(), (400, "SIZE_INVALID".into()), "{range}");
        // Chunked transfer coding: the length is known only at the end.
        let pieces = [Ok::<_, std::convert::Infallible>("he"), Ok("llo")];
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let refused = registry.chunk(&session, range, body).await;
        assert_eq!(refused.refusal(), (400, "SIZE_INVALID".into()), "{range}");
    }
    assert_eq!(registry.progress(&session).await, "0-0");
    assert_eq!(registry.objects().await, []);
    assert_eq!(registry.chunk(&session, "0-4", "hello").await.status, StatusCode::ACCEPTED);
}

/// OC11: distribution answers 500.
async fn a_content_range_in_another_form_is_refused(registry: Harness) {
    let session = registry.session("team/app").await;
    for range in ["bytes 0-4/5", "bytes=0-4", "0-4/5", "4-0", "0-", "-5", "", "hello"] {
        let refused = registry.chunk(&session, range, "hello").await;
        assert_eq!(refused.refusal(), (416, "RANGE_INVALID".into()), "{range:?}");
    }
    assert_eq!(registry.objects().await, []);
}

/// OC12
async fn a_wrong_digest_leaves_the_session_as_it_was(registry: Harness) {
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello ").await;
    let digest = Digest::sha256(b"hello world");
    for (said, body) in [
        (Digest::sha256(b"other"), "world"),
        (Digest::sha256(b"other"), ""),
        (digest, ""),
        (sha512(b"other"), "world"),
    ] {
        let refused = registry.put(&session, &said, body).await;
        assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".into()));
        assert_eq!(registry.progress(&session).await, "0-5");
        assert_eq!(registry.objects().await.len(), 1, "what the refused request wrote is gone");
    }
    let created = registry.put(&session, &digest, "world").await;
    assert_eq!(registry.get(&created.location()).await.body, "hello world");
}

/// OC12
async fn a_put_without_a_usable_digest_changes_nothing(registry: Harness) {
    let session = registry.session("team/app").await;
    for query in
        ["", "?digest=", "?digest=sha256:abc", "?digest=md5:900150983cd24fb0d6963f7d28e17f72"]
    {
        let path = format!("{session}{query}");
        let refused = registry.send(request(Method::PUT, &path, [], "hello")).await;
        assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".into()), "{query}");
    }
    let created = registry.put(&session, &Digest::sha256(b"hello"), "hello").await;
    assert_eq!(created.status, StatusCode::CREATED);
}

/// OC9, OC20
async fn sha512_is_hashed_along_or_afterwards(registry: Harness) {
    for query in ["?digest-algorithm=sha512", "?digest-algorithm=sha256", ""] {
        let session = registry.post(&format!("{UPLOADS}{query}")).await;
        assert_eq!(session.status, StatusCode::ACCEPTED, "{query}");
        let session = session.location();
        registry.patch(&session, "hello ").await;
        let digest = sha512(b"hello world");
        let created = registry.put(&session, &digest, "world").await;
        assert_eq!(created.status, StatusCode::CREATED, "{query}");
        assert_eq!(created.header("docker-content-digest"), digest.to_string());
        assert_eq!(registry.get(&created.location()).await.body, "hello world");
    }
}

/// OC14
async fn a_cancelled_session_is_gone_with_what_it_held(registry: Harness) {
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello").await;
    registry.patch(&session, " world").await;
    let cancelled = registry.delete(&session).await;
    assert_eq!((cancelled.status, &*cancelled.body), (StatusCode::NO_CONTENT, &b""[..]));
    assert_eq!(registry.objects().await, []);
    let digest = Digest::sha256(b"hello world");
    for answer in [
        registry.get(&session).await,
        registry.delete(&session).await,
        registry.patch(&session, "!").await,
        registry.put(&session, &digest, "").await,
    ] {
        assert_eq!(answer.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
    }
    assert_eq!(registry.objects().await, []);
}

async fn a_session_belongs_to_its_repository(registry: Harness) {
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello").await;
    let stolen = session.replace("team/app", "team/other");
    let digest = Digest::sha256(b"hello");
    for answer in [
        registry.get(&stolen).await,
        registry.patch(&stolen, "!").await,
        registry.put(&stolen, &digest, "").await,
        registry.delete(&stolen).await,
    ] {
        assert_eq!(answer.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
    }
    assert_eq!(registry.progress(&session).await, "0-4");
}

/// OC13, `OC27b`
async fn a_session_that_never_was_is_unknown(registry: Harness) {
    let long = "a".repeat(3000);
    for id in ["0197f3c2-0000-4000-8000-000000000000", "hello", "0", &long] {
        let path = format!("{UPLOADS}{id}");
        for answer in [registry.get(&path).await, registry.patch(&path, "hello").await] {
            assert_eq!(answer.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()), "{id}");
        }
    }
}

async fn a_finished_session_is_gone_and_so_are_its_segments(registry: Harness) {
    let session = registry.session("team/app").await;
    for piece in ["he", "ll", "o"] {
        registry.patch(&session, piece).await;
    }
    assert_eq!(registry.objects().await.len(), 3);
    let digest = Digest::sha256(b"hello");
    assert_eq!(registry.put(&session, &digest, "").await.status, StatusCode::CREATED);
    assert_eq!(registry.objects().await.len(), 1);
    assert_eq!(registry.get(&session).await.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
    assert_eq!(registry.put(&session, &digest, "").await.status, StatusCode::NOT_FOUND);

    // Pushed again in pieces, it is dropped whole: the blob is there.
    let session = registry.session("team/app").await;
    for piece in ["hel", "lo"] {
        registry.patch(&session, piece).await;
    }
    assert_eq!(registry.put(&session, &digest, "").await.status, StatusCode::CREATED);
    assert_eq!(registry.objects().await.len(), 1);
    assert_eq!(registry.get(&format!("/v2/team/app/blobs/{digest}")).await.body, "hello");
}

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
    assert_eq!(registry.objects().await.len(), 2);
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
    for finishing in [false, true] {
        let before = registry.objects().await.len();
        let (wire, body) = Wire::new();
        let request = if finishing {
            let digest = Digest::sha256(b"hello there there");
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
        assert_eq!(registry.objects().await.len(), before + 1);
    }
    let digest = Digest::sha256(b"hello world world");
    assert_eq!(registry.put(&session, &digest, "").await.status, StatusCode::CREATED);
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
        assert_eq!(registry.patch(&session, "!").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    }
    registry.delete(&session).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    registry.until(async || wire.is_closed()).await;
    assert_eq!(writer.await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(registry.objects().await, []);
}

/// Nobody's fault: the client may come back, and goes on where it was.
#[tokio::test]
async fn a_full_disk_is_503_and_costs_nothing_but_the_chunk() {
    let store = Arc::new(Troubled::new());
    let harness = Harness::new(store.clone(), Guard::Open, Deletes::Enabled).await;
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
                lose_in_the_last_moment(&pieces, with_the_last, cancelled).await;
            }
        }
    }
}

async fn lose_in_the_last_moment(pieces: &[&'static str], with_the_last: bool, cancelled: bool) {
    let store = Arc::new(Troubled::new());
    let registry = Harness::new(store.clone(), Guard::Open, Deletes::Enabled).await;
    let session = registry.session("team/app").await;
    let (last, before) = pieces.split_last().unwrap();
    let (sent, body) = if with_the_last { (before, *last) } else { (pieces, "") };
    for piece in sent {
        registry.patch(&session, *piece).await;
    }
    let (all, digest) = (pieces.concat(), Digest::sha256(pieces.concat().as_bytes()));
    let path = format!("{session}?digest={digest}");
    let gate = store.gate.write().await;
    let finishing = tokio::spawn(registry.answer(request(Method::PUT, &path, [], body)));
    registry.until(async || store.committed.load(Ordering::Relaxed)).await;
    if cancelled {
        assert_eq!(registry.delete(&session).await.status, StatusCode::NO_CONTENT);
    } else {
        registry.clock.advance(Duration::from_mins(2));
        assert_eq!(registry.patch(&session, "!").await.status, StatusCode::ACCEPTED);
    }
    drop(gate);
    let status = finishing.await.unwrap().status();
    let blob = format!("/v2/team/app/blobs/{digest}");
    assert_eq!(registry.get(&blob).await.status, StatusCode::NOT_FOUND);
    if cancelled {
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(registry.objects().await, []);
        return;
    }
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(registry.objects().await.len(), sent.len() + 1);
    let other = if with_the_last { before.concat() } else { all } + "!";
    let created = registry.put(&session, &Digest::sha256(other.as_bytes()), "").await;
    assert_eq!(registry.get(&created.location()).await.body, other);
}

/// What a client may do to a session.
#[derive(Debug, Clone)]
enum Step {
    /// A chunk at the right place, or that many bytes off it.
    Chunk { off_by: i64, length: usize },
    /// A stream that breaks off.
    Broken { length: usize },
    /// A finish with a wrong digest.
    WrongDigest { length: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..50_usize).prop_map(|length| Step::Chunk { off_by: 0, length: length + 1 }),
        1 => (-3..4_i64, 1..50_usize).prop_map(|(off_by, length)| Step::Chunk { off_by, length }),
        1 => (0..50_usize).prop_map(|length| Step::Broken { length }),
        1 => (0..50_usize).prop_map(|length| Step::WrongDigest { length }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever a client does, the session holds exactly the bytes that were acknowledged.
    #[test]
    fn a_session_holds_what_was_acknowledged_and_nothing_else(
        steps in proptest::collection::vec(step(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(steps));
    }
}

async fn follow(steps: Vec<Step>) {
    let registry = Harness::in_memory().await;
    let session = registry.session("team/app").await;
    let mut held: Vec<u8> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        let bytes = |length: usize| vec![u8::try_from(number).unwrap(); length];
        match step {
            Step::Chunk { off_by, length } => {
                let first = i64::try_from(held.len()).unwrap().saturating_add(off_by).max(0);
                let first = usize::try_from(first).unwrap();
                let range = format!("{first}-{}", first + length - 1);
                let answer = registry.chunk(&session, &range, bytes(length)).await;
                if first == held.len() {
                    assert_eq!(answer.status, StatusCode::ACCEPTED);
                    held.extend(bytes(length));
                } else {
                    assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
                }
            }
            Step::Broken { length } => {
                let pieces = [Ok(bytes::Bytes::from(bytes(length))), Err("broken")];
                let body = Body::from_stream(futures_util::stream::iter(pieces));
                assert_eq!(registry.patch(&session, body).await.status, StatusCode::BAD_REQUEST);
                held.extend(bytes(length));
            }
            Step::WrongDigest { length } => {
                let answer = registry.put(&session, &Digest::sha256(b"wrong"), bytes(length)).await;
                assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".into()));
            }
        }
        let last = held.len().saturating_sub(1);
        assert_eq!(registry.progress(&session).await, format!("0-{last}"));
    }
    let created = registry.put(&session, &Digest::sha256(&held), "").await;
    assert_eq!(registry.get(&created.location()).await.body, held);
    assert_eq!(registry.objects().await.len(), 1);
}

fn named(session: &str) -> (portpass_protocol::RepositoryName, UploadId) {
    let id = session.rsplit('/').next().unwrap().parse().unwrap();
    ("team/app".parse().unwrap(), id)
}

fn owner() -> LeaseOwner {
    LeaseOwner::from_random([7; 16])
}
