//! Requests that meet at the worst moment. Where a schedule can be forced it is; elsewhere many meet
//! by chance, and a model says what may come of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderName, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use portpass_protocol::Digest;
use portpass_registry::{
    gc::{Collected, GcSettings},
    upkeep::Upkeep,
};
use portpass_testkit::SeededRng;
use tokio::task::JoinSet;

use crate::{
    harness::{Harness, content, request},
    staged::{Point, Staged},
};

const HOUR: Duration = Duration::from_hours(1);
const OCI: (HeaderName, &str) =
    (header::CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json");

/// Twenty clients have each written the blob whole before the first of them writes its row.
#[tokio::test]
async fn the_same_digest_pushed_by_twenty_clients_is_one_object() {
    const CLIENTS: usize = 20;
    let content = content(100_000);
    let digest = Digest::sha256(&content);
    for (store, registry) in Staged::both().await {
        let held = store.hold(Point::AfterCommit);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let repository = ["team/app", "team/other", "x"][number % 3];
            let request = if number % 2 == 0 {
                let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
                request(Method::POST, &path, [], content.clone())
            } else {
                let session = registry.session(repository).await;
                registry.patch(&session, content[..30_000].to_vec()).await;
                let path = format!("{session}?digest={digest}");
                request(Method::PUT, &path, [], content[30_000..].to_vec())
            };
            clients.spawn(registry.answer(request));
        }
        registry.until(async || held.waiting() == CLIENTS).await;
        assert!(registry.objects().await.len() >= CLIENTS);
        drop(held);
        while let Some(answer) = clients.join_next().await {
            assert_eq!(answer.unwrap().status(), StatusCode::CREATED);
        }
        for repository in ["team/app", "team/other", "x"] {
            let blob = registry.get(&format!("/v2/{repository}/blobs/{digest}")).await;
            assert!(blob.body == content, "{repository}");
        }
        assert_eq!(registry.objects().await.len(), 1);
    }
}

/// A machine that slept for a day in the middle of a commit, and another that purged meanwhile.
#[tokio::test]
async fn an_upload_that_is_purged_while_it_is_committed_is_gone() {
    for point in [Point::BeforeCommit, Point::AfterCommit] {
        for pieces in [&["hello"][..], &["hello", " world"]] {
            for (store, registry) in Staged::both().await {
                purge_at(point, pieces, &store, &registry).await;
            }
        }
    }
}

async fn purge_at(point: Point, pieces: &[&'static str], store: &Staged, registry: &Harness) {
    let session = registry.session("team/app").await;
    for piece in pieces {
        registry.patch(&session, *piece).await;
    }
    let digest = Digest::sha256(pieces.concat().as_bytes());
    let held = store.hold(point);
    let path = format!("{session}?digest={digest}");
    let finishing = tokio::spawn(registry.answer(request(Method::PUT, &path, [], Body::empty())));
    registry.until(async || held.waiting() == 1).await;
    registry.clock.advance(25 * HOUR);
    let upkeep = registry.registry.upkeep(registry.now()).await.unwrap();
    assert_eq!(upkeep.purged_uploads, 1);
    drop(held);
    assert_eq!(finishing.await.unwrap().status(), StatusCode::NOT_FOUND, "{point:?} {pieces:?}");
    assert_eq!(registry.objects().await, [], "{point:?} {pieces:?}");
    let blob = format!("/v2/team/app/blobs/{digest}");
    assert_eq!(registry.get(&blob).await.status, StatusCode::NOT_FOUND);
    assert_eq!(registry.blob("team/app", pieces.concat().as_bytes()).await, blob);
}

/// While its request is at work, an upload is nobody else's: a purge leaves it alone.
#[tokio::test]
async fn a_purge_leaves_an_upload_that_is_being_committed() {
    for (store, registry) in Staged::both().await {
        let session = registry.session("team/app").await;
        registry.patch(&session, "hello").await;
        registry.clock.advance(25 * HOUR);
        let held = store.hold(Point::AfterCommit);
        let path = format!("{session}?digest={}", Digest::sha256(b"hello"));
        let finishing =
            tokio::spawn(registry.answer(request(Method::PUT, &path, [], Body::empty())));
        registry.until(async || held.waiting() == 1).await;
        let upkeep = registry.registry.upkeep(registry.now()).await.unwrap();
        assert_eq!(upkeep, Upkeep::default());
        registry.registry.sweep(registry.now()).await.unwrap();
        drop(held);
        let created = finishing.await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED);
        let blob = created.headers()[header::LOCATION].to_str().unwrap();
        assert_eq!(registry.get(blob).await.body, "hello");
    }
}

