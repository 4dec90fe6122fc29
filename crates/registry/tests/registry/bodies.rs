//! Manifests that are slow to come, and many of them at once.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use axum::body::Body;
use http::{Method, Request, header};
use portpass_protocol::{Access, Challenge, Digest, Origin};
use portpass_registry::{
    AccessController, Deletes, Grant, Guard, controller::Denial, credentials::Caller,
};

use tokio::task::JoinHandle;

use crate::harness::{Answer, AsTheTokenSays, Halted, Harness, Wire, request};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const A_BYTE: &[u8] = b" ";

/// Lets everybody in for so long.
#[derive(Debug)]
struct Until(SystemTime);

#[async_trait]
impl AccessController for Until {
    async fn authorize(&self, _: Caller<'_>) -> Result<Grant, Denial> {
        Ok(Grant::everything("tester").until(self.0))
    }

    fn challenge(&self, origin: &Origin, needed: &[Access], denial: &Denial) -> Challenge {
        AsTheTokenSays.challenge(origin, needed, denial)
    }
}

fn manifest(announced: Option<&str>, body: Body) -> Request<Body> {
    let mut manifest =
        request(Method::PUT, "/v2/team/app/manifests/v1", [(header::CONTENT_TYPE, OCI)], body);
    if let Some(length) = announced {
        manifest.headers_mut().insert(header::CONTENT_LENGTH, length.parse().unwrap());
    }
    manifest
}

fn begin(registry: &Harness, announced: Option<&str>) -> (Wire, JoinHandle<Answer>) {
    let (wire, body) = Wire::new();
    let answer = registry.answer(manifest(announced, body));
    (wire, tokio::spawn(async move { Answer::read(answer.await).await }))
}

/// A byte each 20 s, until nobody reads any more; how many were sent.
async fn drip(wire: &Wire) -> u32 {
    let mut sent = 0;
    while !wire.is_closed() {
        wire.send(A_BYTE).await;
        wire.taken().await;
        sent += 1;
        // A timer that is due now fires with the next millisecond.
        tokio::time::advance(Duration::from_millis(20_001)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    sent
}

#[tokio::test]
async fn who_drips_is_cut_off_in_two_minutes() {
    let registry = Harness::in_memory().await;
    let _halted = Halted::time();
    let (wire, answer) = begin(&registry, Some("4000000"));
    assert_eq!(drip(&wire).await, 6);
    let answer = answer.await.unwrap();
    assert_eq!(answer.refusal(), (400, "SIZE_INVALID".into()));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("has to come within 120 s"), "{text}");
}

#[tokio::test]
async fn who_stands_still_is_cut_off_sooner() {
    let registry = Harness::in_memory().await;
    let _halted = Halted::time();
    let (wire, answer) = begin(&registry, None);
    wire.send(A_BYTE).await;
    wire.taken().await;
    tokio::time::advance(Duration::from_secs(31)).await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.refusal(), (400, "SIZE_INVALID".into()));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("nothing came for 30 s"), "{text}");
}

/// R14
/// A token that ends while the body comes ends the request: the client comes back with another.
#[tokio::test]
async fn the_end_of_the_token_ends_the_body() {
    // (seconds that are left, bytes that are read)
    for (left, read) in [(70, 4), (30, 2), (0, 1), (3600, 6)] {
        let at = Harness::in_memory().await.now() + Duration::from_secs(left);
        let registry =
            Harness::guarded(Guard::Controller(Arc::new(Until(at))), Deletes::Enabled).await;
        let _halted = Halted::time();
        let (wire, answer) = begin(&registry, Some("4000000"));
        assert_eq!(drip(&wire).await, read, "{left}");
        let answer = answer.await.unwrap();
        tokio::time::resume();
        if left == 3600 {
            assert_eq!(answer.status, 400, "the body's own end comes first");
            continue;
        }
        assert_eq!(answer.refusal(), (401, "UNAUTHORIZED".into()), "{left}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains(r#"scope="repository:team/app:pull,push""#), "{challenge}");
    }
}

/// Half-sent bodies hold room; whoever waits for some is told when to come back, and is served again as soon
/// as they are gone.
#[tokio::test]
async fn who_finds_no_room_is_told_to_come_back() {
    let registry =
        Harness::guarded(Guard::Controller(Arc::new(AsTheTokenSays)), Deletes::Enabled).await;
    let long = |body: Body| {
        let mut long = manifest(Some("4000000"), body);
        long.headers_mut()
            .insert(header::AUTHORIZATION, "Bearer repository:team/app:pull,push".parse().unwrap());
        long
    };
    let mut held = Vec::new();
    let _halted = Halted::time();
    for _ in 0..3 {
        let (wire, body) = Wire::new();
        let answer = tokio::spawn(registry.answer(long(body)));
        wire.send(A_BYTE).await;
        wire.taken().await;
        held.push((wire, answer));
    }
    let late = tokio::spawn(registry.answer(long(Body::from("{}"))));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(6)).await;
    let late = Answer::read(late.await.unwrap()).await;
    assert_eq!(late.refusal(), (503, "UNAVAILABLE".into()));
    assert_eq!(late.header("retry-after"), "5");

    let small = format!("/v2/team/app/manifests/{}", Digest::sha256(b"{}"));
    let headers = [
        (header::CONTENT_TYPE, OCI),
        (header::AUTHORIZATION, "Bearer repository:team/app:pull,push"),
    ];
    let small = registry.send(request(Method::PUT, &small, headers, "{}")).await;
    assert_eq!(small.refusal(), (400, "MANIFEST_INVALID".into()), "it was read at once");

    for (wire, answer) in held {
        wire.break_off().await;
        assert_eq!(answer.await.unwrap().status(), 400);
    }
    let again = Answer::read(registry.answer(long(Body::from("{}"))).await).await;
    assert_eq!(again.refusal(), (400, "MANIFEST_INVALID".into()));
}
