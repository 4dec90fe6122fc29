//! Registries that mean harm: each ends in an error that says so, in bounded memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::StreamExt as _;
use insta::assert_snapshot;
use portpass_protocol::{Digest, manifest::Descriptor};
use portpass_testkit::http::{Raw, Served, Then, redirect, reply};
use reqwest::header;

use crate::{
    Repository,
    fixture::{Fixture, MemoryStore, RecordedTimer, session},
    session::Error,
};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn remote_of(raw: &Raw) -> Repository {
    let (memory, timer) = (Arc::new(MemoryStore::default()), Arc::new(RecordedTimer::default()));
    Repository::new(session(raw.address, &memory, &timer, true), "a".parse().unwrap())
}

fn said(raw: &Raw, error: &Error) -> String {
    error.to_string().replace(&raw.address.to_string(), "REGISTRY")
}

async fn read(remote: &Repository, blob: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut stream = remote.blob(blob, 0).await?;
    let mut read = Vec::new();
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece?);
    }
    Ok(read)
}

fn blob(content: &[u8], size: u64) -> Descriptor {
    let media_type = "application/octet-stream".to_owned();
    Descriptor { media_type, digest: Digest::sha256(content), size }
}

/// CVE-2017-11468, CVE-2023-46737
#[tokio::test]
async fn a_body_without_an_end_is_left() {
    let start = format!("HTTP/1.1 200 OK\r\ncontent-type: {OCI_INDEX}\r\n\r\n");
    let raw = Raw::registry(start, Then::Repeat("[[[[[[[[")).await;
    let remote = remote_of(&raw);
    let mut heard = vec![
        said(&raw, &remote.manifest(&"v1".parse().unwrap()).await.unwrap_err()),
        said(&raw, &remote.tags().await.unwrap_err()),
        said(&raw, &remote.session().catalog().await.unwrap_err()),
    ];
    let blob = blob(b"", 100_000);
    heard.push(
        said(&raw, &read(&remote, &blob).await.unwrap_err())
            .replace(&blob.digest.to_string(), "DIGEST"),
    );
    assert_snapshot!(heard.join("\n"), @r#"
        the response of http://REGISTRY/v2/a/manifests/v1 is longer than 4194304 bytes
        the response of http://REGISTRY/v2/a/tags/list is longer than 4194304 bytes
        the response of http://REGISTRY/v2/_catalog is longer than 4194304 bytes
        http://REGISTRY/v2/a/blobs/DIGEST has at least 100001 bytes, not 100000
        "#);
}

#[tokio::test]
async fn an_error_without_an_end_is_read_no_further_than_it_can_be_told() {
    let raw = Raw::registry("HTTP/1.1 400 Bad\r\n\r\n", Then::Repeat("no ")).await;
    let heard = said(&raw, &remote_of(&raw).tags().await.unwrap_err());
    assert!(
        heard.starts_with("http://REGISTRY/v2/a/tags/list responds with 400 Bad Request: \"no no")
    );
    assert!(heard.len() < 400, "{heard}");
}

/// Nothing is unpacked, so nothing can be larger than it came.
#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let stage = Fixture::start(|seen, _| {
        assert_eq!(seen.headers.get(header::ACCEPT_ENCODING), None);
        reply(200, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
            .with(header::CONTENT_ENCODING, "gzip")
            .with(header::CONTENT_TYPE, OCI_INDEX)
    })
    .await;
    let remote = stage.remote("a");
    let heard = [
        stage.said(&remote.manifest(&"v1".parse().unwrap()).await.unwrap_err()),
        stage.said(&remote.tags().await.unwrap_err()),
    ];
    assert_snapshot!(heard.join("\n"), @r#"
        http://REGISTRY/v2/a/manifests/v1 responds with the encoding "gzip", which was not requested
        http://REGISTRY/v2/a/tags/list responds with the encoding "gzip", which was not requested
        "#);
    // A blob is what its digest says, however it is called.
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0];
    assert_eq!(read(&remote, &blob(&packed, 8)).await.unwrap(), packed);
}

