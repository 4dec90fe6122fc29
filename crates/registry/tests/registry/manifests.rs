//! Manifests as clients see them: docs/protocol.md OC4 to OC6, OC16 to OC20, OC22.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::harness::{Answer, AsTheTokenSays, Harness, Wire, request, sha512};
use axum::body::Body;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use portpass_protocol::{Digest, MediaType, manifest::MAX_LENGTH};
use portpass_registry::{Deletes, Guard};
use serde_json::{Value, json};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// A registry whose `team/app` has what the images of these tests are made of.
async fn stocked() -> Harness {
    let registry = Harness::in_memory().await;
    registry.blob("team/app", b"{}").await;
    registry.blob("team/app", b"layer").await;
    registry
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(content), "size": content.len()})
}

/// An image manifest of one layer.
fn image(media_type: &str) -> Value {
    let (config, layer) = match media_type {
        DOCKER => (
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
        _ => (
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
    };
    json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, b"{}"),
        "layers": [descriptor(layer, b"layer")],
    })
}

fn index(media_type: &str, entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries})
}

async fn push(
    registry: &Harness,
    reference: &str,
    media_type: &str,
    body: impl Into<Body>,
) -> Answer {
    let path = format!("/v2/team/app/manifests/{reference}");
    registry.send(request(Method::PUT, &path, [(header::CONTENT_TYPE, media_type)], body)).await
}

/// DX8, OC32
/// OC4, OC5, OC16, DX2: what was pushed comes back, whatever the client says that it accepts.
#[tokio::test]
async fn a_manifest_comes_back_byte_for_byte_whatever_is_accepted() {
    let registry = stocked().await;
    let child = format!("{:#}\n", image(OCI));
    push(&registry, "child", OCI, child.clone()).await;
    let entry = descriptor(OCI, child.as_bytes());
    for (media_type, document) in [
        (OCI, image(OCI)),
        (DOCKER, image(DOCKER)),
        (INDEX, index(INDEX, std::slice::from_ref(&entry))),
        (LIST, index(LIST, std::slice::from_ref(&entry))),
    ] {
        // Odd white space must survive.
        let bytes = format!(" {document:#}\n\n");
        let digest = Digest::sha256(bytes.as_bytes());
        let created = push(&registry, "v1", media_type, bytes.clone()).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        assert_eq!(created.location(), format!("/v2/team/app/manifests/{digest}"));
        assert_eq!(created.header("docker-content-digest"), digest.to_string());
        assert_eq!(created.body, "");
        for reference in ["v1", &digest.to_string()] {
            let path = format!("/v2/team/app/manifests/{reference}");
            for accept in
                ["", "*/*", "application/*", DOCKER, SCHEMA1, "text/html;q=0.1", "nonsense"]
            {
                for method in [Method::GET, Method::HEAD] {
                    let headers = [(header::ACCEPT, accept)];
                    let got = registry.send(request(method.clone(), &path, headers, "")).await;
                    assert_eq!(got.status, StatusCode::OK, "{media_type} for {accept:?}");
                    for (name, value) in [
                        ("content-type", media_type),
                        ("content-length", &bytes.len().to_string()),
                        ("docker-content-digest", &digest.to_string()),
                        ("docker-distribution-api-version", "registry/2.0"),
                        ("etag", &format!("\"{digest}\"")),
                        ("x-content-type-options", "nosniff"),
                    ] {
                        assert_eq!(got.header(name), value, "{name}");
                    }
                    let expected = if method == Method::HEAD { "" } else { &bytes };
                    assert_eq!(got.body, expected);
                }
            }
        }
    }
}

