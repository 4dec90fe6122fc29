//! What nothing keeps, listed for operators: it changes nothing, and a collection does not need it.

use std::time::SystemTime;

use portpass_protocol::{Digest, RepositoryName};

use crate::{
    Db, Garbage, StateError,
    garbage::{linked, unreferenced},
    sql::{Row, sql},
};

/// A blob that a repository holds and no manifest of it links to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlinkedBlob {
    /// Who holds it.
    pub repository: RepositoryName,
    /// Which.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// When it was pushed or mounted last.
    pub touched_at: SystemTime,
    /// When a collection has marked it, if one has.
    pub marked_at: Option<SystemTime>,
    /// How many repositories hold it.
    pub holders: u64,
}

/// A manifest that nothing keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Where.
    pub repository: RepositoryName,
    /// Which.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// When it was pushed last.
    pub pushed_at: SystemTime,
    /// Since when nothing keeps it, as far as a collection has looked.
    pub since: Option<SystemTime>,
    /// When a collection has condemned it, if one has.
    pub condemned_at: Option<SystemTime>,
    /// When it was pulled last.
    pub pulled_at: Option<SystemTime>,
}

/// A blob that a manifest links to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedBlob {
    /// Which.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// How many manifests of the repository link to it.
    pub links: u64,
    /// How many repositories hold it.
    pub holders: u64,
}

impl Db {
    /// The blobs that repositories hold and no manifest of theirs links to.
    pub async fn unlinked_blobs(&self) -> Result<Vec<UnlinkedBlob>, StateError> {
        let suspected = sql(concat!(
            "SELECT r.name, repository_blob.*, b.size,
                 (SELECT COUNT(*) FROM repository_blob o WHERE o.digest = b.digest) AS holders
             FROM repository_blob JOIN repository r ON r.id = repository_blob.repository
             JOIN blob b ON b.digest = repository_blob.digest
             WHERE repository_blob.suspect = 1 AND repository_blob.unlinked_at IS NULL
                 AND repository_blob.touched_at >= $1 AND NOT ",
            linked!()
        ));
        let marked = sql(concat!(
            "SELECT r.name, repository_blob.*, b.size,
                 (SELECT COUNT(*) FROM repository_blob o WHERE o.digest = b.digest) AS holders
             FROM repository_blob JOIN repository r ON r.id = repository_blob.repository
             JOIN blob b ON b.digest = repository_blob.digest
             WHERE repository_blob.unlinked_at >= $1 AND NOT ",
            linked!()
        ));
        let mut rows = self.read().all(marked.bind(BEGINNING)).await?;
        rows.extend(self.read().all(suspected.bind(BEGINNING)).await?);
        rows.iter().map(UnlinkedBlob::read).collect()
    }

    /// The blobs that no repository holds, as the garbage that they will be.
    pub async fn released_blobs(&self) -> Result<Vec<Garbage>, StateError> {
        let statement =
            sql("SELECT location, touched_at AS marked_at, digest, size, released_by FROM blob
             WHERE suspect = 1 AND touched_at >= $1 AND NOT EXISTS
                 (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)");
        let rows = self.read().all(statement.bind(BEGINNING)).await?;
        rows.iter().map(Garbage::read).collect()
    }

    /// All objects that are to be removed.
    pub async fn all_garbage(&self) -> Result<Vec<Garbage>, StateError> {
        let statement = sql("SELECT location, marked_at, digest, size, released_by FROM garbage");
        let rows = self.read().all(statement).await?;
        rows.iter().map(Garbage::read).collect()
    }

    /// The manifests that nothing keeps.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, StateError> {
        // CROSS JOIN: from the few orphans, and not from all manifests.
        let statement = sql(concat!(
            "SELECT r.name, o.manifest, manifest.size, manifest.pushed_at, o.since, o.condemned_at,
                 p.pulled_at
             FROM orphan o CROSS JOIN repository r ON r.id = o.repository
             CROSS JOIN manifest ON manifest.repository = o.repository AND manifest.digest = o.manifest
             LEFT JOIN manifest_pull p ON p.repository = o.repository AND p.manifest = o.manifest
             WHERE ",
            unreferenced!()
        ));
        let rows = self.read().all(statement).await?;
        rows.iter().map(Orphan::read).collect()
    }

    /// The blobs that a manifest links to and its repository holds.
    pub async fn linked_blobs(
        &self,
        repository: &RepositoryName,
        manifest: &Digest,
    ) -> Result<Vec<LinkedBlob>, StateError> {
        let statement = sql("SELECT l.target, b.size,
                 (SELECT COUNT(*) FROM manifest_link k WHERE k.repository = l.repository
                  AND k.kind = 'blob' AND k.target = l.target) AS links,
                 (SELECT COUNT(*) FROM repository_blob o WHERE o.digest = l.target) AS holders
             FROM repository r
             JOIN manifest_link l ON l.repository = r.id AND l.manifest = $2 AND l.kind = 'blob'
             JOIN repository_blob m ON m.repository = r.id AND m.digest = l.target
             JOIN blob b ON b.digest = l.target
             WHERE r.name = $1");
        let rows = self.read().all(statement.bind(repository.as_str()).bind(manifest)).await?;
        rows.iter().map(LinkedBlob::read).collect()
    }
}

impl UnlinkedBlob {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            repository: row.parsed("name")?,
            digest: row.digest("digest")?,
            size: row.count("size")?,
            touched_at: row.time("touched_at")?,
            marked_at: row.optional_time("unlinked_at")?,
            holders: row.count("holders")?,
        })
    }
}

impl Orphan {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            repository: row.parsed("name")?,
            digest: row.digest("manifest")?,
            size: row.count("size")?,
            pushed_at: row.time("pushed_at")?,
            since: row.optional_time("since")?,
            condemned_at: row.optional_time("condemned_at")?,
            pulled_at: row.optional_time("pulled_at")?,
        })
    }
}

impl LinkedBlob {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            digest: row.digest("target")?,
            size: row.count("size")?,
            links: row.count("links")?,
            holders: row.count("holders")?,
        })
    }
}

/// Nothing is dated earlier.
const BEGINNING: i64 = i64::MIN;
