//! Manifests: the bytes as they were pushed, and what they point at.

use std::time::SystemTime;

use portpass_protocol::{Digest, Reference, RepositoryName, Tag};

use crate::{Db, StateError};

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Under the algorithm it was pushed with.
    pub digest: Digest,
    /// As pushed, without parameters.
    pub media_type: String,
    /// The very bytes.
    pub bytes: Vec<u8>,
}

/// What a HEAD request is told of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Under the algorithm it was pushed with.
    pub digest: Digest,
    /// As pushed, without parameters.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
}

/// A manifest to be kept, with what the caller read in it.
#[derive(Debug, Clone, Copy)]
pub struct NewManifest<'a> {
    /// Where to.
    pub repository: &'a RepositoryName,
    /// Of `bytes`, computed by the caller.
    pub digest: &'a Digest,
    /// Without parameters.
    pub media_type: &'a str,
    /// As they arrived.
    pub bytes: &'a [u8],
    /// Blobs that must be members of the repository (config, layers).
    pub blobs: &'a [Digest],
    /// Manifests that must be members of the repository (an index's children).
    pub children: &'a [Digest],
    /// The manifest this one refers to; need not exist.
    pub subject: Option<&'a Digest>,
    /// What it is listed as among the referrers of its subject.
    pub artifact_type: Option<&'a str>,
    /// Its annotations as a JSON object, for the list of referrers.
    pub annotations: Option<&'a serde_json::Map<String, serde_json::Value>>,
    /// Tags that name it from now on.
    pub tags: &'a [Tag],
}

/// Whether a manifest was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the manifest may not have been kept"]
pub enum PutManifest {
    /// It was, with all its tags.
    Stored,
    /// It points at what the repository does not hold; nothing was changed.
    Missing(Missing),
}

/// What a repository would have to hold first, in the manifest's order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Blobs.
    pub blobs: Vec<Digest>,
    /// Manifests.
    pub children: Vec<Digest>,
}

/// Whether there was something to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "there may be nothing of this name"]
pub enum Deletion {
    /// It is gone, and these tags with it.
    Deleted {
        /// In ASCII order; for a deleted tag that tag alone.
        tags: Vec<Tag>,
    },
    /// There was nothing of this name.
    Unknown,
}

impl Db {
    /// The manifest that a tag names or a digest is.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, StateError> {
        todo!("{repository} {reference}")
    }

    /// As [`Db::manifest`], without reading the bytes.
    pub async fn manifest_head(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>, StateError> {
        todo!("{repository} {reference}")
    }

    /// Keeps a manifest, its links and its tags in one transaction, or says what is missing.
    pub async fn put_manifest(
        &self,
        manifest: &NewManifest<'_>,
        now: SystemTime,
    ) -> Result<PutManifest, StateError> {
        todo!("{manifest:?} {now:?}")
    }

    /// Removes a manifest and every tag that names it.
    pub async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Deletion, StateError> {
        todo!("{repository} {digest}")
    }
}
