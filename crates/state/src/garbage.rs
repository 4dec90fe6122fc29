//! Garbage collection, online and in two steps: a row is marked, and the object is removed after
//! every request that might have seen the row is gone.
//!
//! ```text
//! membership no manifest links to, old   mark_unlinked_blobs -> (a read clears the mark)
//!                                        remove_unlinked_blobs, a grace period later
//! blob no repository holds, old          unreferenced_blobs -> mark_blob: blob row -> garbage row
//! garbage row, old                       garbage -> the store deletes -> forget_garbage
//! ```

use std::{collections::HashSet, time::SystemTime};

use portpass_protocol::{Digest, RepositoryName};

use crate::{Db, StateError};

/// A blob that no repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreferencedBlob {
    /// Which.
    pub digest: Digest,
    /// Its generation; a commit of the same digest raises it.
    pub generation: u64,
    /// Length in bytes.
    pub size: u64,
}

/// An object to be removed from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// Where it lies.
    pub location: String,
    /// Since when no request can learn of it.
    pub marked_at: SystemTime,
}

impl Db {
    /// Marks memberships that no manifest of their repository links to and that nobody has asked
    /// for since before `before`; says how many. Asking for the blob takes the mark off.
    pub async fn mark_unlinked_blobs(
        &self,
        before: SystemTime,
        now: SystemTime,
    ) -> Result<u64, StateError> {
        todo!("{before:?} {now:?}")
    }

    /// Removes memberships that have been marked since before `before`; says how many.
    pub async fn remove_unlinked_blobs(
        &self,
        before: SystemTime,
        now: SystemTime,
    ) -> Result<u64, StateError> {
        todo!("{before:?} {now:?}")
    }

    /// Blobs that no repository has held since before `before`.
    pub async fn unreferenced_blobs(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<UnreferencedBlob>, StateError> {
        todo!("{before:?} {limit}")
    }

    /// Turns a blob into garbage, if it is still of that generation and no repository holds it.
    /// From then on the digest is unknown; a new push makes a new object.
    pub async fn mark_blob(
        &self,
        blob: &UnreferencedBlob,
        now: SystemTime,
    ) -> Result<Option<Garbage>, StateError> {
        todo!("{blob:?} {now:?}")
    }

    /// Objects that have been garbage since before `before`.
    pub async fn garbage(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<Garbage>, StateError> {
        todo!("{before:?} {limit}")
    }

    /// Notes that an object is gone from the store.
    pub async fn forget_garbage(&self, location: &str) -> Result<(), StateError> {
        todo!("{location}")
    }

    /// Which of these locations a blob or garbage row names: a sweep of the store may remove the
    /// others if they are old and no session names them.
    pub async fn known_locations(
        &self,
        locations: &[String],
    ) -> Result<HashSet<String>, StateError> {
        todo!("{locations:?}")
    }

    /// Manifests that no tag names, no index holds and that refer to no manifest of their
    /// repository, not pushed since before `before`. Images may be in use by digest alone: removing
    /// these is the operator's choice, never a default.
    pub async fn unreferenced_manifests(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<(RepositoryName, Digest)>, StateError> {
        todo!("{before:?} {limit}")
    }

    /// Removes a manifest if it is still one of [`Db::unreferenced_manifests`]; says whether it was.
    pub async fn remove_unreferenced_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        before: SystemTime,
    ) -> Result<bool, StateError> {
        todo!("{repository} {digest} {before:?}")
    }
}
