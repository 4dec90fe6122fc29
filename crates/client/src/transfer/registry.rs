//! An image in a registry, as a source and as a target.

use std::{io, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use portpass_protocol::{Digest, MediaType, Reference, RepositoryName, Tag, manifest::Descriptor};

use super::{
    BlobOffer, BlobWriter, Companion, Content, Error, KnownBlobs, NameChange, Presence, Source,
    Target, VerifiedManifest,
};
use crate::{
    ImageReference, Manifest, Mounted, Repository, Session,
    repository::{Referrer, fallback_tag},
};

/// An image in a registry: one that is there, or one that shall be.
#[derive(Debug, Clone)]
pub struct RemoteImage {
    remote: Repository,
    wanted: Reference,
    /// With a tag and a digest, the tag is to be given, and the digest what it shall mean.
    pinned: Option<Digest>,
    mounts_from: Option<RepositoryName>,
    known: Arc<KnownBlobs>,
}

impl RemoteImage {
    /// An image of the session's registry; without a tag or digest, its `latest`.
    pub fn new(session: Arc<Session>, image: &ImageReference) -> Self {
        Self {
            remote: Repository::new(session, image.repository().clone()),
            wanted: image.reference_or_latest(),
            pinned: image.digest().copied(),
            mounts_from: None,
            known: Arc::default(),
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

    /// The same target, which mounts what other transfers have seen in other repositories of its
    /// registry, and tells them what it has.
    #[must_use]
    pub fn knowing(self, known: Arc<KnownBlobs>) -> Self {
        Self { known, ..self }
    }

    /// Lets a tag stand for a manifest, or stores it under its digest.
    async fn set(
        &self,
        reference: &Reference,
        manifest: &VerifiedManifest,
    ) -> Result<NameChange, Error> {
        let there = self.remote.head_manifest(reference).await?;
        if there.is_some_and(|there| there == manifest.descriptor()) {
            return Ok(NameChange::Unchanged);
        }
        self.remote.put_manifest(reference, &Manifest::from(manifest)).await?;
        Ok(NameChange::Updated)
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

    async fn companions(&self, subject: &Digest) -> Result<Vec<Companion>, Error> {
        let referrers = self.remote.referrers(subject).await?.list;
        let referrers = referrers.into_iter().map(|one| Companion::Referrer(one.descriptor));
        let mut companions: Vec<Companion> = referrers.collect();
        for tag in companion_tags(subject) {
            let reference = Reference::Tag(tag.clone());
            if let Some(descriptor) = self.remote.head_manifest(&reference).await? {
                companions.push(Companion::Tagged(tag, descriptor));
            }
        }
        Ok(companions)
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
            Some(there) => {
                self.known.note_image(&there, self.remote.repository()).await;
                Presence::Complete
            }
        })
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        let here = self.remote.repository();
        if self.remote.has_blob(&blob.digest).await? {
            self.known.note(&blob.digest, here);
            return Ok(BlobOffer::Present);
        }
        let elsewhere = self.known.find(&blob.digest, &self.remote).await;
        for from in self.mounts_from.iter().chain(&elsewhere) {
            if self.remote.mount_blob(&blob.digest, from).await? == Mounted::Yes {
                self.known.note(&blob.digest, here);
                return Ok(BlobOffer::Mounted);
            }
        }
        let (remote, known) = (self.remote.clone(), Arc::clone(&self.known));
        Ok(BlobOffer::Missing(Box::new(Upload { remote, known, blob: blob.clone() })))
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        let reference = Reference::Digest(*manifest.digest());
        Ok(self.remote.put_manifest(&reference, &Manifest::from(manifest)).await?)
    }

    async fn attach(
        &self,
        companion: &Companion,
        manifest: &VerifiedManifest,
    ) -> Result<(), Error> {
        match (companion, &manifest.links().subject) {
            (Companion::Tagged(tag, _), _) => {
                self.set(&Reference::Tag(tag.clone()), manifest).await?;
            }
            (Companion::Referrer(descriptor), Some(subject)) => {
                let referrer = Referrer::of(descriptor.clone(), manifest.links());
                self.remote.list_referrer(&subject.digest, &referrer).await?;
            }
            // The source's list is wrong: the manifest itself is not about anything.
            (Companion::Referrer(_), None) => {}
        }
        Ok(())
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        self.accepts(root)?;
        self.set(&self.wanted, root).await
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
    known: Arc<KnownBlobs>,
    blob: Descriptor,
}

#[async_trait]
impl BlobWriter for Upload {
    fn offset(&self) -> u64 {
        0
    }

    async fn write_all(self: Box<Self>, content: Content) -> Result<(), Error> {
        self.remote.put_blob(&self.blob, content).await?;
        self.known.note(&self.blob.digest, self.remote.repository());
        Ok(())
    }
}

/// Under which tags cosign keeps signatures, attestations and lists of contents of a manifest.
fn companion_tags(subject: &Digest) -> impl Iterator<Item = Tag> {
    let name = fallback_tag(subject);
    ["sig", "att", "sbom"].into_iter().filter_map(move |kind| format!("{name}.{kind}").parse().ok())
}

fn is_index(manifest: &Descriptor) -> bool {
    MediaType::from_content_type(&manifest.media_type).is_ok_and(MediaType::is_index)
}
