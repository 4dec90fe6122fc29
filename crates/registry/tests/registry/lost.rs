//! Blobs whose bytes are gone, or are more or fewer than their rows say: nobody is told that they are there,
//! and whoever pushes them again heals them for all.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use axum::body::Body;
use http::{HeaderName, Method, StatusCode, header};
use portpass_protocol::Digest;
use portpass_registry::gc::GcSettings;
use serde_json::json;

use crate::{
    harness::{Harness, on_both_stores, request},
    staged::{Held, Point, Staged},
};

on_both_stores![
    a_lost_blob_is_healed_for_everybody_by_a_push,
    a_lost_blob_is_healed_by_several_at_once,
    a_lost_blob_is_not_mounted,
    a_manifest_that_names_a_lost_blob_is_not_kept,
];

const HOUR: Duration = Duration::from_hours(1);
const OCI: (HeaderName, &str) =
    (header::CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json");

/// A blob of two repositories whose object is gone.
async fn lost(registry: &Harness) -> [String; 2] {
    let paths = [registry.blob("team/a", b"hello").await, registry.blob("team/b", b"hello").await];
    let [object] = registry.objects().await.try_into().unwrap();
    registry.store.delete(&object.location).await.unwrap();
    paths
}

/// 201 is for bytes that are there, and so is the 200 that keeps a client from pushing.
async fn a_lost_blob_is_healed_for_everybody_by_a_push(registry: Harness) {
    let paths = lost(&registry).await;
    for path in &paths {
        assert_eq!(registry.head(path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(registry.get(path).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    registry.blob("team/c", b"hello").await;
    for path in &paths {
        assert_eq!(registry.head(path).await.status, StatusCode::OK);
        assert_eq!(registry.get(path).await.body, "hello");
    }
    assert_eq!(registry.objects().await.len(), 1);
    // What was the lost object's name is cleared away, the new object is not.
    registry.clock.advance(Duration::from_hours(3));
    registry.registry.upkeep(registry.now()).await.unwrap();
    assert_eq!(registry.get(&paths[0]).await.body, "hello");
}

async fn a_lost_blob_is_healed_by_several_at_once(registry: Harness) {
    let paths = lost(&registry).await;
    let digest = Digest::sha256(b"hello");
    let push = |name: usize| {
        let path = format!("/v2/team/{name}/blobs/uploads/?digest={digest}");
        tokio::spawn(registry.answer(request(Method::POST, &path, [], "hello")))
    };
    let pushes: Vec<_> = (0..8).map(push).collect();
    for push in pushes {
        assert_eq!(push.await.unwrap().status(), StatusCode::CREATED);
    }
    for path in paths {
        assert_eq!(registry.get(&path).await.body, "hello");
    }
    assert_eq!(registry.objects().await.len(), 1, "what was superfluous is gone");
}

async fn a_lost_blob_is_not_mounted(registry: Harness) {
    lost(&registry).await;
    let digest = Digest::sha256(b"hello");
    for (target, from) in [("team/c", "team/a"), ("team/a", "team/b")] {
        let path = format!("/v2/{target}/blobs/uploads/?mount={digest}&from={from}");
        let answer = registry.send(request(Method::POST, &path, [], Body::empty())).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "the bytes are asked for");
        let finished = registry.send(request(
            Method::PUT,
            &format!("{}?digest={digest}", answer.location()),
            [],
            "hello",
        ));
        assert_eq!(finished.await.status, StatusCode::CREATED);
        assert_eq!(registry.get(&format!("/v2/{target}/blobs/{digest}")).await.body, "hello");
        let [object] = registry.objects().await.try_into().unwrap();
        registry.store.delete(&object.location).await.unwrap();
    }
}

/// 201 for a manifest means that it can be pulled.
async fn a_manifest_that_names_a_lost_blob_is_not_kept(registry: Harness) {
    lost(&registry).await;
    registry.blob("team/a", b"{}").await;
    let descriptor = |content: &[u8]| json!({"mediaType": "x/y", "digest": Digest::sha256(content), "size": content.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "config": descriptor(b"{}"),
        "layers": [descriptor(b"hello"), descriptor(b"{}")],
    });
    let push = async || {
        let path = "/v2/team/a/manifests/v1";
        registry.send(request(Method::PUT, path, [OCI], manifest.to_string())).await
    };
    let refused = push().await;
    assert_eq!(refused.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".into()));
    let named: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(named["errors"][0]["detail"], Digest::sha256(b"hello").to_string());
    registry.blob("team/b", b"hello").await;
    assert_eq!(push().await.status, StatusCode::CREATED);
}

/// A disk that was repaired, or a hand that slipped: what is there is longer, or shorter, or empty.
#[tokio::test]
async fn a_blob_of_another_length_is_lost_and_healed() {
    for content in ["hello, and more", "hel", ""] {
        let registry = Harness::on_files().await;
        let paths =
            [registry.blob("team/a", b"hello").await, registry.blob("team/b", b"hello").await];
        let [object] = registry.objects().await.try_into().unwrap();
        let name = object.location.as_str();
        let file = registry.directory().join(&name[..2]).join(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, content).unwrap();
        for path in &paths {
            assert_eq!(registry.head(path).await.status, StatusCode::NOT_FOUND, "{content:?}");
            let got = registry.get(path).await;
            assert_eq!(got.refusal(), (500, "UNKNOWN".into()), "{content:?}");
            let part = request(Method::GET, path, [(header::RANGE, "bytes=0-1")], Body::empty());
            assert_eq!(registry.send(part).await.status, StatusCode::INTERNAL_SERVER_ERROR);
        }
        registry.blob("team/a", b"hello").await;
        for path in &paths {
            assert_eq!(registry.head(path).await.status, StatusCode::OK);
            assert_eq!(registry.get(path).await.body, "hello");
        }
    }
}

/// One who heals is held up until another has healed, and all that is cleared away was cleared away.
#[tokio::test]
async fn whoever_comes_late_to_heal_finds_the_blob_whole() {
    for (store, registry) in Staged::both().await {
        let paths = lost(&registry).await;
        let late = held_up(&store, &registry).await;
        registry.blob("team/c", b"hello").await;
        registry.clock.advance(2 * HOUR);
        registry.registry.upkeep(registry.now()).await.unwrap();
        registry.registry.sweep(registry.now()).await.unwrap();
        let (held, pushing) = late;
        drop(held);
        assert_eq!(pushing.await.unwrap().status(), StatusCode::CREATED);
        for path in &paths {
            assert_eq!(registry.get(path).await.body, "hello");
        }
        assert_eq!(registry.objects().await.len(), 1);
    }
}

/// Its own object is cleared away before its row can name it: that is no 201.
#[tokio::test]
async fn whoever_heals_with_what_is_gone_is_told_so() {
    for (store, registry) in Staged::both().await {
        let paths = lost(&registry).await;
        let (held, pushing) = held_up(&store, &registry).await;
        registry.clock.advance(2 * HOUR);
        let settings = GcSettings { grace: HOUR, untagged: None };
        registry.collector(settings).collect(registry.now()).await.unwrap();
        drop(held);
        assert_eq!(pushing.await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
        registry.blob("team/c", b"hello").await;
        assert_eq!(registry.get(&paths[0]).await.body, "hello");
    }
}

/// A push that waits before it looks whether the object of the blob's row is there.
async fn held_up(
    store: &Staged,
    registry: &Harness,
) -> (Held, tokio::task::JoinHandle<axum::response::Response>) {
    let held = store.hold(Point::BeforeLengths);
    let path = format!("/v2/team/late/blobs/uploads/?digest={}", Digest::sha256(b"hello"));
    let pushing = tokio::spawn(registry.answer(request(Method::POST, &path, [], "hello")));
    registry.until(async || held.waiting() == 1).await;
    store.let_pass();
    (held, pushing)
}
