//! Blobs as clients see them: docs/protocol.md OC2, OC3, OC8, OC15, OC20, OC23.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, StatusCode, header};
use portpass_protocol::Digest;
use portpass_registry::{Deletes, Guard};
use portpass_state::Change;

use crate::harness::{AsTheTokenSays, Harness, Wire, content, on_both_stores, request, sha512};

on_both_stores![
    a_blob_sent_with_one_request_comes_back_with_all_its_headers,
    a_blob_of_any_size_comes_back_byte_for_byte,
    ranges_are_answered_as_the_table_says,
    several_ranges_are_answered_in_one,
    what_a_client_has_is_not_sent_again,
    a_range_of_another_content_is_all_of_this_one,
    a_blob_belongs_to_the_repository_it_was_pushed_to,
    a_deleted_blob_is_gone_from_its_repository_alone,
    a_blob_may_be_named_by_sha512,
    what_is_not_what_its_digest_says_leaves_nothing,
    what_breaks_off_without_a_session_leaves_nothing,
    a_blob_that_is_there_already_is_kept_once,
    a_mounted_blob_is_there_at_once,
    a_mount_of_what_is_not_there_is_an_ordinary_upload,
];

/// OC2, OC8
async fn a_blob_sent_with_one_request_comes_back_with_all_its_headers(registry: Harness) {
    let digest = Digest::sha256(b"hello");
    let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
    let created = registry.send(request(Method::POST, &path, [], "hello")).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.location(), format!("/v2/team/app/blobs/{digest}"));
    assert_eq!(created.header("docker-content-digest"), digest.to_string());

    let expected = [
        ("accept-ranges", "bytes"),
        ("cache-control", "max-age=31536000"),
        ("content-length", "5"),
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", &digest.to_string()),
        ("docker-distribution-api-version", "registry/2.0"),
        ("etag", &format!("\"{digest}\"")),
        ("x-content-type-options", "nosniff"),
    ];
    let got = registry.get(&created.location()).await;
    let head = registry.head(&created.location()).await;
    for answer in [&got, &head] {
        assert_eq!(answer.status, StatusCode::OK);
        for (name, value) in expected {
            assert_eq!(answer.header(name), value, "{name}");
        }
        assert_eq!(answer.headers.len(), expected.len(), "{answer:?}");
    }
    assert_eq!(got.body, "hello");
    assert_eq!(head.body, "");
}

async fn a_blob_of_any_size_comes_back_byte_for_byte(registry: Harness) {
    for length in [0, 1, 65_536, 262_145, 3_000_001] {
        let content = content(length);
        let path = registry.blob("team/app", &content).await;
        let got = registry.get(&path).await;
        assert_eq!(got.header("content-length"), length.to_string());
        assert!(got.body == content, "{length} bytes");
        let head = registry.head(&path).await;
        assert_eq!((head.header("content-length"), head.body.len()), (length.to_string(), 0));
    }
}

/// OC3, `OC27b`
async fn ranges_are_answered_as_the_table_says(registry: Harness) {
    let content = content(1_000_000);
    let path = registry.blob("team/app", &content).await;
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-499", 0, 499),
        ("bytes=500-", 500, 999_999),
        ("bytes=-500", 999_500, 999_999),
        ("bytes=-5000000", 0, 999_999),
        ("bytes=999999-5000000", 999_999, 999_999),
        ("bytes=100000-800000", 100_000, 800_000),
    ] {
        let got = registry.send(request(Method::GET, &path, [(header::RANGE, range)], "")).await;
        assert_eq!(got.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(got.header("content-range"), format!("bytes {first}-{last}/1000000"));
        assert_eq!(got.header("content-length"), (last - first + 1).to_string());
        assert!(got.body == content[first..=last], "{range}");
    }
    for range in ["bytes=1000000-", "bytes=500-0", "bytes=-0", "bytes=a-b", "bytes=1000000-1000001"]
    {
        let got = registry.send(request(Method::GET, &path, [(header::RANGE, range)], "")).await;
        assert_eq!(got.refusal(), (416, "RANGE_INVALID".into()), "{range}");
        assert_eq!(got.header("content-range"), "bytes */1000000");
    }
    // RFC 9110 §14.2: a range means something to GET alone.
    let head = request(Method::HEAD, &path, [(header::RANGE, "bytes=0-0")], "");
    let head = registry.send(head).await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, "1000000".into()));
}

