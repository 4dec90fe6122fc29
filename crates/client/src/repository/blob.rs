//! Blobs as they come.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use portpass_protocol::Digest;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE},
};

use super::{
    Descriptor, Error, Repository,
    content_check::{ContentCheck, length_of},
};
use crate::{
    session::{Request, excerpt, unexpected},
    transport::StreamingResponse,
};

/// The bytes of a blob as they come. After an error nothing follows.
pub struct BlobStream(BoxStream<'static, Result<Bytes, Error>>);

impl Stream for BlobStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobStream")
    }
}

impl Repository {
    /// Whether a blob is in the repository.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let request = self.blob_request(Method::HEAD, digest);
        let expected = [StatusCode::OK, StatusCode::NOT_FOUND];
        let incoming = self.session.expect(request, &expected).await?;
        Ok(incoming.status() == StatusCode::OK)
    }

    /// Gets a blob from its byte number `from` on.
    ///
    /// The stream ends in an error if length or digest are not what the descriptor says. The digest
    /// is of the whole: of a part, only the length is checked, for whoever resumes has the state of the
    /// hasher. A registry that gives the whole in place of a part is read from the beginning, and then
    /// both are checked.
    pub async fn blob(&self, blob: &Descriptor, from: u64) -> Result<BlobStream, Error> {
        if from > blob.size {
            let what = format!("blob {}", blob.digest);
            return Err(Error::Length { what, expected: blob.size, found: from });
        }
        if from == blob.size && from > 0 {
            return Ok(BlobStream(stream::empty().boxed()));
        }
        let mut request = self.blob_request(Method::GET, &blob.digest);
        if from > 0 {
            let range = HeaderValue::try_from(format!("bytes={from}-"));
            request.headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let incoming = self.session.send(request).await?;
        let what = incoming.shown_url();
        let (measure, skip) = match incoming.status() {
            StatusCode::OK => (ContentCheck::whole(what, blob), from),
            StatusCode::PARTIAL_CONTENT if from > 0 => {
                check_range(&incoming, blob, from)?;
                (ContentCheck::part(what, blob.size - from), 0)
            }
            _ => return Err(unexpected(incoming).await),
        };
        check_length(&incoming, measure.expected())?;
        let reading = Reading { incoming, measure, skip };
        Ok(BlobStream(stream::try_unfold(reading, Reading::next).boxed()))
    }

    fn blob_request(&self, method: Method, digest: &Digest) -> Request<'_> {
        let path = format!("/v2/{}/blobs/{digest}", self.repository);
        Request::read(method, path, self.pull()).of(&self.repository)
    }
}

/// A blob that is being read.
struct Reading {
    incoming: StreamingResponse,
    measure: ContentCheck,
    /// Bytes that nobody wants.
    skip: u64,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        while let Some(mut chunk) = self.incoming.chunk().await? {
            self.measure.take(&chunk)?;
            let skipped = self.skip.min(length_of(&chunk));
            self.skip -= skipped;
            chunk.advance(usize::try_from(skipped).unwrap_or(chunk.len()));
            if !chunk.is_empty() {
                return Ok(Some((chunk, self)));
            }
        }
        self.measure.end().map(|()| None)
    }
}

/// `Content-Range: bytes FROM-LAST/SIZE`: the part that was asked for, of a blob as long as it should be.
fn check_range(incoming: &StreamingResponse, blob: &Descriptor, from: u64) -> Result<(), Error> {
    let header = incoming.headers().get(CONTENT_RANGE);
    let expected = format!("bytes {from}-{}/", blob.size - 1);
    let fits = |header: &HeaderValue| {
        let total = header.to_str().ok().and_then(|text| text.strip_prefix(expected.as_str()));
        total.is_some_and(|total| total == "*" || total == blob.size.to_string())
    };
    if header.is_some_and(fits) {
        return Ok(());
    }
    let url = incoming.shown_url();
    Err(Error::Header { url, name: "Content-Range", value: header.map(excerpt) })
}

/// What is announced to be too long or too short is not read at all.
fn check_length(incoming: &StreamingResponse, expected: u64) -> Result<(), Error> {
    let announced = incoming.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match announced.and_then(|length| length.parse().ok()) {
        Some(found) if found != expected => {
            Err(Error::Length { what: incoming.shown_url(), expected, found })
        }
        _ => Ok(()),
    }
}
