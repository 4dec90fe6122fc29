//! What is tried again, and what is not waited for.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use insta::assert_snapshot;
use portpass_protocol::{Digest, manifest::Descriptor};
use portpass_testkit::http::{Raw, Reply, Seen, Served, Then, reply};
use reqwest::header;

use crate::{
    Manifest, Repository,
    fixture::{Fixture, MemoryStore, RecordedTimer, session},
    repository::Mounted,
    session::Error,
};

const TAGS: &str = r#"{"name":"a","tags":["v1"]}"#;
const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The first answers, then the last for ever.
fn in_turn(answers: Vec<Reply>) -> impl Fn(&Seen) -> Reply {
    let number = AtomicUsize::new(0);
    move |_| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        answers[number.min(answers.len() - 1)].clone()
    }
}

fn busy(status: u16, after: &str) -> Reply {
    reply(status, "").with(header::RETRY_AFTER, after)
}

fn seconds(stage: &Fixture) -> Vec<f64> {
    stage.timer.waits().iter().map(Duration::as_secs_f64).collect()
}

#[tokio::test]
async fn a_registry_that_is_busy_is_left_alone_for_as_long_as_it_says() {
    let answers = in_turn(vec![busy(429, "7"), busy(503, "2"), reply(200, TAGS)]);
    let stage = Fixture::start(move |seen, _| answers(seen)).await;
    assert_eq!(stage.remote("a").tags().await.unwrap().len(), 1);
    assert_eq!(seconds(&stage), [7.5, 3.0]);
    assert_eq!(stage.service.seen().len(), 1, "the token is kept over it");
}

#[tokio::test]
async fn a_registry_that_stays_busy_is_given_up() {
    let stage = Fixture::start(|_, _| busy(503, "1")).await;
    let error = stage.remote("a").tags().await.unwrap_err();
    assert!(error.is_transient());
    assert_snapshot!(stage.said(&error), @"http://REGISTRY/v2/a/tags/list responds with 503 Service Unavailable and asks you to wait 1 s: no reason given");
    assert_eq!(stage.seen().len(), 4);
    for too_long in ["61", "3600", "99999999999999999999", "Sun, 06 Nov 2094 08:49:37 GMT"] {
        let stage = Fixture::start(move |_, _| busy(429, too_long)).await;
        assert!(matches!(stage.remote("a").tags().await, Err(Error::Busy { .. })));
        assert_eq!((stage.seen().len(), stage.timer.waits().len()), (1, 0), "{too_long}");
    }
}

#[tokio::test]
async fn what_only_reads_is_tried_again_when_a_proxy_fails() {
    let answers = in_turn(vec![reply(502, ""), reply(504, ""), reply(200, TAGS)]);
    let stage = Fixture::start(move |seen, _| answers(seen)).await;
    stage.remote("a").tags().await.unwrap();
    assert_eq!(seconds(&stage), [0.5, 1.0]);
    let stage = Fixture::start(|_, _| reply(500, "")).await;
    assert!(stage.remote("a").tags().await.is_err());
    assert_eq!(stage.seen().len(), 1, "a registry's own fault is no passing one");
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let manifest = Manifest::new(OCI_INDEX, INDEX);
    let tag = "v1".parse().unwrap();
    for (status, requests) in [(502, 1), (503, 4)] {
        let stage = Fixture::start(move |_, _| reply(status, "")).await;
        assert!(stage.remote("a").put_manifest(&tag, &manifest).await.is_err());
        assert_eq!(stage.seen().len(), requests, "PUT after {status}");
        assert!(stage.remote("a").delete_manifest(&tag).await.is_err());
        assert_eq!(stage.seen().len(), 2 * requests, "DELETE after {status}");
    }
    let answers = in_turn(vec![busy(503, "1"), reply(201, "")]);
    let stage = Fixture::start(move |seen, _| answers(seen)).await;
    stage.remote("a").put_manifest(&tag, &manifest).await.unwrap();
    assert_eq!(stage.seen()[1].body, INDEX, "all of it is sent again");
}

#[tokio::test]
async fn a_stream_is_sent_once() {
    let stage = Fixture::start(|seen, _| match seen.method.as_str() {
        "POST" => reply(202, "").with(header::LOCATION, "/v2/a/blobs/uploads/1"),
        _ => busy(503, "1"),
    })
    .await;
    let blob =
        Descriptor { media_type: String::new(), digest: Digest::sha256(b"content"), size: 7 };
    let body = stream::iter([Ok("content".into())]).boxed();
    let error = stage.remote("a").put_blob(&blob, body).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    let puts = stage.seen().iter().filter(|seen| seen.method == "PUT").count();
    assert_eq!((puts, stage.timer.waits().len()), (1, 0));
}

