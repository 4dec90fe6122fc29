//! A copy of the database as it is at one moment, for a backup.

use std::path::{Path, PathBuf};

use portpass_protocol::{Digest, RepositoryName};

use crate::{
    Db, StateError,
    meta::INSTANCE_ONLY,
    page::capped,
    sql::{Value, sql},
};

/// A blob that at least one repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBlob {
    /// What its bytes are.
    pub digest: Digest,
    /// Where its object lies; the store knows what it means.
    pub location: String,
    /// Length in bytes.
    pub size: u64,
}

impl Db {
    /// Writes the database as it is at this moment into the file at `path`, which must be empty or not there.
    /// Other processes read and write meanwhile. Nothing is synced.
    ///
    /// # Errors
    /// When the database cannot be read, or the file cannot be written.
    pub async fn copy_to(&self, path: &Path) -> Result<(), CopyError> {
        let failed = |why: String| CopyError { path: path.to_owned(), why };
        let name = path.to_str().ok_or_else(|| failed("its name is no text".to_owned()))?;
        // A connection that may not write may not write to other files either.
        match self.outside().run(sql("VACUUM INTO $1").bind(name)).await {
            Ok(_) => Ok(()),
            Err(StateError::Unavailable(error)) => Err(failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Leaves in a copy only what its blobs are needed for: uploads under way, garbage, and blobs that no
    /// repository holds go. A blob without a holder must not stay without its object: whoever pushes it
    /// again would be told that it is there. Nor has a copy the store of the database that it is a copy of.
    pub async fn remove_instance_meta(&self) -> Result<(), StateError> {
        let mut write = self.write().await?;
        for statement in [
            sql("DELETE FROM meta WHERE name IN ($1, $2, $3, $4)").bind_all(INSTANCE_ONLY),
            sql("DELETE FROM upload"),
            sql("DELETE FROM garbage"),
            sql("DELETE FROM event"),
            sql("DELETE FROM event_endpoint"),
            sql("DELETE FROM blob WHERE NOT EXISTS
                     (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)"),
        ] {
            write.run(statement).await?;
        }
        write.commit().await
    }

    /// The blobs that repositories hold, by digest, from behind `after`.
    pub async fn held_blobs(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<HeldBlob>, StateError> {
        let statement = sql("SELECT digest, location, size FROM blob WHERE digest > $1
             AND EXISTS (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)
             ORDER BY digest LIMIT $2");
        let after = after.map_or_else(|| Value::from(&b""[..]), Value::from);
        let rows = self.read().all(statement.bind(after).bind(capped(limit))).await?;
        rows.iter().map(HeldBlob::read).collect()
    }

    /// The repositories that hold a blob, by name.
    pub async fn holders(&self, digest: &Digest) -> Result<Vec<RepositoryName>, StateError> {
        let statement =
            sql("SELECT r.name FROM repository_blob b JOIN repository r ON r.id = b.repository
             WHERE b.digest = $1 ORDER BY r.name");
        let rows = self.read().all(statement.bind(digest)).await?;
        rows.iter().map(|row| row.parsed("name")).collect()
    }
}

/// A copy that could not be written: the file's disk, or the database, does not let us.
#[derive(Debug, thiserror::Error)]
#[error("cannot copy the database to {}: {why}", path.display())]
pub struct CopyError {
    /// The file.
    path: PathBuf,
    /// What SQLite said.
    why: String,
}
