//! Source and target of a transfer.

use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use portpass_protocol::{Digest, Tag, manifest::Descriptor};

use super::{Error, VerifiedManifest};

/// The bytes of a blob as a stream. An error means that the stream was interrupted.
pub type Content = BoxStream<'static, io::Result<Bytes>>;

/// Where an image comes from: a registry, a folder, an archive.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// The manifest of the source's name.
    async fn root(&self) -> Result<VerifiedManifest, Error>;

    /// A manifest that an index points at.
    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error>;

    /// The bytes of a blob from offset `from`. The source need not check them.
    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error>;

    /// The manifests that are about this one: none, where a source has no means to say so.
    async fn companions(&self, _subject: &Digest) -> Result<Vec<Companion>, Error> {
        Ok(Vec::new())
    }
}

/// A manifest about another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Companion {
    /// It names the other as its subject (distribution specification, "Listing Referrers").
    Referrer(Descriptor),
    /// It has a tag that is made of the other's digest, as cosign writes signatures.
    Tagged(Tag, Descriptor),
}

impl Companion {
    /// The manifest.
    pub fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Referrer(descriptor) | Self::Tagged(_, descriptor) => descriptor,
        }
    }
}

/// Where an image goes: a registry, a folder, an archive.
#[async_trait]
pub trait Target: fmt::Debug + Send + Sync {
    /// Whether the last manifest may be this one, before anything is sent: a target that is named by
    /// a digest wants that and no other.
    fn accepts(&self, _root: &VerifiedManifest) -> Result<(), Error> {
        Ok(())
    }

    /// What the target has of an image or index.
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error>;

    /// Offers a blob. A target that began to take it once may go on from there.
    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error>;

    /// Stores a manifest. All that it refers to is already stored.
    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error>;

    /// Makes a manifest that is stored already found as a companion of another.
    async fn attach(&self, companion: &Companion, manifest: &VerifiedManifest)
    -> Result<(), Error>;

    /// Stores the last manifest and sets the target's name to it.
    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error>;

    /// How often an interrupted blob is attempted.
    fn max_attempts(&self) -> u32;
}

/// What a target has of an image or index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Not even its manifest.
    Absent,
    /// Its manifest; what that points at is to be looked for.
    ManifestOnly,
    /// Its manifest, and with it all that it points at: a registry takes no image without its blobs.
    Complete,
}

/// Whether setting a name changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameChange {
    /// The name now means this image.
    Updated,
    /// The name meant this image before.
    Unchanged,
}

/// A target's response to an offered blob.
#[derive(Debug)]
pub enum BlobOffer {
    /// The target has it.
    Present,
    /// The target had it in another repository and has mounted it.
    Mounted,
    /// The target needs it.
    Missing(Box<dyn BlobWriter>),
}

/// Writes one blob to a target.
#[async_trait]
pub trait BlobWriter: fmt::Debug + Send {
    /// The first byte to write: the target has the bytes before it.
    fn offset(&self) -> u64;

    /// Writes the bytes and stores the blob if length and digest are right.
    async fn write_all(self: Box<Self>, content: Content) -> Result<(), Error>;
}