/// A token service may be busy too; the registry has not been asked then.
#[tokio::test]
async fn a_token_service_that_is_busy_is_asked_again() {
    let number = AtomicUsize::new(0);
    let service = Served::start(move |_| match number.fetch_add(1, Ordering::SeqCst) {
        0 => reply(429, ""),
        1 => reply(503, ""),
        _ => reply(200, r#"{"token":"good"}"#),
    })
    .await;
    let stage = Fixture::with_service(service, |_, _| reply(201, "")).await;
    let mounted = stage.remote("a").mount_blob(&Digest::sha256(b""), &"b".parse().unwrap()).await;
    assert_eq!(mounted.unwrap(), Mounted::Yes);
    assert_eq!((stage.service.seen().len(), stage.seen().len()), (3, 1));
    // T8: wrong passwords lock accounts.
    let service = Served::always(reply(401, "")).await;
    let stage = Fixture::with_service(service, |_, _| reply(200, TAGS)).await;
    assert!(stage.remote("a").tags().await.is_err());
    assert_eq!(stage.service.seen().len(), 1);
}

/// Our own counts failed logins, and says how long an account is locked.
#[tokio::test]
async fn a_token_service_is_left_alone_for_as_long_as_it_says() {
    let answers = in_turn(vec![busy(429, "7"), reply(200, r#"{"token":"good"}"#)]);
    let service = Served::start(answers).await;
    let stage = Fixture::with_service(service, |_, _| reply(200, TAGS)).await;
    stage.remote("a").tags().await.unwrap();
    assert_eq!(seconds(&stage), [7.5]);
    let service = Served::always(busy(429, "900")).await;
    let stage = Fixture::with_service(service, |_, _| reply(200, TAGS)).await;
    let error = stage.remote("a").tags().await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"the token service http://SERVICE/token responds with 429 and asks you to wait 900 s: no reason given");
    assert_eq!((stage.service.seen().len(), stage.timer.waits().len()), (1, 0));
}

fn remote_of(raw: &Raw) -> (Repository, std::sync::Arc<RecordedTimer>) {
    let timer = std::sync::Arc::new(RecordedTimer::default());
    let session = session(raw.address, &std::sync::Arc::new(MemoryStore::default()), &timer, true);
    (Repository::new(session, "a".parse().unwrap()), timer)
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_made_again_for_reading() {
    let raw = Raw::registry("HTTP/1.1 200", Then::Close).await;
    let (remote, timer) = remote_of(&raw);
    let error = remote.tags().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(timer.waits().len(), 3);
    assert!(remote.delete_manifest(&"v1".parse().unwrap()).await.is_err());
    assert_eq!(timer.waits().len(), 3, "but not for deleting");
}

#[tokio::test]
async fn where_nothing_moves_nobody_waits() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    for text in ["", head] {
        let raw = Raw::registry(text, Then::Silence).await;
        let (remote, _) = remote_of(&raw);
        let error = remote.tags().await.unwrap_err();
        let said = error.to_string().replace(&raw.address.to_string(), "REGISTRY");
        assert_eq!(said, "REGISTRY did not respond in time");
        let blob = Descriptor { media_type: String::new(), digest: Digest::sha256(b""), size: 100 };
        let read = async { remote.blob(&blob, 0).await?.collect::<Vec<_>>().await.pop().unwrap() };
        let error = read.await.unwrap_err();
        assert!(error.to_string().ends_with("did not respond in time"), "{error}");
    }
}

/// An upload that the registry does not read is given up; one that it reads slowly is not.
#[tokio::test]
async fn an_upload_that_does_not_move_is_given_up() {
    let raw = Raw::start(|path| match path {
        "/v2/" => ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(), Then::Close),
        "/v2/a/blobs/uploads/" => (
            "HTTP/1.1 202 Accepted\r\nlocation: /v2/a/stuck\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
            Then::Close,
        ),
        _ => (String::new(), Then::Silence),
    })
    .await;
    let (remote, _) = remote_of(&raw);
    let blob =
        Descriptor { media_type: String::new(), digest: Digest::sha256(b"content"), size: 8 };
    let body = stream::iter([Ok("content".into())]).chain(stream::pending()).boxed();
    let error = remote.put_blob(&blob, body).await.unwrap_err();
    assert!(error.to_string().ends_with("did not respond in time"), "{error}");
}
