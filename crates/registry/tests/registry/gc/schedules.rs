//! Requests and a collection in the order in which it would hurt.

use axum::body::Body;
use http::{Method, StatusCode};
use portpass_protocol::Digest;

use super::{
    ALL, BLOBS, DAY, MILLISECOND, collect,
    goods::{Manifest, blob_path, mount},
    let_marks_count, let_requests_end,
};
use crate::{
    harness::{Harness, request},
    staged::{Point, Staged},
};

/// The client was told that the layer is there, and does not push it: its manifest comes next.
#[tokio::test]
async fn a_head_that_was_answered_keeps_the_blob_for_the_manifest() {
    for (_, registry) in Staged::both().await {
        let image = Manifest::image(&[b"layer"], "", None);
        registry.blob("team/app", b"layer").await;
        assert_eq!(collect(&registry, BLOBS).await.marked, 1);
        let_marks_count(&registry);
        // At the last moment.
        let head = registry.head(&blob_path("team/app", b"layer")).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(collect(&registry, BLOBS).await.released, 0);
        registry.clock.advance(BLOBS.mark_age());
        assert_eq!(collect(&registry, BLOBS).await.released, 0);
        assert_eq!(image.put(&registry, "team/app", Some("v1")).await, StatusCode::CREATED);
        let_marks_count(&registry);
        collect(&registry, BLOBS).await;
        let_marks_count(&registry);
        collect(&registry, BLOBS).await;
        assert_eq!(registry.get(&blob_path("team/app", b"layer")).await.body, "layer");
    }
}

/// The HEAD has read the row, and looks whether the object is there while a collection comes by.
#[tokio::test]
async fn a_head_in_the_middle_of_a_collection_is_true_when_it_is_answered() {
    for (store, registry) in Staged::both().await {
        registry.blob("team/app", b"layer").await;
        collect(&registry, BLOBS).await;
        let_marks_count(&registry);
        let held = store.hold(Point::BeforeLengths);
        let path = blob_path("team/app", b"layer");
        let asked = request(Method::HEAD, &path, [], Body::empty());
        let asking = tokio::spawn(registry.answer(asked));
        registry.until(async || held.waiting() == 1).await;
        assert_eq!(collect(&registry, BLOBS).await.released, 0);
        drop(held);
        store.let_pass();
        assert_eq!(asking.await.unwrap().status(), StatusCode::OK);
        let image = Manifest::image(&[b"layer"], "", None);
        assert_eq!(image.put(&registry, "team/app", Some("v1")).await, StatusCode::CREATED);
    }
}

/// Who asks when it is too late is told so, and pushes.
#[tokio::test]
async fn what_was_collected_is_unknown_at_once() {
    for (_, registry) in Staged::both().await {
        let image = Manifest::image(&[b"layer"], "", None);
        registry.blob("team/app", b"layer").await;
        collect(&registry, BLOBS).await;
        let_marks_count(&registry);
        assert_eq!(collect(&registry, BLOBS).await.released, 1);
        let head = registry.head(&blob_path("team/app", b"layer")).await;
        assert_eq!(head.status, StatusCode::NOT_FOUND);
        assert!(!mount(&registry, "team/else", "team/app", b"layer").await);
        assert_eq!(image.put(&registry, "team/app", Some("v1")).await, StatusCode::BAD_REQUEST);
        image.push(&registry, "team/app", Some("v1")).await;
        let_requests_end(&registry);
        assert_eq!(collect(&registry, BLOBS).await.objects, 1, "the old one");
        assert_eq!(registry.get(&blob_path("team/app", b"layer")).await.body, "layer");
    }
}

#[tokio::test]
async fn a_blob_that_is_mounted_before_its_source_lets_go_of_it_stays() {
    for (_, registry) in Staged::both().await {
        registry.blob("team/app", b"layer").await;
        collect(&registry, BLOBS).await;
        let_marks_count(&registry);
        assert!(mount(&registry, "team/else", "team/app", b"layer").await);
        let collected = collect(&registry, BLOBS).await;
        assert_eq!((collected.released, collected.retired), (1, 0));
        // The mount is as good as a push: it has a grace of its own.
        registry.clock.advance(BLOBS.mark_age());
        assert_eq!(collect(&registry, BLOBS).await.released, 0);
        let image = Manifest::image(&[b"layer"], "", None);
        assert_eq!(image.put(&registry, "team/else", Some("v1")).await, StatusCode::CREATED);
        assert_eq!(registry.get(&blob_path("team/else", b"layer")).await.body, "layer");
        let gone = registry.head(&blob_path("team/app", b"layer")).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }
}

