//! Blobs of any size that take no memory: a number, then the same noise again and again.

use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use portpass_protocol::{Digest, DigestAlgorithm, Hasher};
use portpass_testkit::SeededRng;

/// One that nobody else has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blob {
    pub(crate) number: u64,
    pub(crate) size: usize,
}

impl Blob {
    pub(crate) fn pieces(self) -> impl Iterator<Item = Bytes> + Send {
        let head = Bytes::copy_from_slice(&self.number.to_le_bytes());
        let mut left = self.size - head.len();
        let rest = std::iter::from_fn(move || {
            let length = left.min(NOISE.len());
            left -= length;
            (length > 0).then(|| NOISE.slice(..length))
        });
        std::iter::once(head).chain(rest)
    }

    pub(crate) async fn digest(self) -> Digest {
        let digest = move || {
            let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
            self.pieces().for_each(|piece| hasher.update(&piece));
            hasher.finish()
        };
        tokio::task::spawn_blocking(digest).await.unwrap()
    }

    pub(crate) fn body(self) -> reqwest::Body {
        let pieces = self.pieces().map(Ok::<_, std::convert::Infallible>);
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    }
}

/// What arrives, hashed and counted.
pub(crate) async fn digest_of(
    body: impl Stream<Item = reqwest::Result<Bytes>>,
) -> reqwest::Result<(Digest, u64)> {
    let mut body = std::pin::pin!(body);
    let (mut hasher, mut length) = (Hasher::new(DigestAlgorithm::Sha256), 0);
    while let Some(piece) = body.next().await {
        let piece = piece?;
        hasher.update(&piece);
        length += piece.len() as u64;
    }
    Ok((hasher.finish(), length))
}

/// 64 KiB that look random.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| SeededRng::new(1).bytes(64 * 1024).into());
