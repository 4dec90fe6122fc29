use std::io;

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use insta::assert_snapshot;
use portpass_protocol::{Digest, manifest::Descriptor};
use portpass_testkit::http::{Reply, Seen, reply};
use reqwest::header;

use crate::{fixture::Fixture, repository::Mounted, session::Error};

fn blob(content: &[u8]) -> Descriptor {
    let size = u64::try_from(content.len()).unwrap();
    Descriptor { media_type: String::new(), digest: Digest::sha256(content), size }
}

fn pieces(pieces: &'static [&'static str]) -> BoxStream<'static, io::Result<Bytes>> {
    stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes())))).boxed()
}

/// A registry that begins every upload there.
async fn uploading_at(location: &'static str) -> Fixture {
    Fixture::start(move |seen, gate| match gate.check(seen, "repository:a:pull,push") {
        Ok(()) => upload(seen, location),
        Err(refused) => refused,
    })
    .await
}

fn upload(seen: &Seen, location: &str) -> Reply {
    match seen.method.as_str() {
        "POST" => reply(202, "").with(header::LOCATION, location),
        "DELETE" => reply(204, ""),
        _ => reply(201, ""),
    }
}

fn said(stage: &Fixture) -> Vec<String> {
    let query = |seen: &Seen| {
        let pairs = seen.query.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    };
    stage
        .seen()
        .iter()
        .map(|seen| format!("{} {}?{}", seen.method, seen.path, query(seen)))
        .collect()
}

/// OC7, OC12
#[tokio::test]
async fn a_blob_goes_as_one_stream_and_the_state_of_the_upload_is_left_alone() {
    let stage = uploading_at("/v2/a/blobs/uploads/1?_state=a%2Fb+c").await;
    let descriptor = blob(b"some content");
    stage.remote("a").put_blob(&descriptor, pieces(&["some ", "", "content"])).await.unwrap();
    let digest = descriptor.digest;
    assert_eq!(
        said(&stage),
        [
            "POST /v2/a/blobs/uploads/?".to_owned(),
            format!("PUT /v2/a/blobs/uploads/1?_state=a/b c&digest={digest}"),
        ]
    );
    let put = &stage.seen()[1];
    assert_eq!(&*put.body, b"some content");
    assert_eq!(put.headers[header::CONTENT_LENGTH], "12");
    assert_eq!(put.headers[header::CONTENT_TYPE], "application/octet-stream");
    assert_eq!(stage.seen()[0].headers[header::CONTENT_LENGTH], "0");
}

#[tokio::test]
async fn a_blob_without_bytes_goes_too() {
    let stage = uploading_at("/v2/a/blobs/uploads/1").await;
    stage.remote("a").put_blob(&blob(b""), pieces(&[""])).await.unwrap();
    assert_eq!(stage.seen()[1].headers[header::CONTENT_LENGTH], "0");
    assert!(stage.remote("a").put_blob(&blob(b""), pieces(&["x"])).await.is_err());
    assert_eq!(stage.seen().len(), 2);
}

/// R10: path-only and absolute are both usual.
#[tokio::test]
async fn an_upload_goes_on_within_the_registry() {
    let own = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let location = std::sync::Arc::clone(&own);
    let stage = Fixture::start(move |seen, _| upload(seen, location.get().unwrap())).await;
    own.set(stage.registry.url("/v2/a/blobs/uploads/2")).unwrap();
    stage.remote("a").put_blob(&blob(b"x"), pieces(&["x"])).await.unwrap();
    assert_eq!(stage.seen()[1].path, "/v2/a/blobs/uploads/2");
    let stage = Fixture::start(|_, _| reply(202, "")).await;
    let error = stage.remote("a").put_blob(&blob(b"x"), pieces(&["x"])).await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"http://REGISTRY/v2/a/blobs/uploads/ responds with no header Location");
    // A name and password in it would be sent as credentials.
    let with_name = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let location = std::sync::Arc::clone(&with_name);
    let stage = Fixture::start(move |seen, _| upload(seen, location.get().unwrap())).await;
    with_name.set(stage.registry.url("/v2/a/u").replace("http://", "http://ann:x@")).unwrap();
    stage.remote("a").put_blob(&blob(b"x"), pieces(&["x"])).await.unwrap();
    let shown = stage.seen()[1].authorization.clone().unwrap();
    assert!(shown.starts_with("Bearer "), "{shown}");
}

