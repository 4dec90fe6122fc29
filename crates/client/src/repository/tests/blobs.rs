use futures_util::StreamExt as _;
use portpass_protocol::{Digest, manifest::Descriptor};
use portpass_testkit::http::{Seen, Served, redirect, reply};
use reqwest::header;

use super::super::Error;
use crate::{Repository, fixture::Fixture};

fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

pub(super) fn blob(content: &[u8]) -> Descriptor {
    let size = u64::try_from(content.len()).unwrap();
    Descriptor { media_type: String::new(), digest: Digest::sha256(content), size }
}

/// All of a blob from this byte on.
pub(super) async fn read(
    remote: &Repository,
    blob: &Descriptor,
    from: u64,
) -> Result<Vec<u8>, Error> {
    let mut stream = remote.blob(blob, from).await?;
    let mut read = Vec::new();
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece?);
    }
    Ok(read)
}

/// What is asked for in `Range: bytes=FROM-`.
fn from_of(seen: &Seen) -> Option<usize> {
    let range = seen.headers.get(header::RANGE)?.to_str().unwrap();
    Some(range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().unwrap())
}

#[tokio::test]
async fn a_blob_comes_whole_or_from_where_it_broke_off() {
    let stage = Fixture::start(|seen, _| {
        let content = content();
        match from_of(seen) {
            None => reply(200, content),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
                reply(206, content[from..].to_vec()).with(header::CONTENT_RANGE, range)
            }
        }
    })
    .await;
    let (remote, content) = (stage.remote("a"), content());
    let blob = blob(&content);
    assert_eq!(read(&remote, &blob, 0).await.unwrap(), content);
    assert_eq!(read(&remote, &blob, 123_456).await.unwrap(), content[123_456..]);
    assert_eq!(from_of(&stage.seen()[1]), Some(123_456));
    assert!(read(&remote, &blob, blob.size).await.unwrap().is_empty());
    assert_eq!(stage.seen().len(), 2);
    assert!(read(&remote, &blob, blob.size + 1).await.is_err());
}

#[tokio::test]
async fn a_registry_without_ranges_gives_the_whole_and_it_is_checked() {
    let stage = Fixture::start(|_, _| reply(200, content())).await;
    let (remote, content) = (stage.remote("a"), content());
    assert_eq!(read(&remote, &blob(&content), 123_456).await.unwrap(), content[123_456..]);
    let other = Descriptor { digest: Digest::sha256(b"other"), ..blob(&content) };
    let error = read(&remote, &other, 123_456).await.unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

#[tokio::test]
async fn another_part_than_was_asked_for_is_refused() {
    for range in ["bytes 0-2/10", "bytes 4-9/11", "bytes 5-9/10", "bytes 4-8/10", "4-9/10", ""] {
        let stage =
            Fixture::start(move |_, _| reply(206, "456789").with(header::CONTENT_RANGE, range))
                .await;
        let error = read(&stage.remote("a"), &blob(b"0123456789"), 4).await.unwrap_err();
        assert!(matches!(error, Error::Header { name: "Content-Range", .. }), "{range}: {error}");
    }
    // Nobody asked for a part.
    let stage = Fixture::start(|_, _| reply(206, "0123456789")).await;
    assert!(read(&stage.remote("a"), &blob(b"0123456789"), 0).await.is_err());
}

/// GHSA-qv35-3gw6-8q4j
#[tokio::test]
async fn a_blob_that_is_not_its_digest_ends_in_an_error() {
    let stage = Fixture::start(|_, _| reply(200, "0123456789")).await;
    let error = read(&stage.remote("a"), &blob(b"9876543210"), 0).await.unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    let long = Digest::of(portpass_protocol::DigestAlgorithm::Sha512, b"0123456789");
    let descriptor = Descriptor { digest: long, ..blob(b"0123456789") };
    assert_eq!(read(&stage.remote("a"), &descriptor, 0).await.unwrap(), b"0123456789");
}

/// OC31
#[tokio::test]
async fn storage_elsewhere_is_read_without_credentials() {
    let storage = Served::start(|seen| {
        assert_eq!(seen.authorization, None);
        match from_of(seen) {
            Some(4) => reply(206, "456789").with(header::CONTENT_RANGE, "bytes 4-9/10"),
            _ => reply(200, "0123456789"),
        }
    })
    .await;
    let to = storage.url("/bucket/object?signature=x");
    let stage = Fixture::start(move |_, _| redirect(307, to.clone())).await;
    let (remote, blob) = (stage.remote("a"), blob(b"0123456789"));
    assert_eq!(read(&remote, &blob, 0).await.unwrap(), b"0123456789");
    assert_eq!(read(&remote, &blob, 4).await.unwrap(), b"456789");
    assert!(remote.has_blob(&blob.digest).await.unwrap());
    assert!(stage.seen().iter().all(|seen| seen.authorization.is_some()));
    assert_eq!(storage.seen()[2].method, "HEAD");
}

#[tokio::test]
async fn whether_a_blob_is_there_is_yes_no_or_an_error() {
    for (status, there) in [(200, Some(true)), (404, Some(false)), (403, None), (500, None)] {
        let stage = Fixture::start(move |_, _| reply(status, "")).await;
        let found = stage.remote("a").has_blob(&Digest::sha256(b"")).await;
        assert_eq!(found.ok(), there, "{status}");
    }
}

/// Many at once over one session, as a pull does it.
#[tokio::test]
async fn many_blobs_come_at_once() {
    let stage = Fixture::start(|seen, gate| match gate.check(seen, "repository:a:pull") {
        Ok(()) => reply(200, content()),
        Err(refused) => refused,
    })
    .await;
    let content = content();
    let reads = (0..16).map(|_| {
        let (remote, blob) = (stage.remote("a"), blob(&content));
        tokio::spawn(async move { read(&remote, &blob, 0).await.unwrap().len() })
    });
    for one in reads.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), content.len());
    }
    assert_eq!(stage.service.seen().len(), 1);
}
