//! Blobs, and which repository holds which.

use std::time::SystemTime;

use portpass_protocol::{Digest, RepositoryName};

use crate::{Db, Deletion, StateError, UploadClaim};

/// A blob as one repository holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Where the object lies; the store knows what it means.
    pub location: String,
    /// Length in bytes.
    pub size: u64,
    /// What it was committed as.
    pub media_type: String,
}

/// An object that lies durably in the store, to be made a blob of a repository.
#[derive(Debug, Clone, Copy)]
pub struct BlobCommit<'a> {
    /// Where to.
    pub repository: &'a RepositoryName,
    /// Of the object's bytes, checked by the store.
    pub digest: &'a Digest,
    /// Where the object lies.
    pub location: &'a str,
    /// Length in bytes.
    pub size: u64,
    /// What it is served as.
    pub media_type: &'a str,
    /// The session it came from, which ends with the commit.
    pub upload: Option<UploadClaim>,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the object may be superfluous"]
pub enum Committed {
    /// The object is the blob now.
    Stored,
    /// The blob was there already and is a member of the repository now. The new object is noted
    /// as garbage: delete it and call [`Db::forget_garbage`], or leave it to the collector.
    Superfluous,
    /// The session was finished, cancelled or taken over by another request; nothing was changed
    /// but that the object is noted as garbage, unless the blob lies there already.
    SessionLost,
}

/// Whether a blob was mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the source may not hold the blob"]
pub enum Mounted {
    /// The target holds it now.
    Mounted(Blob),
    /// The source does not hold it at this moment; nothing was changed.
    NotAMember,
}

/// Where a blob to be mounted may come from.
#[derive(Debug, Clone, Copy)]
pub enum Candidates<'a> {
    /// Any repository.
    All,
    /// One of these.
    Among(&'a [RepositoryName]),
}

impl Db {
    /// The blob, if the repository holds it.
    pub async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Blob>, StateError> {
        todo!("{repository} {digest}")
    }

    /// Makes an object a blob of a repository: blob row, membership and the end of the session in
    /// one transaction.
    pub async fn commit_blob(
        &self,
        commit: &BlobCommit<'_>,
        now: SystemTime,
    ) -> Result<Committed, StateError> {
        todo!("{commit:?} {now:?}")
    }

    /// Lets `to` hold a blob that `from` holds at this moment.
    pub async fn mount_blob(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<Mounted, StateError> {
        todo!("{from} {to} {digest} {now:?}")
    }

    /// A repository among the candidates that holds the blob.
    pub async fn find_blob(
        &self,
        digest: &Digest,
        candidates: Candidates<'_>,
    ) -> Result<Option<RepositoryName>, StateError> {
        todo!("{digest} {candidates:?}")
    }

    /// Ends a repository's hold on a blob. Manifests that point at it stay.
    pub async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<Deletion, StateError> {
        todo!("{repository} {digest} {now:?}")
    }
}