/// OC4, RFC 9110 §13.1.2
#[tokio::test]
async fn a_manifest_that_the_client_has_is_not_sent_again() {
    let registry = stocked().await;
    let bytes = image(OCI).to_string();
    push(&registry, "v1", OCI, bytes.clone()).await;
    let digest = Digest::sha256(bytes.as_bytes());
    for (tag, status) in [
        (format!("\"{digest}\""), StatusCode::NOT_MODIFIED),
        (digest.to_string(), StatusCode::NOT_MODIFIED),
        (format!("\"{}\"", Digest::sha256(b"another")), StatusCode::OK),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let headers = [(header::IF_NONE_MATCH, &*tag)];
            let got =
                registry.send(request(method, "/v2/team/app/manifests/v1", headers, "")).await;
            assert_eq!(got.status, status, "{tag}");
            assert_eq!(got.header("etag"), format!("\"{digest}\""));
        }
    }
}

#[tokio::test]
async fn a_media_type_is_read_without_its_parameters() {
    let registry = stocked().await;
    let created =
        push(&registry, "v1", &format!("{OCI}; charset=utf-8"), image(OCI).to_string()).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(registry.get("/v2/team/app/manifests/v1").await.header("content-type"), OCI);
}

/// DX2
/// OC16, OC17, GHSA-qq97-vm5h-rrhg
#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let registry = stocked().await;
    let confused = {
        let mut document = image(OCI);
        document["manifests"] = json!([]);
        document.to_string()
    };
    let oci = image(OCI).to_string();
    for (media_type, body, why) in [
        (DOCKER, oci.clone(), "mediaType contradicts Content-Type"),
        (INDEX, oci.clone(), "an image is no index"),
        (OCI, confused, "an image with `manifests`"),
        (OCI, String::new(), "nothing"),
        (OCI, "[]".into(), "no object"),
        (OCI, "{".into(), "no JSON"),
        (OCI, format!("{oci}{oci}"), "two documents"),
        (SCHEMA1, oci.clone(), "schema 1"),
        ("text/plain", oci.clone(), "unknown type"),
        ("", oci.clone(), "empty type"),
    ] {
        let refused = push(&registry, "v1", media_type, body).await;
        assert_eq!(refused.refusal(), (400, "MANIFEST_INVALID".into()), "{why}");
    }
    let untyped = request(Method::PUT, "/v2/team/app/manifests/v1", [], oci);
    assert_eq!(registry.send(untyped).await.refusal(), (400, "MANIFEST_INVALID".into()));
    let got = registry.get("/v2/team/app/manifests/v1").await;
    assert_eq!(got.refusal(), (404, "MANIFEST_UNKNOWN".into()));
}

