//! Uploads in several requests, and going on with one after the server is back.

use reqwest::{Method, StatusCode, header::CONTENT_RANGE};

use crate::{
    goods::Content,
    journal::Value,
    pusher::{ACCEPTED, CANCELLED, CREATED, Pusher, blob_is},
    wire::{Lost, Wire},
};

/// An upload under way, as its client knows it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    repository: &'static str,
    content: Content,
    location: String,
    /// As far as the server said it had come.
    acknowledged: usize,
    /// As far as anything was sent.
    sent: usize,
    /// Whether the last request was to end it.
    ending: bool,
}

/// What became of an upload that a crash interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// It was gone on with, to its end.
    Finished,
    /// The blob had been committed; only the answer was lost.
    WasOver,
}

impl Pusher {
    /// `POST`, a `PATCH` up to each cut, `PUT` with the rest.
    pub(crate) async fn push_in_patches(
        &mut self,
        repository: &'static str,
        content: &Content,
        cuts: &[usize],
    ) -> Result<(), Lost> {
        let location = self.begin(repository).await?;
        self.session = Some(Session {
            repository,
            content: content.clone(),
            location,
            acknowledged: 0,
            sent: 0,
            ending: false,
        });
        for cut in cuts {
            self.patch(*cut).await?;
        }
        self.finish().await
    }

    pub(crate) async fn cancel(
        &mut self,
        repository: &'static str,
        content: &Content,
    ) -> Result<(), Lost> {
        let location = self.abandon(repository, content).await?;
        let cancel = self.wire.request(Method::DELETE, &location);
        self.change(Vec::new(), cancel, CANCELLED).await?;
        Ok(())
    }

    /// Begins an upload and leaves it where it is.
    pub(crate) async fn abandon(
        &mut self,
        repository: &'static str,
        content: &Content,
    ) -> Result<String, Lost> {
        let location = self.begin(repository).await?;
        let request = self.wire.request(Method::PATCH, &location);
        let request = self.wire.carrying(request, &content.bytes);
        self.change(Vec::new(), request, ACCEPTED).await?;
        Ok(location)
    }

    /// Asks how far the upload is, and sends what is missing. What was acknowledged is there.
    pub(crate) async fn resume(&mut self) -> Result<Option<Resumed>, Lost> {
        let Some(session) = &mut self.session else { return Ok(None) };
        let request = self.wire.request(Method::GET, &session.location);
        let answer = self.wire.send(request.bearer_auth(&self.token)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            assert!(session.ending, "an upload is lost: {session:?}");
            let path = format!("/v2/{}/blobs/{}", session.repository, session.content.digest);
            let found = self.wire.fetch(&path, &self.token).await?;
            assert!(found.is_some(), "neither upload nor blob: {session:?}");
            self.session = None;
            return Ok(Some(Resumed::WasOver));
        }
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        let length = received(answer.header("range"));
        assert!((session.acknowledged..=session.sent).contains(&length), "{length}: {session:?}");
        session.acknowledged = length;
        self.finish().await.map(|()| Some(Resumed::Finished))
    }

    async fn begin(&self, repository: &'static str) -> Result<String, Lost> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let request = self.wire.request(Method::POST, &path);
        let answer = self.change(Vec::new(), request, ACCEPTED).await?;
        Ok(answer.header("location").to_owned())
    }

    /// Sends the bytes up to `cut`.
    async fn patch(&mut self, cut: usize) -> Result<(), Lost> {
        let session = self.session.as_mut().unwrap();
        let from = session.acknowledged;
        session.sent = cut;
        let request = self
            .wire
            .request(Method::PATCH, &session.location)
            .header(CONTENT_RANGE, format!("{from}-{}", cut - 1));
        let request = self.wire.carrying(request, &session.content.bytes.slice(from..cut));
        let answer = self.change(Vec::new(), request, ACCEPTED).await?;
        assert_eq!(received(answer.header("range")), cut, "{answer:?}");
        self.session.as_mut().unwrap().acknowledged = cut;
        Ok(())
    }

    /// Sends the rest, and ends the upload.
    async fn finish(&mut self) -> Result<(), Lost> {
        let session = self.session.as_mut().unwrap();
        (session.sent, session.ending) = (session.content.bytes.len(), true);
        let Session { repository, content, location, acknowledged, .. } = session.clone();
        let request = put(&self.wire, &location, &content, acknowledged);
        self.change(blob_is(repository, &content, Value::Present), request, CREATED).await?;
        self.session = None;
        Ok(())
    }
}

fn put(wire: &Wire, location: &str, content: &Content, from: usize) -> reqwest::RequestBuilder {
    let request = wire.request(Method::PUT, &format!("{location}?digest={}", content.digest));
    wire.carrying(request, &content.bytes.slice(from..))
}

/// How many bytes `Range: 0-N` means; nothing is sent here one byte at a time.
fn received(range: &str) -> usize {
    let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
    if last == 0 { 0 } else { last + 1 }
}
