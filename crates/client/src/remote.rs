//! One repository of a registry: manifests, blobs, tags.
//!
//! Everything that comes is compared with its digest before it is believed, and everything is bounded:
//! a registry may be hostile.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use portpass_protocol::{Digest, Reference, RepositoryName, Tag};

use crate::session::Session;

mod blob;

pub use crate::session::Error;
pub use blob::BlobStream;
pub use portpass_protocol::manifest::Descriptor;

/// A media type as it stands in `Content-Type`, without parameters.
pub type MediaTypeString = String;

/// One repository of a registry. Cheap to clone; all operations may run in parallel.
#[derive(Debug, Clone)]
pub struct Remote {
    session: Arc<Session>,
    repository: RepositoryName,
}

/// A manifest that is what its digest and its media type say.
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
    /// From bytes that somebody has, with their SHA-256 digest.
    pub fn new(media_type: impl Into<MediaTypeString>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { media_type: media_type.into(), digest: Digest::sha256(&bytes), bytes }
    }

    /// What points at it.
    pub fn descriptor(&self) -> Descriptor {
        let size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        Descriptor { media_type: self.media_type.clone(), digest: self.digest, size }
    }
}

/// What asking for a mount came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// The blob is in the repository now.
    Yes,
    /// It has to be uploaded: it is not there, or may not be taken from there.
    No,
}

impl Remote {
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

    /// Gets a manifest and checks it: the digest that was asked for, else the one that the registry
    /// announces; the media type against the content (GHSA-qq97-vm5h-rrhg).
    pub async fn manifest(&self, _reference: &Reference) -> Result<Manifest, Error> {
        todo!()
    }

    /// What a reference points at; `None` if there is nothing.
    pub async fn head_manifest(&self, _reference: &Reference) -> Result<Option<Descriptor>, Error> {
        todo!()
    }

    /// Puts a manifest under a tag or under its own digest.
    pub async fn put_manifest(
        &self,
        _reference: &Reference,
        _manifest: &Manifest,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Whether a blob is in the repository.
    pub async fn has_blob(&self, _digest: &Digest) -> Result<bool, Error> {
        todo!()
    }

    /// Gets a blob from its byte number `from` on.
    ///
    /// The stream ends in an error if length or digest are not what the descriptor says. The digest
    /// is of the whole, so of a part only the length is checked: whoever resumes has the state of the
    /// hasher.
    pub async fn blob(&self, _blob: &Descriptor, _from: u64) -> Result<BlobStream, Error> {
        todo!()
    }

    /// Uploads a blob. The stream is read once; if it fails, the caller begins anew.
    pub async fn put_blob(
        &self,
        _blob: &Descriptor,
        _body: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Takes a blob over from another repository of the same registry, without sending it.
    pub async fn mount_blob(
        &self,
        _digest: &Digest,
        _from: &RepositoryName,
    ) -> Result<Mounted, Error> {
        todo!()
    }

    /// All tags, in the registry's order.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        todo!()
    }

    /// Deletes a tag, or a manifest with all its tags.
    pub async fn delete_manifest(&self, _reference: &Reference) -> Result<(), Error> {
        todo!()
    }
}
