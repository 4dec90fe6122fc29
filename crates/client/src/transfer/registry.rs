//! An image in a registry, as a source and as a target.

use std::{io, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use portpass_protocol::{Digest, MediaType, Reference, RepositoryName, manifest::Descriptor};

use super::{
    BlobOffer, BlobWriter, Content, Error, NameChange, Presence, Source, Target, VerifiedManifest,
};
use crate::{ImageReference, Manifest, Mounted, Repository, Session};

/// An image in a registry: one that is there, or one that shall be.
#[derive(Debug, Clone)]
pub struct RemoteImage {
    remote: Repository,
    wanted: Reference,
    /// With a tag and a digest, the tag is to be given, and the digest what it shall mean.
    pinned: Option<Digest>,
    mounts_from: Option<RepositoryName>,
}

impl RemoteImage {
    /// An image of the session's registry; without a tag or digest, its `latest`.
    pub fn new(session: Arc<Session>, image: &ImageReference) -> Self {
        Self {
            remote: Repository::new(session, image.repository().clone()),
            wanted: image.reference_or_latest(),
            pinned: image.digest().copied(),
            mounts_from: None,
        }
    }

    /// As a target, which gets the tag even where a digest is named too.
    pub fn target(session: Arc<Session>, image: &ImageReference) -> Self {
        let tag = image.tag().cloned().map(Reference::Tag);
        let new = Self::new(session, image);
        Self { wanted: tag.unwrap_or(new.wanted), ..new }
    }

    /// Asks the registry to take blobs from another repository that it has, before they are sent.
    #[must_use]
    pub fn mounting_from(self, repository: RepositoryName) -> Self {
        let mounts_from = (repository != *self.remote.repository()).then_some(repository);
        Self { mounts_from, ..self }
    }

    async fn checked(&self, reference: &Reference) -> Result<(Manifest, MediaType), Error> {
        let manifest = self.remote.manifest(reference).await?;
        match MediaType::from_content_type(&manifest.media_type) {
            Ok(media_type) => Ok((manifest, media_type)),
            Err(error) => Err(Error::manifest(&manifest.descriptor(), error)),
        }
    }
}

#[async_trait]
impl Source for RemoteImage {
    async fn root(&self) -> Result<VerifiedManifest, Error> {
        let (manifest, media_type) = self.checked(&self.wanted).await?;
        VerifiedManifest::read(manifest.bytes, media_type, Some(&manifest.digest))
    }

    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let (manifest, media_type) = self.checked(&Reference::Digest(wanted.digest)).await?;
        VerifiedManifest::read_described(manifest.bytes, media_type, wanted)
    }

    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error> {
        let stream = self.remote.blob(wanted, from).await?;
        Ok(stream.map_err(io::Error::other).boxed())
    }
}

#[async_trait]
impl Target for RemoteImage {
    fn accepts(&self, root: &VerifiedManifest) -> Result<(), Error> {
        match self.pinned.filter(|pinned| pinned != root.digest()) {
            Some(expected) => {
                Err(Error::DigestMismatch { expected, found: root.digest().to_string() })
            }
            None => Ok(()),
        }
    }

    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        let there = self.remote.head_manifest(&Reference::Digest(manifest.digest)).await?;
        let same = |there: &Descriptor| there.media_type == manifest.media_type;
        Ok(match there.filter(same) {
            None => Presence::Absent,
            // Some registries take an index without its images.
            Some(there) if is_index(&there) => Presence::ManifestOnly,
            Some(_) => Presence::Complete,
        })
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        if self.remote.has_blob(&blob.digest).await? {
            return Ok(BlobOffer::Present);
        }
        if let Some(from) = &self.mounts_from
            && self.remote.mount_blob(&blob.digest, from).await? == Mounted::Yes
        {
            return Ok(BlobOffer::Mounted);
        }
        Ok(BlobOffer::Missing(Box::new(Upload { remote: self.remote.clone(), blob: blob.clone() })))
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        let reference = Reference::Digest(*manifest.digest());
        Ok(self.remote.put_manifest(&reference, &as_it_came(manifest)).await?)
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        self.accepts(root)?;
        let there = self.remote.head_manifest(&self.wanted).await?;
        if there.is_some_and(|there| there == root.descriptor()) {
            return Ok(NameChange::Unchanged);
        }
        self.remote.put_manifest(&self.wanted, &as_it_came(root)).await?;
        Ok(NameChange::Updated)
    }

    fn max_attempts(&self) -> u32 {
        // An upload begins from its first byte each time.
        2
    }
}

/// A blob that the registry wants.
#[derive(Debug)]
struct Upload {
    remote: Repository,
    blob: Descriptor,
}

#[async_trait]
impl BlobWriter for Upload {
    fn offset(&self) -> u64 {
        0
    }

    async fn write_all(self: Box<Self>, content: Content) -> Result<(), Error> {
        Ok(self.remote.put_blob(&self.blob, content).await?)
    }
}

fn is_index(manifest: &Descriptor) -> bool {
    MediaType::from_content_type(&manifest.media_type).is_ok_and(MediaType::is_index)
}

fn as_it_came(manifest: &VerifiedManifest) -> Manifest {
    Manifest {
        media_type: manifest.media_type().to_string(),
        digest: *manifest.digest(),
        bytes: manifest.bytes().clone(),
    }
}
