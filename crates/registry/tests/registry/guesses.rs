//! Passwords that are guessed at an htpasswd registry.

use std::net::IpAddr;

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use portpass_protocol::{RequestOutcome, origin::ClientAddress};
use portpass_registry::Deletes;

use crate::{
    harness::{Answer, Harness, request},
    wardens,
};

const GUESSER: [u8; 4] = [192, 0, 2, 1];
const OWNER: [u8; 4] = [192, 0, 2, 2];

fn call(address: impl Into<IpAddr>, name: &str, password: &str) -> Request<Body> {
    let mut request = request(Method::GET, "/v2/", [], Body::empty());
    let value = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    request.headers_mut().insert("authorization", value.parse().unwrap());
    request.extensions_mut().insert(ClientAddress(address.into()));
    request
}

fn count(answers: &[Answer], status: StatusCode) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// All at once, as somebody does who means it: what is looked at is what the limits allow, and whoever
/// owns the account notices nothing.
#[tokio::test]
async fn of_many_guesses_at_once_ten_are_looked_at() {
    let (guard, _file) = wardens::htpasswd("ann", "right");
    let harness = Harness::guarded(guard, Deletes::Enabled).await;
    let guesses = (0..60).map(|guess| harness.send(call(GUESSER, "ann", &format!("{guess}"))));
    let answers = futures_util::future::join_all(guesses).await;
    assert_eq!(count(&answers, StatusCode::UNAUTHORIZED), 10);
    assert_eq!(count(&answers, StatusCode::TOO_MANY_REQUESTS), 50);

    let limited = harness.send(call(GUESSER, "ann", "right")).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(!limited.headers.contains_key("www-authenticate"));
    assert_eq!(limited.code(), "TOOMANYREQUESTS");
    assert_eq!(harness.send(call(OWNER, "ann", "right")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_is_right_is_never_limited_however_many_requests_come_at_once() {
    let (guard, _file) = wardens::htpasswd("ann", "right");
    let harness = Harness::guarded(guard, Deletes::Enabled).await;
    let calls = (0..100).map(|_| harness.send(call(OWNER, "ann", "right")));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(count(&answers, StatusCode::OK), 100);
}

/// The log says why, and of whom.
#[tokio::test]
async fn what_was_not_looked_at_is_called_so() {
    let (guard, _file) = wardens::htpasswd("ann", "right");
    let harness = Harness::guarded(guard, Deletes::Enabled).await;
    for guess in 0..10 {
        harness.send(call(GUESSER, "ann", &format!("{guess}"))).await;
    }
    let response = harness.answer(call(GUESSER, "ann", "another")).await;
    let handled = response.extensions().get::<RequestOutcome>().unwrap();
    let refusal = handled.refusal.as_ref().unwrap();
    assert_eq!(refusal.id, "too-many-attempts");
    assert!(
        refusal.text.starts_with("too many failed attempts for this account from this address")
    );
}

/// Of the token service beside it; no log shows one that is sent as GitHub's tokens are.
#[tokio::test]
async fn a_refresh_token_in_place_of_the_name_is_not_repeated() {
    let (guard, _file) = wardens::htpasswd("ann", "right");
    let registry = Harness::guarded(guard, Deletes::Enabled).await;
    let secret = format!("ppr_{}", "0a".repeat(36));
    for pair in [format!("{secret}:"), format!("{secret}:x"), format!(" {secret}:{secret}")] {
        let (name, password) = pair.split_once(':').unwrap();
        let answer = registry.answer(call(GUESSER, name, password)).await;
        let handled = answer.extensions().get::<RequestOutcome>().unwrap().clone();
        let refusal = handled.refusal.as_ref().unwrap();
        assert_eq!(refusal.id, "wrong-password");
        assert_eq!(refusal.text, "the password for \"ppr_…\" is wrong, or there is no such user");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let shown = format!("{handled:?}{head:?}{}", String::from_utf8_lossy(&body));
        assert!(!shown.contains("0a0a"), "{shown}");
    }
}