/// OC3, RFC 9110 §14.6
async fn several_ranges_are_answered_in_one(registry: Harness) {
    let content = content(1_000_000);
    let path = registry.blob("team/app", &content).await;
    let tables: [(&str, &[(usize, usize)]); 4] = [
        ("bytes=0-1,3-4", &[(0, 1), (3, 4)]),
        ("bytes=-5, 700000-700000,0-0", &[(999_995, 999_999), (700_000, 700_000), (0, 0)]),
        // Longer than what is read at once.
        ("bytes=1-400000,400001-999998", &[(1, 400_000), (400_001, 999_998)]),
        ("bytes=5-6,2000000-,7-8", &[(5, 6), (7, 8)]),
    ];
    for (range, parts) in tables {
        let got = registry.send(request(Method::GET, &path, [(header::RANGE, range)], "")).await;
        assert_eq!(got.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(got.header("content-range"), "", "{range}: each part has its own");
        assert_eq!(got.header("content-length"), got.body.len().to_string(), "{range}");
        assert_eq!(got.header("docker-content-digest"), Digest::sha256(&content).to_string());
        let boundary = Digest::sha256(&content).hex();
        assert_eq!(
            got.header("content-type"),
            format!("multipart/byteranges; boundary={boundary}")
        );
        let mut expected = Vec::new();
        for (first, last) in parts {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/1000000\r\n\r\n"
            );
            expected.extend(head.into_bytes());
            expected.extend(&content[*first..=*last]);
        }
        expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        assert!(got.body == expected, "{range}");
    }
    for (range, status, length) in [
        // More bytes than there are.
        ("bytes=0-,0-", StatusCode::OK, "1000000"),
        ("bytes=2000000-,5-6", StatusCode::PARTIAL_CONTENT, "2"),
    ] {
        let got = registry.send(request(Method::GET, &path, [(header::RANGE, range)], "")).await;
        assert_eq!((got.status, &*got.header("content-length")), (status, length), "{range}");
    }
    let of_another = [(header::RANGE, "bytes=0-1,3-4"), (header::IF_RANGE, "\"other\"")];
    let got = registry.send(request(Method::GET, &path, of_another, "")).await;
    assert_eq!((got.status, got.body.len()), (StatusCode::OK, 1_000_000));
}

async fn what_a_client_has_is_not_sent_again(registry: Harness) {
    let path = registry.blob("team/app", b"hello").await;
    let (this, other) = (Digest::sha256(b"hello"), Digest::sha256(b"other"));
    for (method, tag, status) in [
        (Method::GET, format!("\"{this}\""), StatusCode::NOT_MODIFIED),
        (Method::HEAD, format!("\"{this}\""), StatusCode::NOT_MODIFIED),
        (Method::GET, this.to_string(), StatusCode::NOT_MODIFIED),
        (Method::GET, format!("\"{other}\""), StatusCode::OK),
    ] {
        let answer = request(method, &path, [(header::IF_NONE_MATCH, &tag)], "");
        let answer = registry.send(answer).await;
        assert_eq!(answer.status, status, "{tag}");
        assert_eq!(answer.header("etag"), format!("\"{this}\""));
        if status == StatusCode::NOT_MODIFIED {
            assert_eq!(answer.body, "");
        }
    }
    let unknown = format!("/v2/team/app/blobs/{other}");
    let tag = format!("\"{other}\"");
    let answer = request(Method::GET, &unknown, [(header::IF_NONE_MATCH, &tag)], "");
    assert_eq!(registry.send(answer).await.status, StatusCode::NOT_FOUND);
}

async fn a_range_of_another_content_is_all_of_this_one(registry: Harness) {
    let path = registry.blob("team/app", b"hello").await;
    let this = format!("\"{}\"", Digest::sha256(b"hello"));
    let other = format!("\"{}\"", Digest::sha256(b"other"));
    for (tag, status, body) in
        [(&this, StatusCode::PARTIAL_CONTENT, "he"), (&other, StatusCode::OK, "hello")]
    {
        let headers = [(header::RANGE, "bytes=0-1"), (header::IF_RANGE, tag)];
        let answer = registry.send(request(Method::GET, &path, headers, "")).await;
        assert_eq!((answer.status, &*answer.body), (status, body.as_bytes()), "{tag}");
    }
}

/// CVE-2024-39897, CVE-2026-35172
async fn a_blob_belongs_to_the_repository_it_was_pushed_to(registry: Harness) {
    let digest = Digest::sha256(b"hello");
    registry.blob("team/app", b"hello").await;
    for repository in ["team/other", "team", "team/app/app"] {
        for method in [Method::GET, Method::DELETE] {
            let path = format!("/v2/{repository}/blobs/{digest}");
            let answer = registry.send(request(method, &path, [], "")).await;
            assert_eq!(answer.refusal(), (404, "BLOB_UNKNOWN".into()));
        }
    }
    assert_eq!(registry.get(&format!("/v2/team/app/blobs/{digest}")).await.body, "hello");
}

