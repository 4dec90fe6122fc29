//! What counts as a pull.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::body::Body;
use http::{Method, header};
use portpass_protocol::{Digest, Tag};
use portpass_state::{PullCount, Pulled};
use serde_json::json;

use crate::harness::{Harness, request};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An index of nothing under this tag.
async fn pushed(registry: &Harness, tag: &str) -> Digest {
    let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).to_string();
    let path = format!("/v2/team/app/manifests/{tag}");
    let headers = [(header::CONTENT_TYPE, INDEX)];
    let answer = registry.send(request(Method::PUT, &path, headers, document.clone())).await;
    assert_eq!(answer.status, 201);
    Digest::sha256(document.as_bytes())
}

/// Pulls of the tag `v1` and of the digest, once they are written down.
async fn counted(registry: &Harness, digest: Digest) -> (Option<PullCount>, Option<PullCount>) {
    Arc::clone(&registry.pulls).flush(registry.db.clone()).await.unwrap();
    let name = "team/app".parse().unwrap();
    let tag: Tag = "v1".parse().unwrap();
    let of_tag = registry.db.last_pulled(&Pulled::Tag(name, tag)).await.unwrap();
    let name = "team/app".parse().unwrap();
    (of_tag, registry.db.last_pulled(&Pulled::Digest(name, digest)).await.unwrap())
}

/// As it is written down: to the millisecond.
fn now(registry: &Harness) -> SystemTime {
    let since = registry.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_millis(since.as_millis().try_into().unwrap())
}

#[tokio::test]
async fn a_tag_that_is_looked_up_and_its_digest_fetched_are_one_pull_of_each() {
    let registry = Harness::in_memory().await;
    let digest = pushed(&registry, "v1").await;
    let last = now(&registry);
    let once = Some(PullCount { pulls: 1, last });
    assert_eq!(counted(&registry, digest).await, (None, None), "a push is no pull");
    let (by_tag, by_digest) =
        ("/v2/team/app/manifests/v1", format!("/v2/team/app/manifests/{digest}"));
    // As docker and containerd do it.
    assert_eq!(registry.head(by_tag).await.status, 200);
    assert_eq!(counted(&registry, digest).await, (once, None));
    assert_eq!(registry.get(&by_digest).await.status, 200);
    assert_eq!(counted(&registry, digest).await, (once, once));
    // As skopeo and podman do it.
    assert_eq!(registry.get(by_tag).await.status, 200);
    let twice = Some(PullCount { pulls: 2, last });
    assert_eq!(counted(&registry, digest).await, (twice, twice));
}

#[tokio::test]
async fn what_only_asks_and_what_is_not_there_is_no_pull() {
    let registry = Harness::in_memory().await;
    let digest = pushed(&registry, "v1").await;
    assert_eq!(registry.head(&format!("/v2/team/app/manifests/{digest}")).await.status, 200);
    assert_eq!(registry.get("/v2/team/app/manifests/v2").await.status, 404);
    assert_eq!(registry.get("/v2/team/app/tags/list").await.status, 200);
    assert_eq!(counted(&registry, digest).await, (None, None));
}

/// A client that has it already still pulls it.
#[tokio::test]
async fn a_pull_of_what_the_client_has_counts() {
    let registry = Harness::in_memory().await;
    let digest = pushed(&registry, "v1").await;
    let etag = format!("\"{digest}\"");
    let headers = [(header::IF_NONE_MATCH, &*etag)];
    let asked = request(Method::GET, "/v2/team/app/manifests/v1", headers, Body::empty());
    assert_eq!(registry.send(asked).await.status, 304);
    let once = Some(PullCount { pulls: 1, last: now(&registry) });
    assert_eq!(counted(&registry, digest).await, (once, once));
}
