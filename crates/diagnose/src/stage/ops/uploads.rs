//! Uploads to one repository, each step a request of its own.
//!
//! The token goes nowhere but to the registry: a `Location` elsewhere is told of, and not gone to.

use bytes::Bytes;
use portpass_protocol::{Digest, RepositoryName};
use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

use super::caller::told;
use crate::{
    case::Case,
    probe::{Ask, Authorization, Seen, Sent, Silence},
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
    pub(super) answer: Result<Seen, Silence>,
}

impl Step {
    pub(super) fn status(&self) -> Option<StatusCode> {
        self.answer.as_ref().ok().map(|seen| seen.status)
    }

    pub(super) fn succeeded(&self) -> bool {
        self.status().is_some_and(|status| status.is_success())
    }
}

/// Where an upload goes on.
#[derive(Debug)]
pub(super) enum Onward {
    /// At the registry.
    Here(Url),
    /// Somewhere else, as written.
    Elsewhere(Url),
    /// Nowhere: the answer does not say.
    Unsaid,
}

impl Uploads {
    /// Begins an upload, or a mount.
    pub(super) async fn begin(&self, case: &Case, mount: Option<(&Digest, &str)>) -> Step {
        let mut url = self.url("blobs/uploads/");
        if let Some((digest, from)) = mount {
            let digest = digest.to_string();
            url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", from);
        }
        self.step(case, Method::POST, url, Bytes::new()).await
    }

    /// Where the answer to a step says that the upload goes on.
    pub(super) fn onward(&self, step: &Step) -> Onward {
        let Ok(seen) = &step.answer else { return Onward::Unsaid };
        let base = self.url("blobs/uploads/");
        let location = seen.header("location").map(|location| base.join(location));
        match location {
            Some(Ok(url)) if url.origin() == base.origin() => Onward::Here(url),
            Some(Ok(url)) => Onward::Elsewhere(url),
            Some(Err(_)) | None => Onward::Unsaid,
        }
    }

    /// Sends bytes.
    pub(super) async fn append(&self, case: &Case, at: Url, content: Bytes) -> Step {
        self.step(case, Method::PATCH, at, content).await
    }

    /// Makes a blob of what was sent.
    pub(super) async fn commit(&self, case: &Case, mut at: Url, digest: &Digest) -> Step {
        at.query_pairs_mut().append_pair("digest", &digest.to_string());
        self.step(case, Method::PUT, at, Bytes::new()).await
    }

    /// Gives an upload up; says whether it is gone.
    pub(super) async fn cancel(&mut self, case: &Case, at: Url) -> Step {
        let path = at.path().to_owned();
        let step = self.step(case, Method::DELETE, at, Bytes::new()).await;
        if !step.succeeded() {
            self.left.push(format!("an upload that was begun, {path}; registries clear such away"));
        }
        step
    }

    /// Looks for a blob.
    pub(super) async fn look(&self, case: &Case, digest: &Digest) -> Step {
        let url = self.url(&format!("blobs/{digest}"));
        self.step(case, Method::HEAD, url, Bytes::new()).await
    }

    /// Deletes a blob.
    pub(super) async fn delete(&self, case: &Case, digest: &Digest) -> Step {
        let url = self.url(&format!("blobs/{digest}"));
        self.step(case, Method::DELETE, url, Bytes::new()).await
    }

    async fn step(&self, case: &Case, method: Method, url: Url, content: Bytes) -> Step {
        let mut ask = Ask::new(method, url).with(self.authorization.clone());
        ask.fresh = self.fresh;
        if matches!(ask.method, Method::POST | Method::PATCH | Method::PUT) {
            ask.headers.push((CONTENT_LENGTH, content.len().to_string()));
            ask.headers.push((CONTENT_TYPE, "application/octet-stream".to_owned()));
            ask.body = Sent::Bytes(content);
        }
        let answer = case.probe.ask(&ask).await;
        Step { told: told(&ask, &answer), answer }
    }

    /// Below the repository.
    fn url(&self, path: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(&format!("/v2/{}/{path}", self.name));
        url
    }
}