/// Whoever has begun to read a blob reads it to its end, also when its object is removed meanwhile.
#[tokio::test]
async fn a_blob_deleted_in_the_middle_of_a_pull_is_pulled_whole() {
    let content = content(5_000_000);
    for (_, registry) in Staged::both().await {
        let path = registry.blob("team/app", &content).await;
        let pull = registry.answer(request(Method::GET, &path, [], Body::empty())).await;
        assert_eq!(pull.status(), StatusCode::OK);
        let mut body = pull.into_body();
        let mut pulled = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
        assert_eq!(registry.delete(&path).await.status, StatusCode::ACCEPTED);
        for _ in 0..2 {
            registry.clock.advance(2 * HOUR);
            collect(&registry).await;
        }
        assert_eq!(registry.objects().await, []);
        assert_eq!(registry.get(&path).await.status, StatusCode::NOT_FOUND);
        pulled.extend_from_slice(&body.collect().await.unwrap().to_bytes());
        assert!(pulled == content);
    }
}

/// Its row has been read, and the object is there for as long as any request takes.
#[tokio::test]
async fn a_blob_deleted_before_it_is_opened_is_pulled_whole() {
    for (store, registry) in Staged::both().await {
        let path = registry.blob("team/app", b"hello").await;
        let held = store.hold(Point::BeforeOpen);
        let pull = tokio::spawn(registry.answer(request(Method::GET, &path, [], Body::empty())));
        registry.until(async || held.waiting() == 1).await;
        registry.delete(&path).await;
        assert_eq!(collect(&registry).await.retired, 1);
        registry.clock.advance(Duration::from_secs(59));
        assert_eq!(collect(&registry).await.objects, 0, "somebody may be about to open it");
        drop(held);
        let pulled = pull.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(pulled, "hello");
    }
}