/// A push has written the object, and the blob of the same digest goes before its row is written.
#[tokio::test]
async fn a_push_of_the_same_digest_has_an_object_of_its_own() {
    for (store, registry) in Staged::both().await {
        registry.blob("team/app", b"layer").await;
        collect(&registry, BLOBS).await;
        let_marks_count(&registry);
        let held = store.hold(Point::AfterCommit);
        let digest = Digest::sha256(b"layer");
        let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
        let push = tokio::spawn(registry.answer(request(Method::POST, &path, [], "layer")));
        registry.until(async || held.waiting() == 1).await;
        assert_eq!(collect(&registry, BLOBS).await.retired, 1);
        let_requests_end(&registry);
        assert_eq!(collect(&registry, BLOBS).await.objects, 1);
        drop(held);
        assert_eq!(push.await.unwrap().status(), StatusCode::CREATED);
        assert_eq!(registry.get(&blob_path("team/app", b"layer")).await.body, "layer");
        assert_eq!(registry.objects().await.len(), 1);
    }
}

/// A push finds the blob's row in the moment before the blob goes: it holds it then, and its own object goes.
#[tokio::test]
async fn a_push_that_finds_the_row_keeps_it() {
    for (store, registry) in Staged::both().await {
        registry.blob("team/app", b"layer").await;
        collect(&registry, BLOBS).await;
        let_marks_count(&registry);
        // The row is written, and it is looked whether the object that was there is whole.
        let held = store.hold(Point::BeforeLengths);
        let digest = Digest::sha256(b"layer");
        let path = format!("/v2/team/else/blobs/uploads/?digest={digest}");
        let push = tokio::spawn(registry.answer(request(Method::POST, &path, [], "layer")));
        registry.until(async || held.waiting() == 1).await;
        let collected = collect(&registry, BLOBS).await;
        assert_eq!((collected.released, collected.retired), (1, 0));
        let_requests_end(&registry);
        collect(&registry, BLOBS).await;
        drop(held);
        assert_eq!(push.await.unwrap().status(), StatusCode::CREATED);
        assert_eq!(registry.get(&blob_path("team/else", b"layer")).await.body, "layer");
        assert_eq!(registry.objects().await.len(), 1);
    }
}

/// The children of an index are pushed by digest, and asked for before the index comes.
#[tokio::test]
async fn a_manifest_that_was_asked_for_stays_for_its_index() {
    for (_, registry) in Staged::both().await {
        let child = Manifest::image(&[b"layer"], "child", None);
        child.push(&registry, "team/app", None).await;
        collect(&registry, ALL).await;
        registry.clock.advance(DAY + MILLISECOND);
        assert_eq!(collect(&registry, ALL).await.marked, 1);
        let_marks_count(&registry);
        assert_eq!(registry.head(&child.path("team/app")).await.status, StatusCode::OK);
        registry.clock.advance(ALL.mark_age());
        assert_eq!(collect(&registry, ALL).await.manifests, 0);
        let index = Manifest::index(&[child.digest], "");
        assert_eq!(index.put(&registry, "team/app", Some("v1")).await, StatusCode::CREATED);
        registry.clock.advance(9 * DAY);
        assert_eq!(collect(&registry, ALL).await.manifests, 0);
    }
}

/// Another process collects: what the server remembers of a blob is told to nobody for longer than a moment.
#[tokio::test]
async fn a_collection_of_another_process_is_seen() {
    let registry = Harness::with_its_database_on_disk_and_in_memory().await;
    let command = portpass_registry::gc::Collector::new(
        &registry.opened_again().await,
        registry.store.clone(),
        registry.seen.clone(),
        BLOBS,
    );
    let path = registry.blob("team/app", b"layer").await;
    assert_eq!(registry.head(&path).await.status, StatusCode::OK);
    assert_eq!(command.collect(registry.now()).await.unwrap().marked, 1);
    registry.db.forget_foreign_writes().await.unwrap();
    let_marks_count(&registry);
    assert_eq!(registry.head(&path).await.status, StatusCode::OK);
    assert_eq!(command.collect(registry.now()).await.unwrap().released, 0, "it was asked for");
    let_marks_count(&registry);
    assert_eq!(command.collect(registry.now()).await.unwrap().released, 1);
    registry.db.forget_foreign_writes().await.unwrap();
    assert_eq!(registry.head(&path).await.status, StatusCode::NOT_FOUND);
}
