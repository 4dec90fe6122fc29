//! Lists as clients see them: docs/protocol.md OC21, OC24, `OC27b`, DX1.

use crate::harness::{Answer, Harness, request};
use axum::body::Body;
use http::{Method, StatusCode, header};
use portpass_protocol::Digest;
use serde_json::{Value, json};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

async fn push(
    registry: &Harness,
    name: &str,
    reference: &str,
    media_type: &str,
    document: &Value,
) -> Answer {
    let path = format!("/v2/{name}/manifests/{reference}");
    let headers = [(header::CONTENT_TYPE, media_type)];
    let answer = registry.send(request(Method::PUT, &path, headers, document.to_string())).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer
}

/// An index of nothing: the least that can have a tag.
fn empty() -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
}

async fn tagged(tags: &[&str]) -> Harness {
    let registry = Harness::in_memory().await;
    for tag in tags {
        push(&registry, "team/app", tag, INDEX, &empty()).await;
    }
    registry
}

fn told(answer: &Answer) -> String {
    format!("{} {}", answer.header("link"), String::from_utf8_lossy(&answer.body).trim_end())
}

/// OC32
/// OC21: sorted as ASCII, in pages that say where the next one is, and only if there is one.
#[tokio::test]
async fn tags_are_listed_in_pages() {
    let registry = tagged(&["b", "v1.10", "V1", "a_b", "_x", "v1.9"]).await;
    for (query, expected) in [
        ("", r#" {"name":"team/app","tags":["V1","_x","a_b","b","v1.10","v1.9"]}"#),
        ("?n=6", r#" {"name":"team/app","tags":["V1","_x","a_b","b","v1.10","v1.9"]}"#),
        ("?n=100000", r#" {"name":"team/app","tags":["V1","_x","a_b","b","v1.10","v1.9"]}"#),
        ("?n=0", r#" {"name":"team/app","tags":[]}"#),
        (
            "?n=2",
            r#"</v2/team/app/tags/list?last=_x&n=2>; rel="next" {"name":"team/app","tags":["V1","_x"]}"#,
        ),
        (
            "?last=_x&n=2",
            r#"</v2/team/app/tags/list?last=b&n=2>; rel="next" {"name":"team/app","tags":["a_b","b"]}"#,
        ),
        ("?n=2&last=b", r#" {"name":"team/app","tags":["v1.10","v1.9"]}"#),
        ("?n=2&last=c", r#" {"name":"team/app","tags":["v1.10","v1.9"]}"#), // need not exist
        ("?last=~", r#" {"name":"team/app","tags":[]}"#),
        ("?last=zz%20top%2F%22", r#" {"name":"team/app","tags":[]}"#),
    ] {
        let got = registry.get(&format!("/v2/team/app/tags/list{query}")).await;
        assert_eq!(got.status, StatusCode::OK, "{query}");
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(told(&got), expected, "{query}");
    }
}

/// OC21, R13: a HEAD is a GET without its body; distribution has 405 here.
#[tokio::test]
async fn the_head_of_a_list_is_that_of_its_get() {
    let registry = tagged(&["v1", "v2"]).await;
    for path in ["/v2/team/app/tags/list?n=1", "/v2/_catalog", "/v2/"] {
        let (got, head) = (registry.get(path).await, registry.head(path).await);
        assert_eq!((head.status, head.body.len()), (got.status, 0), "{path}");
        assert_eq!(head.header("content-length"), got.body.len().to_string(), "{path}");
        for name in ["content-type", "link"] {
            assert_eq!(head.header(name), got.header(name), "{path}");
        }
    }
}

/// OC21: an unknown repository has no tags, not even none of them.
#[tokio::test]
async fn an_unknown_repository_has_no_list_of_tags() {
    let registry = tagged(&["v1"]).await;
    for path in ["/v2/team/tags/list", "/v2/team/app/x/tags/list", "/v2/team/x/tags/list?n=0"] {
        assert_eq!(registry.get(path).await.refusal(), (404, "NAME_UNKNOWN".into()), "{path}");
    }
    registry.blob("team/blobs", b"only a blob").await;
    let got = registry.get("/v2/team/blobs/tags/list").await;
    assert_eq!(got.body, "{\"name\":\"team/blobs\",\"tags\":[]}\n");
}

/// OC21, `OC27b`, DX1
#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let registry = tagged(&["v1"]).await;
    let long = format!("/v2/team/app/tags/list?last={}", "x".repeat(5000));
    for path in [
        "/v2/team/app/tags/list?n=-1",
        "/v2/team/app/tags/list?n=x",
        "/v2/team/app/tags/list?last=%00",
        &long,
        "/v2/_catalog?n=1001",
        "/v2/_catalog?n=-1",
        "/v2/_catalog?last=%00",
    ] {
        let refused = registry.get(path).await;
        assert_eq!(refused.refusal(), (400, "PAGINATION_NUMBER_INVALID".into()), "{path}");
    }
}

/// DX1
#[tokio::test]
async fn repositories_are_listed_in_pages() {
    let registry = Harness::in_memory().await;
    assert_eq!(registry.get("/v2/_catalog").await.body, "{\"repositories\":[]}\n");
    for name in ["team/app", "library/alpine", "team-b", "team"] {
        registry.blob(name, b"content").await;
    }
    for (query, expected) in [
        ("", r#" {"repositories":["library/alpine","team","team-b","team/app"]}"#),
        ("?n=0", r#" {"repositories":[]}"#),
        (
            "?n=3",
            r#"</v2/_catalog?last=team-b&n=3>; rel="next" {"repositories":["library/alpine","team","team-b"]}"#,
        ),
        ("?n=3&last=team-b", r#" {"repositories":["team/app"]}"#),
        ("?n=1&last=team%2Fa", r#" {"repositories":["team/app"]}"#),
    ] {
        let got = registry.get(&format!("/v2/_catalog{query}")).await;
        assert_eq!(told(&got), expected, "{query}");
    }
}

/// A repository whose `v1` has a signature, a bill of materials and an index about it; with the
/// digest of `v1` and the descriptors that a list of referrers must show.
async fn referred() -> (Harness, Digest, Vec<Value>) {
    let registry = Harness::in_memory().await;
    registry.blob("team/app", b"{}").await;
    let subject_bytes = empty().to_string();
    let subject = Digest::sha256(subject_bytes.as_bytes());
    push(&registry, "team/app", "v1", INDEX, &empty()).await;
    let about = json!({"mediaType": INDEX, "digest": subject, "size": subject_bytes.len()});
    let config = |media_type: &str| json!({"mediaType": media_type, "digest": Digest::sha256(b"{}"), "size": 2});
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI, "artifactType": "example/signature",
        "config": config("application/vnd.oci.empty.v1+json"), "layers": [], "subject": about,
        "annotations": {"made": "today"},
    });
    let materials = json!({
        "schemaVersion": 2, "mediaType": OCI,
        "config": config("example/sbom"), "layers": [], "subject": about,
    });
    let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": about});
    let mut listed = Vec::new();
    for (document, shown) in [
        (
            &signature,
            json!({"artifactType": "example/signature", "annotations": {"made": "today"}}),
        ),
        (&materials, json!({"artifactType": "example/sbom"})), // the config's media type
        (&list, json!({})),
    ] {
        let bytes = document.to_string();
        let digest = Digest::sha256(bytes.as_bytes());
        let media_type = document["mediaType"].as_str().unwrap();
        push(&registry, "team/app", &digest.to_string(), media_type, document).await;
        let mut shown = shown;
        shown["mediaType"] = media_type.into();
        shown["digest"] = json!(digest);
        shown["size"] = bytes.len().into();
        listed.push(shown);
    }
    listed.sort_by_key(|shown| shown["digest"].to_string());
    (registry, subject, listed)
}

/// OC24
#[tokio::test]
async fn referrers_are_an_index_of_descriptors() {
    let (registry, subject, listed) = referred().await;
    let got = registry.get(&format!("/v2/team/app/referrers/{subject}")).await;
    assert_eq!((got.status, got.header("content-type")), (StatusCode::OK, INDEX.to_owned()));
    assert_eq!(
        (got.header("oci-filters-applied"), got.header("link")),
        (String::new(), String::new())
    );
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(body, json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}));
}

/// OC24
#[tokio::test]
async fn referrers_are_filtered_by_their_type() {
    let (registry, subject, _) = referred().await;
    for (wanted, found) in
        [("example%2Fsignature", 1), ("example/sbom", 1), ("example/none", 0), ("%00%22", 0)]
    {
        let path = format!("/v2/team/app/referrers/{subject}?artifactType={wanted}");
        let got = registry.get(&path).await;
        assert_eq!(got.status, StatusCode::OK);
        assert_eq!(got.header("oci-filters-applied"), "artifactType");
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(body["manifests"].as_array().unwrap().len(), found, "{wanted}");
    }
    let all = registry.get(&format!("/v2/team/app/referrers/{subject}?artifactType=")).await;
    assert_eq!(all.header("oci-filters-applied"), "");
}

/// OC24: following the links finds each of them once.
#[tokio::test]
async fn referrers_come_in_pages_too() {
    let (registry, subject, _) = referred().await;
    let mut path = format!("/v2/team/app/referrers/{subject}?n=1");
    let mut found = Vec::new();
    loop {
        let got = registry.get(&path).await;
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        let page = body["manifests"].as_array().unwrap().clone();
        assert_eq!(page.len(), 1);
        found.extend(page.into_iter().map(|entry| entry["digest"].to_string()));
        let link = got.header("link");
        let Some(next) =
            link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""))
        else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(found.len(), 3);
    found.dedup();
    assert_eq!(found.len(), 3);
    let filtered = registry
        .get(&format!("/v2/team/app/referrers/{subject}?n=0&artifactType=example%2Fsbom"))
        .await;
    assert_eq!(filtered.header("link"), "");
}

/// OC24: never 404.
#[tokio::test]
async fn what_nobody_refers_to_has_an_empty_list() {
    let (registry, subject, _) = referred().await;
    let unknown = Digest::sha256(b"unknown");
    for path in [
        format!("/v2/team/app/referrers/{unknown}"),
        format!("/v2/team/app/referrers/{}", crate::harness::sha512(b"unknown")),
        format!("/v2/no/such/referrers/{subject}"),
    ] {
        let got = registry.get(&path).await;
        assert_eq!(got.status, StatusCode::OK);
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(body["manifests"], json!([]), "{path}");
    }
    let refused = registry.get("/v2/team/app/referrers/sha256:abc").await;
    assert_eq!(refused.refusal(), (400, "DIGEST_INVALID".into()));
}

/// OC22, OC24
#[tokio::test]
async fn a_deleted_referrer_is_listed_no_more() {
    let (registry, subject, _) = referred().await;
    let list = format!("/v2/team/app/referrers/{subject}");
    let body: Value = serde_json::from_slice(&registry.get(&list).await.body).unwrap();
    for entry in body["manifests"].as_array().unwrap() {
        let path = format!("/v2/team/app/manifests/{}", entry["digest"].as_str().unwrap());
        assert_eq!(registry.delete(&path).await.status, StatusCode::ACCEPTED);
    }
    let body: Value = serde_json::from_slice(&registry.get(&list).await.body).unwrap();
    assert_eq!(body["manifests"], json!([]));
}

/// OC1, AR15, R9
#[tokio::test]
async fn the_base_is_answered_with_and_without_its_slash() {
    let registry = Harness::in_memory().await;
    for path in ["/v2/", "/v2"] {
        let got = registry.get(path).await;
        assert_eq!((got.status, &*got.body), (StatusCode::OK, &b"{}"[..]));
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.header("docker-distribution-api-version"), "registry/2.0");
    }
    let alive = registry.send(request(Method::GET, "/", [], Body::empty())).await;
    assert_eq!((alive.status, &*alive.body), (StatusCode::OK, &b""[..]));
}