#[tokio::test]
async fn a_manifest_deleted_in_the_middle_of_a_pull_is_pulled_whole() {
    for (_, registry) in Staged::both().await {
        let manifest = image(&registry, "hello").await;
        let path = "/v2/team/app/manifests/v1";
        registry.send(request(Method::PUT, path, [OCI], manifest.clone())).await;
        let pull = registry.answer(request(Method::GET, path, [], Body::empty())).await;
        let digest = format!("/v2/team/app/manifests/{}", Digest::sha256(manifest.as_bytes()));
        assert_eq!(registry.delete(&digest).await.status, StatusCode::ACCEPTED);
        assert_eq!(registry.get(path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(pull.into_body().collect().await.unwrap().to_bytes(), manifest);
    }
}

/// A tag goes to and fro between two images while others pull it: they get the one or the other, and
/// headers and bytes are of the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_names_one_image_or_the_other() {
    let registry = Arc::new(Harness::with_its_database_on_disk().await);
    let images = [image(&registry, "one").await, image(&registry, &"other".repeat(1000)).await];
    let path = "/v2/team/app/manifests/v1";
    let push = request(Method::PUT, path, [OCI], images[1].clone());
    assert_eq!(registry.send(push).await.status, StatusCode::CREATED);
    let (target, both) = (registry.clone(), images.clone());
    let mover = tokio::spawn(async move {
        for number in 0..60 {
            let push = request(Method::PUT, path, [OCI], both[number % 2].clone());
            assert_eq!(target.send(push).await.status, StatusCode::CREATED);
        }
    });
    let mut pullers = JoinSet::new();
    for method in [Method::GET, Method::HEAD, Method::GET, Method::HEAD] {
        let (registry, images) = (registry.clone(), images.clone());
        let mover = mover.abort_handle();
        pullers.spawn(async move {
            let mut seen = BTreeSet::new();
            while !mover.is_finished() {
                let answer = registry.send(request(method.clone(), path, [], Body::empty())).await;
                assert_eq!(answer.status, StatusCode::OK);
                let named = answer.header("docker-content-digest");
                let of = |image: &&String| Digest::sha256(image.as_bytes()).to_string() == named;
                let image = images.iter().find(of).expect("one of the two");
                assert_eq!(answer.header("content-length"), image.len().to_string());
                assert!(method == Method::HEAD || answer.body == *image);
                seen.insert(named);
            }
            seen.len()
        });
    }
    let seen = pullers.join_all().await;
    mover.await.unwrap();
    assert!(seen.contains(&2), "nobody saw the tag move");
}

/// Six clients write to one upload. Each is told where its bytes lie, or that it has written nothing;
/// and the blob is what they were told.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_many_write_to_is_what_they_were_told() {
    const WRITERS: usize = 6;
    let seed = SeededRng::seed_from_env("PORTPASS_RACE_SEED");
    println!("PORTPASS_RACE_SEED={seed} chooses the same bytes again");
    let mut rng = SeededRng::new(seed);
    let registry = Harness::with_its_database_on_disk().await;
    let (mut written, mut refused) = (0, 0);
    for _ in 0..30 {
        let session = registry.session("team/app").await;
        let mut upload = Vec::new();
        for _ in 0..3 {
            let mut writers = JoinSet::new();
            for _ in 0..WRITERS {
                let length = rng.between(2, 40_000);
                let piece = rng.bytes(length);
                let writing = request(Method::PATCH, &session, [], piece.clone());
                let answer = registry.answer(writing);
                writers.spawn(async move { (answer.await, piece) });
            }
            let mut pieces = Vec::new();
            while let Some(ended) = writers.join_next().await {
                let (answer, piece) = ended.unwrap();
                match answer.status() {
                    StatusCode::ACCEPTED => pieces.push((end(answer.headers()), piece)),
                    StatusCode::RANGE_NOT_SATISFIABLE => refused += 1,
                    status => panic!("{status}"),
                }
            }
            pieces.sort();
            for (end, piece) in pieces {
                upload.extend_from_slice(&piece);
                assert_eq!(upload.len(), end);
                written += 1;
            }
        }
        let created = registry.put(&session, &Digest::sha256(&upload), "").await;
        assert_eq!(created.status, StatusCode::CREATED);
        assert!(registry.get(&created.location()).await.body == upload);
    }
    assert!(written >= 90 && refused > 0, "{written} pieces written, {refused} refused");
}

/// How many bytes an upload has.
fn end(headers: &http::HeaderMap) -> usize {
    let range = headers[header::RANGE].to_str().unwrap();
    range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1
}

async fn collect(registry: &Harness) -> Collected {
    let settings = GcSettings { grace: 2 * HOUR, untagged: None };
    registry.collector(settings).collect(registry.now()).await.unwrap()
}

/// The manifest of an image of one layer, which is pushed.
async fn image(registry: &Harness, layer: &str) -> String {
    registry.blob("team/app", layer.as_bytes()).await;
    let descriptor = serde_json::json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": Digest::sha256(layer.as_bytes()).to_string(),
        "size": layer.len(),
    });
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI.1,
        "config": descriptor,
        "layers": [descriptor],
        "annotations": { "layer": layer },
    })
    .to_string()
}