#[tokio::test]
async fn what_is_wrong_with_the_content_is_told_as_ours_and_the_upload_ended() {
    let broken =
        || stream::iter([Ok("some ".into()), Err(io::Error::other("disk on fire"))]).boxed();
    let mut heard = Vec::new();
    for body in [
        pieces(&["some ", "contenT"]),
        pieces(&["some "]),
        pieces(&["some ", "content and more"]),
        broken(),
    ] {
        let stage = uploading_at("/v2/a/blobs/uploads/1").await;
        let error = stage.remote("a").put_blob(&blob(b"some content"), body).await.unwrap_err();
        heard.push(stage.said(&error));
        assert_eq!(said(&stage).last().unwrap(), "DELETE /v2/a/blobs/uploads/1?");
    }
    assert_snapshot!(heard.join("\n"), @r#"
        the blob to send has the wrong content: its digest is sha256:a4a06589fe1f3edd0983dd9800778bf8cfd661d2a8e858e68d5959c97b69cba4, not sha256:290f493c44f5d63d06b374d0a5abd292fae38b92cab2fae5efefe1b0e9347f56
        the blob to send has 5 bytes, not 12
        the blob to send has at least 13 bytes, not 12
        the content to send cannot be read: disk on fire
        "#);
}

#[tokio::test]
async fn a_registry_that_refuses_the_content_is_heard() {
    let body = r#"{"errors":[{"code":"DIGEST_INVALID","message":"not what you said"}]}"#;
    let stage = Fixture::start(move |seen, _| match seen.method.as_str() {
        "PUT" => reply(400, body),
        _ => upload(seen, "/v2/a/blobs/uploads/1"),
    })
    .await;
    let error = stage.remote("a").put_blob(&blob(b"x"), pieces(&["x"])).await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"http://REGISTRY/v2/a/blobs/uploads/1 responds with 400 Bad Request: not what you said (DIGEST_INVALID)");
    let other = Digest::sha256(b"other").to_string();
    let stage = Fixture::start(move |seen, _| match seen.method.as_str() {
        "PUT" => {
            let name = header::HeaderName::from_static("docker-content-digest");
            reply(201, "").with(name, other.clone())
        }
        _ => upload(seen, "/v2/a/blobs/uploads/1"),
    })
    .await;
    let error = stage.remote("a").put_blob(&blob(b"x"), pieces(&["x"])).await.unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

/// OC15, R7
#[tokio::test]
async fn a_mount_that_is_not_possible_is_no_error() {
    let digest = Digest::sha256(b"x");
    let from = "b".parse().unwrap();
    for (status, mounted) in [
        (201, Some(Mounted::Yes)),
        (202, Some(Mounted::No)),
        (403, Some(Mounted::No)),
        (404, Some(Mounted::No)),
        (405, Some(Mounted::No)),
        (500, None),
    ] {
        let stage = Fixture::start(move |seen, _| match seen.method.as_str() {
            "POST" => reply(status, "").with(header::LOCATION, "/v2/a/blobs/uploads/1"),
            _ => reply(204, ""),
        })
        .await;
        let found = stage.remote("a").mount_blob(&digest, &from).await;
        assert_eq!(found.ok(), mounted, "{status}");
        // The upload that was begun instead is ended.
        let ended = said(&stage).contains(&"DELETE /v2/a/blobs/uploads/1?".to_owned());
        assert_eq!(ended, status == 202);
    }
}

/// R7: without the right to pull from there, the blob is uploaded.
#[tokio::test]
async fn a_mount_without_the_right_to_it_is_no_error() {
    let stage = Fixture::start(|_, gate| {
        let scope =
            r#"scope="repository:a:pull,push repository:b:pull",error="insufficient_scope""#;
        portpass_testkit::http::challenge(format!("{},{scope}", gate.wanted))
    })
    .await;
    let mounted = stage.remote("a").mount_blob(&Digest::sha256(b"x"), &"b".parse().unwrap()).await;
    assert_eq!(mounted.unwrap(), Mounted::No);
}

/// Distribution wants the right to delete for it (AR2); nobody is asked for that.
#[tokio::test]
async fn an_upload_that_may_not_be_ended_is_left() {
    let stage = Fixture::start(|seen, gate| match seen.method.as_str() {
        "POST" => reply(202, "").with(header::LOCATION, "/v2/a/blobs/uploads/1"),
        _ => gate
            .check(seen, "repository:a:delete")
            .map_or_else(|refused| refused, |()| reply(204, "")),
    })
    .await;
    let mounted = stage.remote("a").mount_blob(&Digest::sha256(b"x"), &"b".parse().unwrap()).await;
    assert_eq!(mounted.unwrap(), Mounted::No);
    assert_eq!((stage.seen().len(), stage.service.seen().len()), (2, 2));
    for asked in stage.service.seen() {
        assert!(!asked.all("scope").iter().any(|scope| scope.contains("delete")));
    }
}
