//! Uploads to one repository, each step a request of its own.
//!
//! The token goes nowhere but to the registry: a `Location` elsewhere is told of, and not gone to.

use bytes::Bytes;
use portpass_protocol::{Digest, RepositoryName};
use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

use super::answer::describe;
use crate::{
    exchange::{Authorization, Request, RequestBody, Response},
    probe::RequestError,
    run::Run,
};

/// One who uploads, and what of it is still there.
#[derive(Debug)]
pub(super) struct Uploads {
    /// The registry.
    pub(super) origin: Url,
    pub(super) name: RepositoryName,
    pub(super) authorization: Authorization,
    /// Every step on a connection of its own, as behind a balancer.
    pub(super) fresh: bool,
    /// What was made and could not be removed again.
    pub(super) left: Vec<String>,
}

/// How a step went.
#[derive(Debug)]
pub(super) struct Step {
    /// `POST /v2/…: 202 Accepted`
    pub(super) told: String,
    pub(super) answer: Result<Response, RequestError>,
}

impl Step {
    pub(super) fn status(&self) -> Option<StatusCode> {
        self.answer.as_ref().ok().map(|response| response.status)
    }

    pub(super) fn succeeded(&self) -> bool {
        self.status().is_some_and(|status| status.is_success())
    }
}

/// Where an upload goes on.
#[derive(Debug)]
pub(super) enum UploadLocation {
    /// At the registry.
    SameOrigin(Url),
    /// Somewhere else, as written.
    OtherOrigin(Url),
    /// Nowhere: the answer does not say.
    Missing,
}

impl Uploads {
    /// Begins an upload, or a mount.
    pub(super) async fn begin(&self, run: &Run, mount: Option<(&Digest, &str)>) -> Step {
        let mut url = self.url("blobs/uploads/");
        if let Some((digest, from)) = mount {
            let digest = digest.to_string();
            url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", from);
        }
        self.step(run, Method::POST, url, Bytes::new()).await
    }

    /// Where the answer to a step says that the upload goes on.
    pub(super) fn location_of(&self, step: &Step) -> UploadLocation {
        let Ok(response) = &step.answer else { return UploadLocation::Missing };
        let base = self.url("blobs/uploads/");
        let location = response.header("location").map(|location| base.join(location));
        match location {
            Some(Ok(url)) if url.origin() == base.origin() => UploadLocation::SameOrigin(url),
            Some(Ok(url)) => UploadLocation::OtherOrigin(url),
            Some(Err(_)) | None => UploadLocation::Missing,
        }
    }

    /// Sends bytes.
    pub(super) async fn append(&self, run: &Run, at: Url, content: Bytes) -> Step {
        self.step(run, Method::PATCH, at, content).await
    }

    /// Makes a blob of what was sent.
    pub(super) async fn commit(&self, run: &Run, mut at: Url, digest: &Digest) -> Step {
        at.query_pairs_mut().append_pair("digest", &digest.to_string());
        self.step(run, Method::PUT, at, Bytes::new()).await
    }

    /// Gives an upload up; says whether it is gone.
    pub(super) async fn cancel(&mut self, run: &Run, at: Url) -> Step {
        let path = at.path().to_owned();
        let step = self.step(run, Method::DELETE, at, Bytes::new()).await;
        if !step.succeeded() {
            self.left
                .push(format!("a started upload, {path}; registries remove unfinished uploads"));
        }
        step
    }

    /// Looks for a blob.
    pub(super) async fn head(&self, run: &Run, digest: &Digest) -> Step {
        let url = self.url(&format!("blobs/{digest}"));
        self.step(run, Method::HEAD, url, Bytes::new()).await
    }

    /// Deletes a blob.
    pub(super) async fn delete(&self, run: &Run, digest: &Digest) -> Step {
        let url = self.url(&format!("blobs/{digest}"));
        self.step(run, Method::DELETE, url, Bytes::new()).await
    }

    async fn step(&self, run: &Run, method: Method, url: Url, content: Bytes) -> Step {
        let mut request = Request::new(method, url).with(self.authorization.clone());
        request.fresh = self.fresh;
        if matches!(request.method, Method::POST | Method::PATCH | Method::PUT) {
            request.headers.push((CONTENT_LENGTH, content.len().to_string()));
            request.headers.push((CONTENT_TYPE, "application/octet-stream".to_owned()));
            request.body = RequestBody::Bytes(content);
        }
        let answer = run.probe.send(&request).await;
        Step { told: describe(&request, &answer), answer }
    }

    /// Below the repository.
    fn url(&self, path: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(&format!("/v2/{}/{path}", self.name));
        url
    }
}
