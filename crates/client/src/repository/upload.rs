//! Blobs as they go, and blobs that need not.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use portpass_protocol::{Digest, RepositoryName};
use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION},
};

use super::{
    Descriptor, Error, Mounted, Repository, content_check::ContentCheck,
    manifest::check_stored_digest,
};
use crate::{
    scopes::Scopes,
    session::{Request, RetryPolicy, Target, TokenUpgrade, excerpt, unexpected},
    transport::{Content, StreamingResponse, resolve_location},
};

/// For error messages.
const OURS: &str = "the blob to send";

impl Repository {
    /// Uploads a blob. The stream is read once; if it fails, the caller starts again.
    ///
    /// It is one POST and one PUT (end-4a, end-6). What the stream gives is counted and hashed on the
    /// way, so that a wrong content is told of as ours and never reaches its end.
    pub async fn put_blob(
        &self,
        blob: &Descriptor,
        body: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<(), Error> {
        let content = UploadBody::of(blob, body).await?;
        let request = self.upload("", self.push());
        let incoming = self.session.expect(request, &[StatusCode::ACCEPTED]).await?;
        let upload = self.location(&incoming).await?;
        drop(incoming);
        let put = self.put(upload.clone(), blob, content).await;
        if put.is_err() {
            self.cancel(upload).await;
        }
        put
    }

    /// Takes a blob over from another repository of the same registry, without sending it (OC15).
    ///
    /// One token is asked for that is good for both. Where the rights do not suffice, the blob has to be
    /// uploaded: that is no error here (R7).
    pub async fn mount_blob(
        &self,
        digest: &Digest,
        from: &RepositoryName,
    ) -> Result<Mounted, Error> {
        let scopes = self.push().union(&[from.pull()].into_iter().collect());
        let request = self.upload(&format!("?mount={digest}&from={from}"), scopes);
        let incoming = match self.session.send(request).await {
            Ok(incoming) => incoming,
            Err(Error::Denied { .. }) => return Ok(Mounted::No),
            Err(error) => return Err(error),
        };
        match incoming.status() {
            StatusCode::CREATED => {
                check_stored_digest(incoming.headers(), &incoming.shown_url(), digest)?;
                Ok(Mounted::Yes)
            }
            StatusCode::ACCEPTED => {
                // Nothing uses this upload: a caller with the content starts a new one.
                if let Ok(upload) = self.location(&incoming).await {
                    self.cancel(upload).await;
                }
                Ok(Mounted::No)
            }
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                Ok(Mounted::No)
            }
            _ => Err(unexpected(incoming).await),
        }
    }

    fn upload(&self, query: &str, scopes: Scopes) -> Request<'_> {
        let path = format!("/v2/{}/blobs/uploads/{query}", self.repository);
        let request = Request::write(Method::POST, path, scopes).of(&self.repository);
        Request { content: Content::Bytes(Bytes::new()), ..request }
    }

    /// Where the upload goes on: within the registry, whatever it says (CVE-2026-50151, R10).
    async fn location(&self, incoming: &StreamingResponse) -> Result<Url, Error> {
        let header = incoming.headers().get(LOCATION);
        match header.and_then(|header| resolve_location(incoming.url(), header)) {
            Some(url) => self.session.check_origin(incoming.url(), url, "Location").await,
            None => Err(Error::Header {
                url: incoming.shown_url(),
                name: "Location",
                value: header.map(excerpt),
            }),
        }
    }

    async fn put(
        &self,
        mut upload: Url,
        blob: &Descriptor,
        sending: UploadBody,
    ) -> Result<(), Error> {
        // The query is the registry's state, and stays as it is.
        upload.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let octets = HeaderValue::from_static("application/octet-stream");
        let request = Request {
            target: Target::Url(upload),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, octets)]),
            content: sending.content,
            ..Request::write(Method::PUT, String::new(), self.push()).of(&self.repository)
        };
        let expected = [StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT];
        let outcome = self.session.expect(request, &expected).await;
        // What was wrong on our side has a consequence on theirs, which says less.
        if let Some(fault) = sending.fault.take() {
            return Err(fault);
        }
        let incoming = outcome?;
        check_stored_digest(incoming.headers(), &incoming.shown_url(), &blob.digest)
    }

    /// Ends an upload that nobody will go on with, if the registry lets us; else it ends by itself.
    async fn cancel(&self, upload: Url) {
        let request = Request {
            target: Target::Url(upload),
            retry: RetryPolicy::Never,
            upgrade: TokenUpgrade::No,
            ..Request::write(Method::DELETE, String::new(), self.push()).of(&self.repository)
        };
        let _: Result<StreamingResponse, Error> = self.session.send(request).await;
    }
}

/// Content on its way, and what turned out to be wrong with it.
struct UploadBody {
    content: Content,
    fault: UploadFault,
}

/// The first error of a stream that another task reads.
#[derive(Clone, Default)]
struct UploadFault(Arc<Mutex<Option<Error>>>);

impl UploadFault {
    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: Error) -> io::Error {
        let shown = io::Error::other(error.to_string());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        shown
    }
}

impl UploadBody {
    async fn of(
        blob: &Descriptor,
        mut body: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<Self, Error> {
        let mut measure = ContentCheck::whole(OURS.to_owned(), blob);
        let fault = UploadFault::default();
        if blob.size > 0 {
            let checked = CheckedStream { body, measure, fault: fault.clone() };
            return Ok(Self { content: Content::stream(blob.size, checked.boxed()), fault });
        }
        // Of a body without bytes nobody reads, so it is looked at here.
        while let Some(bytes) = body.next().await {
            measure.take(&bytes.map_err(Error::Body)?)?;
        }
        measure.end()?;
        Ok(Self { content: Content::Bytes(Bytes::new()), fault })
    }
}

/// A stream that ends in an error rather than in the wrong bytes.
struct CheckedStream {
    body: BoxStream<'static, io::Result<Bytes>>,
    measure: ContentCheck,
    fault: UploadFault,
}

impl CheckedStream {
    /// The last piece is given only if all of it is right, for the reader stops at the length.
    fn check(&mut self, bytes: Option<&Bytes>) -> Result<(), Error> {
        match bytes {
            Some(bytes) => {
                self.measure.take(bytes)?;
                if self.measure.is_complete() && !bytes.is_empty() {
                    self.measure.end()
                } else {
                    Ok(())
                }
            }
            None => self.measure.end(),
        }
    }
}

impl Stream for CheckedStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = match self.body.poll_next_unpin(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(polled) => polled,
        };
        let checked = match &polled {
            Some(Err(_)) => Ok(()),
            Some(Ok(bytes)) => self.check(Some(bytes)),
            None => self.check(None),
        };
        Poll::Ready(match (polled, checked) {
            (_, Err(wrong)) => Some(Err(self.fault.note(wrong))),
            (Some(Err(error)), _) => Some(Err(self.fault.note(Error::Body(error)))),
            (polled, Ok(())) => polled,
        })
    }
}