/// OC23
async fn a_deleted_blob_is_gone_from_its_repository_alone(registry: Harness) {
    let one = registry.blob("team/one", b"hello").await;
    let other = registry.blob("team/other", b"hello").await;
    let deleted = registry.delete(&one).await;
    assert_eq!((deleted.status, &*deleted.body), (StatusCode::ACCEPTED, &b""[..]));
    assert_eq!(registry.get(&one).await.refusal(), (404, "BLOB_UNKNOWN".into()));
    assert_eq!(registry.delete(&one).await.refusal(), (404, "BLOB_UNKNOWN".into()));
    assert_eq!(registry.get(&other).await.body, "hello");
}

/// OC20
async fn a_blob_may_be_named_by_sha512(registry: Harness) {
    let digest = sha512(b"hello");
    let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
    let created = registry.send(request(Method::POST, &path, [], "hello")).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.header("docker-content-digest"), digest.to_string());
    let got = registry.get(&created.location()).await;
    assert_eq!(got.header("docker-content-digest"), digest.to_string());
    assert_eq!(got.body, "hello");
    // The same bytes under another name are another blob.
    let sha256 = Digest::sha256(b"hello");
    let other = registry.get(&format!("/v2/team/app/blobs/{sha256}")).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

async fn what_is_not_what_its_digest_says_leaves_nothing(registry: Harness) {
    for digest in [Digest::sha256(b"hello"), sha512(b"hello")] {
        let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
        let refused = registry.send(request(Method::POST, &path, [], "hello!")).await;
        assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".into()));
    }
    for digest in ["sha256:abc", "md5:900150983cd24fb0d6963f7d28e17f72", "hello"] {
        let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
        let refused = registry.send(request(Method::POST, &path, [], "hello")).await;
        assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".into()), "{digest}");
    }
    assert_eq!(registry.objects().await, []);
}

async fn what_breaks_off_without_a_session_leaves_nothing(registry: Harness) {
    let digest = Digest::sha256(b"hello");
    let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
    let (wire, body) = Wire::new();
    let (refused, ()) =
        tokio::join!(registry.send(request(Method::POST, &path, [], body)), async {
            wire.send("hel").await;
            wire.break_off().await;
        });
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(registry.objects().await, []);
}

async fn a_blob_that_is_there_already_is_kept_once(registry: Harness) {
    let first = registry.blob("team/app", b"hello").await;
    let again = registry.blob("team/app", b"hello").await;
    let elsewhere = registry.blob("team/other", b"hello").await;
    assert_eq!(registry.objects().await.len(), 1);
    for path in [first, again, elsewhere] {
        assert_eq!(registry.get(&path).await.body, "hello");
    }
}

/// OC15
async fn a_mounted_blob_is_there_at_once(registry: Harness) {
    registry.blob("team/source", b"hello").await;
    let digest = Digest::sha256(b"hello");
    for (target, from) in [
        ("team/target", "&from=team/source"),
        ("team/anonymous", ""),
        ("team/source", "&from=team/source"),
        ("team/target", "&from=team/nowhere"),
    ] {
        let path = format!("/v2/{target}/blobs/uploads/?mount={digest}{from}");
        let mounted = registry.post(&path).await;
        assert_eq!(mounted.status, StatusCode::CREATED, "{path}");
        assert_eq!(mounted.location(), format!("/v2/{target}/blobs/{digest}"));
        assert_eq!(mounted.header("docker-content-digest"), digest.to_string());
        assert_eq!(registry.get(&mounted.location()).await.body, "hello");
    }
    registry.delete(&format!("/v2/team/source/blobs/{digest}")).await;
    assert_eq!(registry.get(&format!("/v2/team/target/blobs/{digest}")).await.body, "hello");
}

/// OC15
async fn a_mount_of_what_is_not_there_is_an_ordinary_upload(registry: Harness) {
    registry.blob("team/source", b"hello").await;
    let (there, other) = (Digest::sha256(b"hello"), Digest::sha256(b"other"));
    for query in [
        format!("mount={other}&from=team/source"),
        format!("mount={there}&from=team/nowhere"),
        format!("mount={other}"),
        "mount=hello&from=team/source".to_owned(),
        format!("mount={}&from=team/source", sha512(b"hello")),
    ] {
        let path = format!("/v2/team/target/blobs/uploads/?{query}");
        let session = registry.post(&path).await;
        assert_eq!(session.status, StatusCode::ACCEPTED, "{query}");
        let created = registry.put(&session.location(), &other, "other").await;
        assert_eq!(created.status, StatusCode::CREATED, "{query}");
        registry.delete(&created.location()).await;
    }
}

