//! Upload sessions as clients see them: docs/protocol.md OC7, OC9, OC11 to OC14, OC20.

use std::fs;

use axum::body::Body;
use http::{Method, StatusCode, header};
use portpass_protocol::{ClientAddress, Digest};
use portpass_state::Db;
use proptest::prelude::*;

use crate::harness::{Harness, content, on_both_stores, request, sha512};

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
    who_begins_too_much_is_told_so,
    who_begins_too_much_leaves_it_to_other_addresses_to_begin,
];

const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

/// Each costs a row for a day.
async fn who_begins_too_much_is_told_so(registry: Harness) {
    for _ in 0..Db::UNFINISHED_UPLOADS - 1 {
        assert_eq!(registry.post(UPLOADS).await.status, StatusCode::ACCEPTED);
    }
    let session = registry.session("team/app").await;
    let refused = registry.post(UPLOADS).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.code(), "TOOMANYREQUESTS");
    let message = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(message.contains("1000 unfinished uploads"), "{message}");
    // What needs no session is served, and who finishes may begin again.
    let (whole, digest) = ("whole", Digest::sha256(b"whole"));
    let path = format!("{UPLOADS}?digest={digest}");
    let headers: [(header::HeaderName, &str); 0] = [];
    let pushed = registry.send(request(Method::POST, &path, headers, Body::from(whole))).await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    assert_eq!(registry.put(&session, &digest, whole).await.status, StatusCode::CREATED);
    assert_eq!(registry.post(UPLOADS).await.status, StatusCode::ACCEPTED);
}

/// Who has no account keeps others of that kind from nothing.
async fn who_begins_too_much_leaves_it_to_other_addresses_to_begin(registry: Harness) {
    let begin = async |address: &str| {
        let mut asked = request(Method::POST, UPLOADS, [], Body::empty());
        asked.extensions_mut().insert(ClientAddress(address.parse().unwrap()));
        registry.send(asked).await.status
    };
    for _ in 0..Db::UNFINISHED_UPLOADS {
        assert_eq!(begin("2001:db8::1").await, StatusCode::ACCEPTED);
    }
    assert_eq!(begin("2001:db8::2").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(begin("2001:db8:0:1::1").await, StatusCode::ACCEPTED);
}

/// DX8, OC32
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
        assert_eq!(registry.stored().await, 6, "behind what is kept too");
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

/// OC12: neither a wrong digest nor one more byte makes anybody read again what was read once. Whoever did would
/// find other bytes here.
#[tokio::test]
async fn however_often_a_sha512_is_wrong_the_upload_is_read_for_it_once() {
    let registry = Harness::on_files().await;
    let session = registry.session("team/app").await;
    registry.patch(&session, "hello ").await;
    let wrong = async |body: &'static str| {
        let refused = registry.put(&session, &sha512(b"other"), body).await;
        assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".into()));
    };
    wrong("").await;
    let [object] = &registry.objects().await[..] else { panic!("one object") };
    let name = object.location.as_str();
    fs::write(registry.directory().join(&name[..2]).join(name), "HELLO ").unwrap();
    wrong("").await;
    wrong("world").await;
    registry.patch(&session, "wor").await;
    wrong("").await;
    let created = registry.put(&session, &sha512(b"hello world"), "ld").await;
    assert_eq!(created.status, StatusCode::CREATED);
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
    assert_eq!(registry.stored().await, 5);
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
        runtime.block_on(async {
            follow(Harness::in_memory().await, &steps).await;
            follow(Harness::on_files().await, &steps).await;
        });
    }
}

async fn follow(registry: Harness, steps: &[Step]) {
    let session = registry.session("team/app").await;
    let mut held: Vec<u8> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let bytes = |length: usize| vec![u8::try_from(number).unwrap(); length];
        match *step {
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
        assert_eq!(registry.stored().await, held.len() as u64);
    }
    let created = registry.put(&session, &Digest::sha256(&held), "").await;
    assert_eq!(registry.get(&created.location()).await.body, held);
    assert_eq!(registry.objects().await.len(), 1);
}
