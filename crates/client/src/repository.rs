//! One repository of a registry: manifests, blobs, tags.
//!
//! All content is checked against its digest, and all responses are limited: a registry may be
//! hostile.

use std::sync::Arc;

use bytes::Bytes;
use portpass_protocol::{Digest, RepositoryName, Tag, name::NameError};
use reqwest::Method;

use crate::{
    scopes::Scopes,
    session::{List, Request, Session},
};

mod blob;
mod content_check;
mod manifest;
mod referrers;
#[cfg(test)]
mod tests;
mod upload;

pub use crate::session::Error;
pub use blob::BlobStream;
pub use portpass_protocol::manifest::Descriptor;
pub(crate) use referrers::fallback_tag;
pub use referrers::{Referrer, Referrers, ReferrersApi};

/// A media type as in `Content-Type`, without parameters.
pub type MediaTypeString = String;

/// One repository of a registry. Cheap to clone; all operations may run in parallel.
#[derive(Debug, Clone)]
pub struct Repository {
    session: Arc<Session>,
    repository: RepositoryName,
}

/// A manifest that matches its digest and its media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// From `Content-Type`; one of the kinds of
    /// [`MediaType`](portpass_protocol::MediaType).
    pub media_type: MediaTypeString,
    /// Of the bytes.
    pub digest: Digest,
    /// As they came.
    pub bytes: Bytes,
}

impl Manifest {
    /// A manifest of these bytes, with their SHA-256 digest.
    pub fn new(media_type: impl Into<MediaTypeString>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { media_type: media_type.into(), digest: Digest::sha256(&bytes), bytes }
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> Descriptor {
        let size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        Descriptor { media_type: self.media_type.clone(), digest: self.digest, size }
    }
}

/// The result of a mount request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// The blob is in the repository now.
    Yes,
    /// The blob has to be uploaded: the other repository does not have it or may not be read.
    No,
}

impl Session {
    /// A repository of this registry, by its name without the host. Nothing is sent yet.
    ///
    /// # Errors
    /// [`NameError`] if the name is not one that the distribution specification allows.
    pub fn repository(self: &Arc<Self>, name: &str) -> Result<Repository, NameError> {
        Ok(Repository::new(Arc::clone(self), name.parse()?))
    }
}

impl Repository {
    /// A repository of the session's registry. Nothing is sent yet.
    pub fn new(session: Arc<Session>, repository: RepositoryName) -> Self {
        Self { session, repository }
    }

    /// The registry.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Its name in the registry.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// All tags, in the registry's order.
    ///
    /// # Errors
    /// The registry refuses, cannot be reached, or its list is unreadable or longer than the limits.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        // More than `n` a registry may have and give; fewer at a time would be more requests.
        let path = format!("/v2/{}/tags/list?n=1000", self.repository);
        let request = Request::read(Method::GET, path, self.pull()).of(&self.repository);
        self.session.list(request, List::Tags).await
    }

    fn pull(&self) -> Scopes {
        [self.repository.pull()].into_iter().collect()
    }

    /// Every write needs both (AR1).
    fn push(&self) -> Scopes {
        [self.repository.pull_push()].into_iter().collect()
    }
}
