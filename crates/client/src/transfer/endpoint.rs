//! The two ends of a transfer: where an image comes from, and where it goes.

use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use portpass_protocol::manifest::Descriptor;

use super::{Error, VerifiedManifest};

/// The bytes of a blob, piece by piece. An error in it means that it broke off.
pub type Content = BoxStream<'static, io::Result<Bytes>>;

/// Where an image comes from: a registry, a folder, an archive.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// The manifest that its name stands for.
    async fn root(&self) -> Result<VerifiedManifest, Error>;

    /// A manifest that an index points at.
    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error>;

    /// The bytes of a blob from this one on. Nobody has to have checked them yet.
    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error>;
}

/// Where an image goes: a registry, a folder, an archive.
#[async_trait]
pub trait Target: fmt::Debug + Send + Sync {
    /// Whether the last manifest may be this one, before anything is sent: a target that is named by
    /// a digest wants that and no other.
    fn accepts(&self, _root: &VerifiedManifest) -> Result<(), Error> {
        Ok(())
    }

    /// What is there of an image or index already.
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error>;

    /// Offers a blob. A target that began to take it once may go on from there.
    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error>;

    /// Takes a manifest; all that it points at is there.
    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error>;

    /// Takes the last manifest and gives it its name: from now on it is seen.
    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error>;

    /// How often a blob is offered whose bytes break off.
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

/// What giving a name to an image has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameChange {
    /// It has that name now.
    Updated,
    /// It had it already.
    Unchanged,
}

/// What a target says to a blob that it is offered.
#[derive(Debug)]
pub enum BlobOffer {
    /// It has it.
    Present,
    /// It had it elsewhere, and has it here now.
    Mounted,
    /// It wants it.
    Missing(Box<dyn BlobWriter>),
}

/// A place for one blob, kept free for whoever was offered it.
#[async_trait]
pub trait BlobWriter: fmt::Debug + Send {
    /// From which byte on it is wanted: what is before that is there already.
    fn offset(&self) -> u64;

    /// Takes the bytes, and the blob is there: if they are as many as it has, and have its digest.
    async fn write_all(self: Box<Self>, content: Content) -> Result<(), Error>;
}