/// DX4
/// OC16
#[tokio::test]
async fn every_missing_blob_and_child_is_named() {
    let registry = stocked().await;
    let mut document = image(OCI);
    let absent = [b"one", b"two"];
    for content in absent {
        let layer = descriptor("application/vnd.oci.image.layer.v1.tar", content);
        document["layers"].as_array_mut().unwrap().push(layer);
    }
    let child = descriptor(OCI, b"no such manifest");
    for (media_type, document, missing) in [
        (OCI, document, absent.map(|content| Digest::sha256(content)).to_vec()),
        (INDEX, index(INDEX, &[child]), vec![Digest::sha256(b"no such manifest")]),
    ] {
        let refused = push(&registry, "v1", media_type, document.to_string()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let body: Value = serde_json::from_slice(&refused.body).unwrap();
        let named: Vec<Value> = body["errors"].as_array().unwrap().clone();
        let expected = missing.iter().map(|digest| json!(["MANIFEST_BLOB_UNKNOWN", digest]));
        let named = named.iter().map(|error| json!([error["code"], error["detail"]]));
        assert!(named.eq(expected), "{body}");
    }
    // The blob of another repository is not this one's (CVE-2024-39897).
    let elsewhere = request(
        Method::PUT,
        "/v2/team/b/manifests/v1",
        [(header::CONTENT_TYPE, OCI)],
        image(OCI).to_string(),
    );
    assert_eq!(registry.send(elsewhere).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(registry.get("/v2/team/b/tags/list").await.refusal(), (404, "NAME_UNKNOWN".into()));
}

/// DX3: layers that by their type lie elsewhere need not be here.
#[tokio::test]
async fn foreign_layers_need_not_be_here() {
    let registry = stocked().await;
    for (media_type, layer) in [
        (DOCKER, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        (OCI, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    ] {
        let mut document = image(media_type);
        document["layers"][0] = descriptor(layer, b"far away");
        document["layers"][0]["urls"] = json!(["https://far.example/layer"]);
        let created = push(&registry, "v1", media_type, document.to_string()).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    }
}

/// `BuildKit` exports its cache as an index whose entries are layers.
#[tokio::test]
async fn an_index_of_blobs_is_taken() {
    let registry = stocked().await;
    let entries = [
        descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"layer"),
        descriptor("application/vnd.buildkit.cacheconfig.v0", b"{}"),
    ];
    let created = push(&registry, "cache", INDEX, index(INDEX, &entries).to_string()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    let absent = [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"absent")];
    let refused = push(&registry, "cache", INDEX, index(INDEX, &absent).to_string()).await;
    assert_eq!(refused.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".into()));
}

/// OC27
/// OC16, CVE-2017-11468
#[tokio::test]
async fn a_manifest_has_at_most_four_mebibytes() {
    let registry = stocked().await;
    let padded = |length: usize| {
        let mut bytes = image(OCI).to_string().into_bytes();
        bytes.resize(length, b' ');
        bytes
    };
    let created = push(&registry, "v1", OCI, padded(MAX_LENGTH)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    let refused = push(&registry, "v2", OCI, padded(MAX_LENGTH + 1)).await;
    assert_eq!(refused.refusal(), (413, "MANIFEST_INVALID".into()));
}

/// CVE-2017-11468: whether or not the length was announced, the rest is not read.
#[tokio::test]
async fn what_is_too_long_is_not_read_to_its_end() {
    let registry = stocked().await;
    let read = Arc::new(AtomicUsize::new(0));
    let endless = || {
        let read = Arc::clone(&read);
        Body::from_stream(futures_util::stream::repeat_with(move || {
            read.fetch_add(65_536, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65_536]))
        }))
    };
    let refused = push(&registry, "v1", OCI, endless()).await;
    assert_eq!(refused.refusal(), (413, "MANIFEST_INVALID".into()));
    assert!(read.load(Ordering::Relaxed) <= MAX_LENGTH + 2 * 65_536);

    read.store(0, Ordering::Relaxed);
    let headers = [(header::CONTENT_TYPE, OCI), (header::CONTENT_LENGTH, "4194305")];
    let announced = request(Method::PUT, "/v2/team/app/manifests/v1", headers, endless());
    assert_eq!(registry.send(announced).await.refusal(), (413, "MANIFEST_INVALID".into()));
    assert_eq!(read.load(Ordering::Relaxed), 0);
}

/// What it has too much of, and how much, is said before anything is looked for.
#[tokio::test]
async fn too_many_layers_are_refused_by_number() {
    let registry = stocked().await;
    let mut many = image(OCI);
    let layer = many["layers"][0].clone();
    many["layers"] = Value::Array(vec![layer; 5000]);
    let refused = push(&registry, "v1", OCI, many.to_string()).await;
    assert_eq!(refused.refusal(), (400, "MANIFEST_INVALID".into()));
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(text.contains("5001 descriptors") && text.contains("4096"), "{text}");
}

#[tokio::test]
async fn a_manifest_whose_body_breaks_off_leaves_nothing() {
    let registry = stocked().await;
    let (wire, body) = Wire::new();
    let answer = push(&registry, "v1", OCI, body);
    let sending = async {
        wire.send(image(OCI).to_string()).await;
        wire.break_off().await;
    };
    let (answer, ()) = tokio::join!(answer, sending);
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let tags = registry.get("/v2/team/app/tags/list").await;
    assert_eq!(tags.body, "{\"name\":\"team/app\",\"tags\":[]}\n");
}

/// OC16, OC20
#[tokio::test]
async fn a_manifest_is_named_by_the_digest_it_was_pushed_with() {
    let registry = stocked().await;
    let bytes = image(OCI).to_string();
    let (sha256, sha512) = (Digest::sha256(bytes.as_bytes()), sha512(bytes.as_bytes()));
    let created = push(&registry, &sha512.to_string(), OCI, bytes.clone()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert_eq!(created.location(), format!("/v2/team/app/manifests/{sha512}"));
    assert_eq!(created.header("docker-content-digest"), sha512.to_string());
    let got = registry.get(&created.location()).await;
    assert_eq!(
        (got.header("docker-content-digest"), got.body),
        (sha512.to_string(), bytes.clone().into())
    );
    let unknown = registry.get(&format!("/v2/team/app/manifests/{sha256}")).await;
    assert_eq!(unknown.refusal(), (404, "MANIFEST_UNKNOWN".into()));

    for other in [Digest::sha256(b"other"), crate::harness::sha512(b"other")] {
        let refused = push(&registry, &other.to_string(), OCI, bytes.clone()).await;
        assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".into()));
    }
}

/// OC19
#[tokio::test]
async fn a_push_by_digest_sets_many_tags_at_once() {
    let registry = stocked().await;
    let bytes = image(OCI).to_string();
    let digest = Digest::sha256(bytes.as_bytes());
    let created = push(&registry, &format!("{digest}?tag=b&tag=a&tag=b"), OCI, bytes.clone()).await;
    let named: Vec<_> = created.headers.get_all("oci-tag").iter().collect();
    assert_eq!(named, ["b", "a"]);
    let tags = registry.get("/v2/team/app/tags/list").await;
    assert_eq!(tags.body, "{\"name\":\"team/app\",\"tags\":[\"a\",\"b\"]}\n");

    let too_many = (0..65).map(|n| format!("tag=v{n}")).collect::<Vec<_>>().join("&");
    let refused = push(&registry, &format!("{digest}?{too_many}"), OCI, bytes).await;
    assert_eq!(refused.status, StatusCode::URI_TOO_LONG);
}

/// A tag moves; what it named stays.
#[tokio::test]
async fn a_tag_is_moved_by_pushing_it_again() {
    let registry = stocked().await;
    let first = image(OCI).to_string();
    let second = image(DOCKER).to_string();
    push(&registry, "v1", OCI, first.clone()).await;
    push(&registry, "v1", DOCKER, second.clone()).await;
    assert_eq!(registry.get("/v2/team/app/manifests/v1").await.body, second);
    let path = format!("/v2/team/app/manifests/{}", Digest::sha256(first.as_bytes()));
    assert_eq!(registry.get(&path).await.body, first);
}

/// OC22
#[tokio::test]
async fn deleting_a_digest_takes_its_tags_and_deleting_a_tag_leaves_the_manifest() {
    let registry = stocked().await;
    let bytes = image(OCI).to_string();
    let path = format!("/v2/team/app/manifests/{}", Digest::sha256(bytes.as_bytes()));
    for tag in ["a", "b", "c"] {
        push(&registry, tag, OCI, bytes.clone()).await;
    }
    let deleted = registry.delete("/v2/team/app/manifests/a").await;
    assert_eq!((deleted.status, &*deleted.body), (StatusCode::ACCEPTED, &b""[..]));
    assert_eq!(registry.get(&path).await.status, StatusCode::OK);
    assert_eq!(registry.get("/v2/team/app/manifests/b").await.status, StatusCode::OK);
    for gone in ["/v2/team/app/manifests/a", "/v2/team/app/manifests/v9", "/v2/no/such/manifests/a"]
    {
        assert_eq!(
            registry.delete(gone).await.refusal(),
            (404, "MANIFEST_UNKNOWN".into()),
            "{gone}"
        );
    }
    assert_eq!(registry.delete(&path).await.status, StatusCode::ACCEPTED);
    assert_eq!(registry.delete(&path).await.refusal(), (404, "MANIFEST_UNKNOWN".into()));
    for reference in ["b", "c"] {
        let got = registry.get(&format!("/v2/team/app/manifests/{reference}")).await;
        assert_eq!(got.refusal(), (404, "MANIFEST_UNKNOWN".into()));
    }
    let tags = registry.get("/v2/team/app/tags/list").await;
    assert_eq!(tags.body, "{\"name\":\"team/app\",\"tags\":[]}\n");
}

/// OC22, CVE-2026-41888: one switch for tags and manifests.
#[tokio::test]
async fn where_deleting_is_switched_off_neither_tag_nor_manifest_goes() {
    let registry = Harness::guarded(Guard::Open, Deletes::Disabled).await;
    registry.blob("team/app", b"{}").await;
    registry.blob("team/app", b"layer").await;
    let bytes = image(OCI).to_string();
    push(&registry, "v1", OCI, bytes.clone()).await;
    for reference in ["v1", &Digest::sha256(bytes.as_bytes()).to_string(), "never-was"] {
        let refused = registry.delete(&format!("/v2/team/app/manifests/{reference}")).await;
        assert_eq!(refused.refusal(), (405, "UNSUPPORTED".into()), "{reference}");
        assert_eq!(refused.header("allow"), "GET, HEAD, PUT");
    }
    assert_eq!(registry.get("/v2/team/app/manifests/v1").await.body, bytes);
}

/// OC16, OC18, OC24
#[tokio::test]
async fn a_subject_is_acknowledged_whether_or_not_it_exists() {
    let registry = stocked().await;
    let subject = descriptor(OCI, b"nobody pushed this");
    for (media_type, mut document) in [(OCI, image(OCI)), (INDEX, index(INDEX, &[]))] {
        document["subject"] = subject.clone();
        let created = push(&registry, "v1", media_type, document.to_string()).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        assert_eq!(created.header("oci-subject"), subject["digest"].as_str().unwrap());
    }
    let plain = push(&registry, "v2", OCI, image(OCI).to_string()).await;
    assert_eq!(plain.header("oci-subject"), "");
}

/// A manifest that only a `HEAD` asks for is measured without its bytes, and both say the same (R13).
#[tokio::test]
async fn an_unknown_manifest_is_unknown_to_get_and_head_alike() {
    let registry = stocked().await;
    for path in ["/v2/team/app/manifests/v1", "/v2/no/such/manifests/v1"] {
        let (got, head) = (registry.get(path).await, registry.head(path).await);
        assert_eq!(got.refusal(), (404, "MANIFEST_UNKNOWN".into()));
        assert_eq!((head.status, head.body.len()), (got.status, 0));
        assert_eq!(head.header("content-length"), got.body.len().to_string());
    }
}

/// Every kind of manifest the registry takes is one of these, so the tables above are complete.
#[test]
fn the_kinds_of_manifest_are_these_four() {
    let mut kinds = MediaType::ALL.map(MediaType::as_str);
    kinds.sort_unstable();
    assert_eq!(kinds, [LIST, DOCKER, INDEX, OCI]);
}

/// Who may push may not delete, and who may pull may not push (AR1).
#[tokio::test]
async fn manifests_are_served_to_those_who_may() {
    let guard = Guard::Controller(Arc::new(AsTheTokenSays));
    let registry = Harness::guarded(guard, Deletes::Enabled).await;
    for (method, granted, status) in [
        (Method::PUT, "pull", 401),
        (Method::PUT, "push", 401),
        (Method::PUT, "pull,push", 400), // the body is none, which only now matters
        (Method::DELETE, "pull,push", 401),
        (Method::DELETE, "delete", 404),
        (Method::GET, "push,delete", 401),
        (Method::GET, "pull", 404),
    ] {
        let token = format!("Bearer repository:team/app:{granted}");
        let headers = [(header::AUTHORIZATION, &*token), (header::CONTENT_TYPE, OCI)];
        let answer = request(method.clone(), "/v2/team/app/manifests/v1", headers, "");
        assert_eq!(registry.send(answer).await.status.as_u16(), status, "{method} with {granted}");
    }
}