/// OC15, CVE-2024-39897: holding a blob's digest is no right to the blob.
#[tokio::test]
async fn a_mount_reaches_no_further_than_the_token() {
    let registry =
        Harness::guarded(Guard::Controller(Arc::new(AsTheTokenSays)), Deletes::Enabled).await;
    let digest = Digest::sha256(b"hello");
    let post = async |token: &str, path: String| {
        let headers = [(header::AUTHORIZATION, format!("Bearer {token}"))];
        let [(name, value)] = &headers;
        let request = request(Method::POST, &path, [(name.clone(), value)], Body::from("hello"));
        registry.send(request).await
    };
    let push = post(
        "repository:secret/source:pull,push",
        format!("/v2/secret/source/blobs/uploads/?digest={digest}"),
    );
    assert_eq!(push.await.status, StatusCode::CREATED);

    let mount = |from: &str| format!("/v2/team/target/blobs/uploads/?mount={digest}{from}");
    let target = "repository:team/target:pull,push";
    for (token, from, status) in [
        // Without a source, only what the token can pull is looked through.
        (target.to_owned(), "", 202),
        (format!("{target} repository:secret/source:push"), "", 202),
        (format!("{target} repository:secret/source:pull"), "", 201),
        // A source that was not asked for yet: the challenge says what to ask for.
        (target.to_owned(), "&from=secret/source", 401),
        // A source that was asked for and refused: an ordinary upload.
        (format!("{target} repository:secret/source:"), "&from=secret/source", 202),
        (format!("{target} repository:secret/source:pull"), "&from=secret/source", 201),
        ("repository:secret/source:pull".to_owned(), "&from=secret/source", 401),
    ] {
        let answer = post(&token, mount(from)).await;
        assert_eq!(answer.status.as_u16(), status, "{token} {from}");
        if status == 201 {
            let name = "team/target".parse().unwrap();
            let undone = registry.db.delete_blob(&name, &digest, registry.now()).await.unwrap();
            assert_eq!(undone, Change::Done);
        }
    }
}

/// AR9
#[tokio::test]
async fn who_may_not_reach_a_repository_does_not_learn_whether_it_is_there() {
    let registry =
        Harness::guarded(Guard::Controller(Arc::new(AsTheTokenSays)), Deletes::Enabled).await;
    let ask = async |method: &str, path: &str, token: &str| {
        let token = format!("Bearer {token}");
        let headers = [(header::AUTHORIZATION, &*token)];
        registry.send(request(method.parse().unwrap(), path, headers, "hello")).await
    };
    let digest = Digest::sha256(b"hello");
    let push = format!("/v2/team/there/blobs/uploads/?digest={digest}");
    let pushed = ask("POST", &push, "repository:team/there:pull,push").await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    for (method, end) in [
        ("GET", "tags/list".to_owned()),
        ("GET", "manifests/v1".to_owned()),
        ("PUT", "manifests/v1".to_owned()),
        ("GET", format!("blobs/{digest}")),
        ("HEAD", format!("blobs/{digest}")),
        ("DELETE", format!("blobs/{digest}")),
        ("POST", format!("blobs/uploads/?mount={digest}")),
        ("GET", format!("referrers/{digest}")),
    ] {
        let [there, nowhere] = ["there", "never"].map(|name| format!("/v2/team/{name}/{end}"));
        let there = ask(method, &there, "repository:other:pull,push,delete").await;
        let nowhere = ask(method, &nowhere, "repository:other:pull,push,delete").await;
        assert_eq!(there.status, StatusCode::UNAUTHORIZED, "{method} {end}");
        let nowhere = format!("{nowhere:?}").replace("team/never", "team/there");
        assert_eq!(format!("{there:?}"), nowhere, "{method} {end}");
    }
}

/// OC23, CVE-2026-41888
#[tokio::test]
async fn nothing_is_deleted_where_deleting_is_switched_off() {
    let registry = Harness::guarded(Guard::Open, Deletes::Disabled).await;
    let path = registry.blob("team/app", b"hello").await;
    let refused = registry.delete(&path).await;
    assert_eq!(refused.refusal(), (405, "UNSUPPORTED".into()));
    assert_eq!(refused.header("allow"), "GET, HEAD");
    assert_eq!(registry.get(&path).await.body, "hello");
}
