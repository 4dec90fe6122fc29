//! A registry that serves pulls and changes nothing.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{Method, StatusCode, header};
use portpass_protocol::Digest;
use portpass_registry::{Deletes, Guard};
use portpass_state::{AuditRecord, Change};
use serde_json::json;

use crate::harness::{AsTheTokenSays, Halted, Harness, request};

const HOUR: Duration = Duration::from_hours(1);
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Turns the switch, as a command of another process does.
async fn turn(registry: &Harness, on: bool) {
    let record = AuditRecord {
        at: registry.now(),
        action: "read-only".to_owned(),
        actor: None,
        object: None,
        address: None,
        request: None,
        detail: json!({}),
    };
    let db = &registry.db;
    let turned = if on {
        db.make_read_only(registry.now(), &record).await
    } else {
        db.make_writable(&record).await
    };
    assert_eq!(turned.unwrap(), Change::Done);
    registry.read_only.follow(db).await.unwrap();
}

async fn put_index(registry: &Harness, reference: &str) -> StatusCode {
    let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).to_string();
    let path = format!("/v2/team/app/manifests/{reference}");
    let headers = [(header::CONTENT_TYPE, INDEX)];
    registry.send(request(Method::PUT, &path, headers, document)).await.status
}

#[tokio::test]
async fn whatever_changes_something_is_405_and_whatever_reads_is_served() {
    let registry = Harness::in_memory().await;
    let blob = registry.blob("team/app", b"layer").await;
    let session = registry.session("team/app").await;
    assert_eq!(registry.patch(&session, "la").await.status, StatusCode::ACCEPTED);
    assert_eq!(put_index(&registry, "v1").await, StatusCode::CREATED);
    registry.seen.take();
    turn(&registry, true).await;

    let digest = Digest::sha256(b"layer");
    let uploads = "/v2/team/app/blobs/uploads/".to_owned();
    let manifest = "/v2/team/app/manifests/v1".to_owned();
    for (method, path, allow) in [
        (Method::PUT, manifest.clone(), "GET, HEAD"),
        (Method::DELETE, manifest.clone(), "GET, HEAD"),
        (Method::DELETE, blob.clone(), "GET, HEAD"),
        (Method::POST, uploads.clone(), ""),
        (Method::POST, format!("{uploads}?digest={digest}"), ""),
        (Method::POST, format!("{uploads}?mount={digest}&from=team/other"), ""),
        (Method::PATCH, session.clone(), "GET, HEAD"),
        (Method::PUT, format!("{session}?digest={digest}"), "GET, HEAD"),
        (Method::DELETE, session.clone(), "GET, HEAD"),
    ] {
        let headers = [(header::CONTENT_TYPE, INDEX)];
        let answer = registry.send(request(method.clone(), &path, headers, Body::empty())).await;
        assert_eq!(answer.refusal(), (405, "UNSUPPORTED".into()), "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    assert_eq!(registry.seen.take(), []);
    for path in ["/v2/", "/v2/_catalog", "/v2/team/app/tags/list", &manifest, &blob] {
        assert_eq!(registry.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(registry.progress(&session).await, "0-1");

    // Where it ended, it goes on.
    turn(&registry, false).await;
    assert_eq!(registry.put(&session, &digest, "yer").await.status, StatusCode::CREATED);
    assert_eq!(put_index(&registry, "v2").await, StatusCode::CREATED);
}

/// Who may not change anything at all does not learn that it is read-only.
#[tokio::test]
async fn rights_are_asked_first() {
    let registry = Harness::guarded(Guard::Controller(Arc::new(AsTheTokenSays)), Deletes::Enabled);
    let registry = registry.await;
    turn(&registry, true).await;
    assert_eq!(put_index(&registry, "v1").await, StatusCode::UNAUTHORIZED);
}

/// Another registry, with nothing to keep it from its upkeep, tells when it would be done.
#[tokio::test]
async fn nothing_is_cleared_away_until_it_is_writable_again() {
    let (registry, other) = (Harness::in_memory().await, Harness::in_memory().await);
    let session = registry.session("team/app").await;
    let others = other.session("team/app").await;
    turn(&registry, true).await;
    let _halted = Halted::time();
    for registry in [&registry, &other] {
        registry.clock.advance(25 * HOUR);
    }
    let running =
        [&registry, &other].map(|harness| tokio::spawn(harness.registry.clone().run_upkeep()));
    let gone = async |registry: &Harness, session: &str| {
        tokio::time::advance(Duration::from_millis(1)).await;
        registry.get(session).await.status == StatusCode::NOT_FOUND
    };
    other.until(async || gone(&other, &others).await).await;
    assert!(!gone(&registry, &session).await);
    turn(&registry, false).await;
    tokio::time::advance(HOUR).await;
    registry.until(async || gone(&registry, &session).await).await;
    for upkeep in running {
        upkeep.abort();
    }
}