#[tokio::test]
async fn a_wrong_content_length_is_an_error() {
    let mut heard = Vec::new();
    for announced in [2, 4, 100] {
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {announced}\r\n\r\nabc");
        let raw = Raw::registry(text, Then::Close).await;
        for size in [3, announced] {
            let blob = blob(b"abc", size);
            let error = read(&remote_of(&raw), &blob).await.unwrap_err();
            let said = said(&raw, &error).replace(&blob.digest.to_string(), "DIGEST");
            heard.push(format!("{announced} announced, {size} wanted: {said}"));
        }
        let error = remote_of(&raw).manifest(&"v1".parse().unwrap()).await.unwrap_err();
        heard.push(format!("{announced} announced: {}", said(&raw, &error)));
    }
    assert_snapshot!(heard.join("\n"), @r#"
        2 announced, 3 wanted: http://REGISTRY/v2/a/blobs/DIGEST has 2 bytes, not 3
        2 announced, 2 wanted: http://REGISTRY/v2/a/blobs/DIGEST has the wrong content: its digest is sha256:fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603, not DIGEST
        2 announced: http://REGISTRY/v2/a/manifests/v1 responds with no header Content-Type
        4 announced, 3 wanted: http://REGISTRY/v2/a/blobs/DIGEST has at least 4 bytes, not 3
        4 announced, 4 wanted: the response of REGISTRY cannot be read: end of file before message length reached
        4 announced: the response of REGISTRY cannot be read: end of file before message length reached
        100 announced, 3 wanted: http://REGISTRY/v2/a/blobs/DIGEST has at least 100 bytes, not 3
        100 announced, 100 wanted: the response of REGISTRY cannot be read: end of file before message length reached
        100 announced: the response of REGISTRY cannot be read: end of file before message length reached
        "#);
}

#[tokio::test]
async fn redirects_that_go_round_end() {
    let stage = Fixture::start(|seen, _| redirect(307, format!("{}x", seen.path))).await;
    let error = stage.remote("a").tags().await.unwrap_err();
    assert!(stage.said(&error).ends_with("redirects too often"), "{error}");
    assert_eq!(stage.seen().len(), 6);
    // Between two hosts, too.
    let there = Arc::new(std::sync::OnceLock::<String>::new());
    let back = Arc::clone(&there);
    let far = Served::start(move |_| redirect(302, back.get().unwrap().clone())).await;
    let to = far.url("/x");
    let stage = Fixture::start(move |_, _| redirect(302, to.clone())).await;
    there.set(stage.registry.url("/v2/a/x")).unwrap();
    let error = stage.remote("a").tags().await.unwrap_err();
    assert!(error.to_string().ends_with("redirects too often"), "{error}");
    let shown = stage.seen().iter().filter(|seen| seen.authorization.is_some()).count();
    assert_eq!(shown, 1, "what has gone abroad stays without credentials");
}

#[tokio::test]
async fn redirects_lead_to_no_other_scheme_and_take_no_content_along() {
    for to in ["file:///etc/passwd", "ftp://example.com/", "data:text/plain,x"] {
        let stage = Fixture::start(move |_, _| redirect(302, to)).await;
        let error = stage.remote("a").tags().await.unwrap_err();
        assert!(error.to_string().contains("where the request must not be sent"), "{error}");
    }
    let other = Served::always(reply(201, "")).await;
    let to = other.url("/mine");
    let stage = Fixture::start(move |_, _| redirect(307, to.clone())).await;
    let manifest = crate::Manifest::new(OCI_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
    assert!(stage.remote("a").put_manifest(&"v1".parse().unwrap(), &manifest).await.is_err());
    assert!(stage.remote("a").delete_manifest(&"v1".parse().unwrap()).await.is_err());
    assert_eq!(other.seen().len(), 0);
}

/// CVE-2023-46737
#[tokio::test]
async fn lists_that_do_not_end_are_left() {
    let to = |link: &'static str| {
        Fixture::start(move |_, _| {
            reply(200, r#"{"tags":["v1"],"repositories":["a"]}"#).with(header::LINK, link)
        })
    };
    let looped = to(r#"</v2/a/tags/list?last=v1>; rel="next""#).await;
    let error = looped.remote("a").tags().await.unwrap_err();
    assert_eq!(looped.seen().len(), 3);
    let mut heard = vec![looped.said(&error)];
    let itself = to(r#"</v2/_catalog>; rel="next""#).await;
    heard.push(itself.said(&itself.session.catalog().await.unwrap_err()));
    let number = AtomicUsize::new(0);
    let endless = Fixture::start(move |_, _| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        let link = format!("</v2/a/tags/list?last={number}>; rel=\"next\"");
        reply(200, r#"{"tags":["v1"]}"#).with(header::LINK, link)
    })
    .await;
    heard.push(endless.said(&endless.remote("a").tags().await.unwrap_err()));
    assert_eq!(endless.seen().len(), 1000);
    let page = format!(r#"{{"tags":[{}"v1"]}}"#, r#""v1","#.repeat(700_000));
    let number = AtomicUsize::new(0);
    let long = Fixture::start(move |_, _| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        let link = format!("</v2/a/tags/list?last={number}>; rel=\"next\"");
        reply(200, page.clone()).with(header::LINK, link)
    })
    .await;
    heard.push(long.said(&long.remote("a").tags().await.unwrap_err()));
    assert_snapshot!(heard.join("\n"), @r#"
        the list http://REGISTRY/v2/a/tags/list does not end: a page leads back to an earlier one
        the list http://REGISTRY/v2/_catalog does not end: a page leads back to an earlier one
        the list http://REGISTRY/v2/a/tags/list does not end: it has too many pages
        the list http://REGISTRY/v2/a/tags/list does not end: it is too long
        "#);
}

/// R10
/// CVE-2026-50151: neither `Link` nor `Location` takes credentials elsewhere.
#[tokio::test]
async fn links_and_locations_lead_nowhere_else() {
    let other = Served::always(reply(201, "")).await;
    let port = other.address.port();
    for to in [
        other.url("/v2/a/next"),
        format!("//127.0.0.1:{port}/v2/a/next"),
        "https://registry.example.com/v2/a/next".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let stage = Fixture::start(move |seen, _| match seen.method.as_str() {
            "GET" => reply(200, r#"{"tags":[]}"#).with(header::LINK, format!("<{to}>; rel=next")),
            _ => reply(202, "").with(header::LOCATION, to.clone()),
        })
        .await;
        let remote = stage.remote("a");
        let error = remote.tags().await.unwrap_err();
        assert!(matches!(error, Error::Origin { header: "Link", .. }), "{error}");
        let error = remote.put_blob(&blob(b"", 0), futures_util::stream::empty().boxed()).await;
        assert!(matches!(error, Err(Error::Origin { header: "Location", .. })), "{error:?}");
    }
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_list_of_what_is_no_name_is_refused() {
    let mut heard = Vec::new();
    for body in [
        r#"{"tags":["v1","\u001b[2J"],"repositories":["../../etc"]}"#,
        r#"{"tags":[1],"repositories":{}}"#,
        "[]",
        "{}",
        "<html>",
        "",
    ] {
        let stage = Fixture::start(move |_, _| reply(200, body)).await;
        heard.push(stage.said(&stage.remote("a").tags().await.unwrap_err()));
        heard.push(stage.said(&stage.session.catalog().await.unwrap_err()));
    }
    assert_snapshot!(heard.join("\n"), @r#"
        the list http://REGISTRY/v2/a/tags/list cannot be read: tag "\u{1b}[2J" must be 1 to 128 letters, digits, `_`, `.` and `-`, and begin with none of the last two
        the list http://REGISTRY/v2/_catalog cannot be read: repository name component ".." must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes
        the list http://REGISTRY/v2/a/tags/list cannot be read: invalid type: integer `1`, expected a string at line 1 column 10
        the list http://REGISTRY/v2/_catalog cannot be read: invalid type: integer `1`, expected a string at line 1 column 10
        the list http://REGISTRY/v2/a/tags/list cannot be read: it is not a JSON object
        the list http://REGISTRY/v2/_catalog cannot be read: it is not a JSON object
        the list http://REGISTRY/v2/a/tags/list cannot be read: it has no "tags"
        the list http://REGISTRY/v2/_catalog cannot be read: it has no "repositories"
        the list http://REGISTRY/v2/a/tags/list cannot be read: it is not a JSON object
        the list http://REGISTRY/v2/_catalog cannot be read: it is not a JSON object
        the list http://REGISTRY/v2/a/tags/list cannot be read: it is not a JSON object
        the list http://REGISTRY/v2/_catalog cannot be read: it is not a JSON object
        "#);
    // There are registries that say so of what is empty.
    let stage = Fixture::start(|_, _| reply(200, r#"{"name":"a","tags":null}"#)).await;
    assert_eq!(stage.remote("a").tags().await.unwrap(), []);
}
