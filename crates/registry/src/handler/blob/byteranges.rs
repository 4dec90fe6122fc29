//! Several parts of a blob in one answer: `multipart/byteranges` (RFC 9110 §14.6).

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{StatusCode, header};
use portpass_protocol::{ByteRange, Digest};
use portpass_state::Blob;
use portpass_storage::{BodyError, BodyStream, Content};

use super::{open, validators};
use crate::{error::Error, registry::Registry};

/// These parts, in their order. The first is opened before the answer begins, so a blob that is lost has its status; each
/// of the others when it is its turn, so one request has one file open.
pub(super) async fn answer(
    registry: Registry,
    blob: Blob,
    digest: Digest,
    parts: Vec<ByteRange>,
) -> Result<Response, Error> {
    let envelope = Envelope::of(&blob, &digest);
    let headers = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_LENGTH, envelope.length(&parts).to_string()),
        (header::CONTENT_TYPE, envelope.content_type()),
    ];
    let validators = validators(&digest);
    let mut opened = Some(open(&registry, &blob, &digest, parts.first().copied()).await?);
    let end = Bytes::from(envelope.end());
    let parts = parts.into_iter().map(move |part| (part, opened.take()));
    let parts = stream::iter(parts).then(move |(part, opened)| {
        let (registry, blob) = (registry.clone(), blob.clone());
        let head = Bytes::from(envelope.head(part));
        async move {
            let content = match opened {
                Some(content) => content,
                None => open(&registry, &blob, &digest, Some(part)).await?,
            };
            Ok::<_, BodyError>(stream::iter([Ok(head)]).chain(pieces(content)))
        }
    });
    let parts = parts.try_flatten().chain(stream::iter([Ok(end)]));
    let body = Body::from_stream(parts);
    Ok((StatusCode::PARTIAL_CONTENT, validators, headers, body).into_response())
}

fn pieces(content: Content) -> BodyStream {
    match content {
        Content::Whole(bytes) => Box::pin(stream::iter([Ok(bytes)])),
        Content::Stream { stream, .. } => stream,
    }
}

/// What goes around the parts.
///
/// The line between them is the blob's digest: the blob cannot have that in it, and the same question has the same
/// answer.
#[derive(Debug)]
struct Envelope {
    boundary: String,
    media_type: String,
    size: u64,
}

impl Envelope {
    fn of(blob: &Blob, digest: &Digest) -> Self {
        let mut boundary = digest.hex();
        // RFC 2046 §5.1.1 allows 70 characters; of SHA-512 the half is as good.
        boundary.truncate(64);
        Self { boundary, media_type: blob.media_type.clone(), size: blob.size }
    }

    /// The answer's `Content-Type`.
    fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// How many bytes the answer has.
    fn length(&self, parts: &[ByteRange]) -> u64 {
        let length = |part: &ByteRange| self.head(*part).len() as u64 + part.length();
        parts.iter().map(length).sum::<u64>() + self.end().len() as u64
    }

    fn head(&self, part: ByteRange) -> String {
        let Self { boundary, media_type, size } = self;
        let range = part.content_range(*size);
        format!("\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {range}\r\n\r\n")
    }

    fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}
