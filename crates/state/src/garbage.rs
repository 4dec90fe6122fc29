//! Garbage collection, online and in two steps: a row is marked, and the object is removed after
//! every request that might have seen the row is gone.
//!
//! ```text
//! membership no manifest links to, old   mark_unlinked_blobs -> (a read clears the mark)
//!                                        remove_unlinked_blobs, a grace period later
//! blob no repository holds, old          unreferenced_blobs -> mark_blob: blob row -> garbage row
//! garbage row, old                       garbage -> the store deletes -> remove_garbage_row
//! ```

use std::{collections::HashSet, time::SystemTime};

use portpass_protocol::{Digest, RepositoryName};

use crate::{
    Change, Db, StateError,
    manifest::mark_suspects,
    page::capped,
    repository::RepositoryRow,
    sql::{Row, chunk, chunks, sql},
};

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

/// The condition under which nothing keeps a row of `manifest`.
macro_rules! unreferenced {
    () => {
        "NOT EXISTS (SELECT 1 FROM tag t
             WHERE t.repository = manifest.repository AND t.manifest = manifest.digest)
         AND NOT EXISTS (SELECT 1 FROM manifest_link l WHERE l.repository = manifest.repository
             AND l.kind = 'manifest' AND l.target = manifest.digest)
         AND NOT EXISTS (SELECT 1 FROM manifest s
             WHERE s.repository = manifest.repository AND s.digest = manifest.subject)"
    };
}

impl Db {
    /// Marks memberships that no manifest of their repository links to and that are older than
    /// `before`; says how many. Asking for the blob takes the mark off again.
    pub async fn mark_unlinked_blobs(
        &self,
        before: SystemTime,
        now: SystemTime,
    ) -> Result<u64, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql("UPDATE repository_blob SET unlinked_at = $2
             WHERE suspect = 1 AND unlinked_at IS NULL AND touched_at < $1 AND NOT EXISTS
                 (SELECT 1 FROM manifest_link l WHERE l.repository = repository_blob.repository
                  AND l.kind = 'blob' AND l.target = repository_blob.digest)");
        let marked = write.run(statement.bind(before).bind(now)).await?;
        // A manifest links to the others.
        let statement = sql("UPDATE repository_blob SET suspect = 0
             WHERE suspect = 1 AND unlinked_at IS NULL AND touched_at < $1");
        write.run(statement.bind(before)).await?;
        write.commit().await?;
        Ok(marked)
    }

    /// Removes memberships that have been marked since before `before` and are not linked to yet;
    /// says how many.
    pub async fn remove_unlinked_blobs(
        &self,
        before: SystemTime,
        now: SystemTime,
    ) -> Result<u64, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql("UPDATE repository SET suspect = 1
             WHERE suspect = 0 AND id IN (SELECT repository FROM repository_blob WHERE unlinked_at < $1)");
        write.run(statement.bind(before)).await?;
        // Their age as blobs that no repository holds begins here.
        let statement = sql("UPDATE blob SET touched_at = $2, suspect = 1
             WHERE digest IN (SELECT digest FROM repository_blob WHERE unlinked_at < $1)");
        write.run(statement.bind(before).bind(now)).await?;
        let statement = sql("DELETE FROM repository_blob WHERE unlinked_at < $1 AND NOT EXISTS
                 (SELECT 1 FROM manifest_link l WHERE l.repository = repository_blob.repository
                  AND l.kind = 'blob' AND l.target = repository_blob.digest)");
        let removed = write.run(statement.bind(before)).await?;
        write.commit().await?;
        Ok(removed)
    }

    /// Blobs that no repository has held since before `before`, those first that were let go of first.
    pub async fn unreferenced_blobs(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<UnreferencedBlob>, StateError> {
        let statement = sql("UPDATE blob SET suspect = 0 WHERE suspect = 1 AND touched_at < $1
             AND EXISTS (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)");
        self.sweep(statement.bind(before)).await?;
        let statement = sql("SELECT digest, generation, size FROM blob
             WHERE suspect = 1 AND touched_at < $1 AND NOT EXISTS
                 (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)
             ORDER BY touched_at LIMIT $2");
        let rows = self.read().all(statement.bind(before).bind(capped(limit))).await?;
        let read = |row: &Row| {
            Ok(UnreferencedBlob {
                digest: row.digest("digest")?,
                generation: row.count("generation")?,
                size: row.count("size")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Turns a blob into garbage, if it is still of that generation and no repository holds it.
    /// From then on the digest is unknown; a new push makes a new object.
    pub async fn mark_blob(
        &self,
        blob: &UnreferencedBlob,
        now: SystemTime,
    ) -> Result<Option<Garbage>, StateError> {
        let mut write = self.write().await?;
        let statement = sql("DELETE FROM blob WHERE digest = $1 AND generation = $2 AND NOT EXISTS
                 (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)
             RETURNING location");
        let statement = statement.bind(&blob.digest).bind(blob.generation);
        let Some(row) = write.first(statement).await? else {
            write.roll_back().await?;
            return Ok(None);
        };
        let location = row.text("location")?;
        let statement = sql("INSERT INTO garbage (location, marked_at) VALUES ($1, $2)");
        write.run(statement.bind(location.as_str()).bind(now)).await?;
        write.commit().await?;
        Ok(Some(Garbage { location, marked_at: now }))
    }

    /// Objects that have been garbage since before `before`, oldest first.
    pub async fn garbage(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<Garbage>, StateError> {
        let statement = sql("SELECT location, marked_at FROM garbage WHERE marked_at < $1
             ORDER BY marked_at LIMIT $2");
        let rows = self.read().all(statement.bind(before).bind(capped(limit))).await?;
        let read = |row: &Row| {
            Ok(Garbage { location: row.text("location")?, marked_at: row.time("marked_at")? })
        };
        rows.iter().map(read).collect()
    }

    /// Notes that an object is gone from the store.
    pub async fn remove_garbage_row(&self, location: &str) -> Result<(), StateError> {
        let statement = sql("DELETE FROM garbage WHERE location = $1");
        self.change(statement.bind(location)).await?;
        Ok(())
    }

    /// Which of these locations a blob or garbage row names: a sweep of the store may remove the
    /// others if they are old and no session names them.
    pub async fn known_locations(
        &self,
        locations: &[String],
    ) -> Result<HashSet<String>, StateError> {
        let locations: Vec<&str> = locations.iter().map(String::as_str).collect();
        let mut known = HashSet::new();
        for locations in chunks(&locations) {
            let statement = sql(concat!(
                "SELECT location FROM blob WHERE location IN (",
                chunk!(),
                ") UNION ALL SELECT location FROM garbage WHERE location IN (",
                chunk!(),
                ")"
            ));
            for row in self.read().all(statement.bind_all(locations)).await? {
                known.insert(row.text("location")?);
            }
        }
        Ok(known)
    }

    /// Manifests that no tag names, no index holds and that refer to no manifest of their
    /// repository, not pushed since before `before`. Images may be in use by digest alone: removing
    /// these is the operator's choice, never a default.
    pub async fn unreferenced_manifests(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<(RepositoryName, Digest)>, StateError> {
        let statement = sql(concat!(
            "SELECT r.name, manifest.digest FROM manifest
             JOIN repository r ON r.id = manifest.repository
             WHERE manifest.pushed_at < $1 AND ",
            unreferenced!(),
            " ORDER BY r.name, manifest.digest LIMIT $2"
        ));
        let rows = self.read().all(statement.bind(before).bind(capped(limit))).await?;
        rows.iter().map(|row| Ok((row.parsed("name")?, row.digest("digest")?))).collect()
    }

    /// Removes a manifest if it is still one of [`Db::unreferenced_manifests`].
    pub async fn remove_unreferenced_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        before: SystemTime,
    ) -> Result<Change, StateError> {
        let statement = sql(concat!(
            "DELETE FROM manifest WHERE digest = $2 AND pushed_at < $3
             AND repository = (SELECT id FROM repository WHERE name = $1) AND ",
            unreferenced!(),
        ));
        let statement = statement.bind(repository.as_str()).bind(digest).bind(before);
        let mut write = self.write_to(repository).await?;
        if let Some(row) = RepositoryRow::find(repository, &mut write).await? {
            mark_suspects(row, digest, &mut write).await?;
        }
        let removed = write.run(statement).await?;
        write.commit().await?;
        Ok(if removed == 0 { Change::Unknown } else { Change::Done })
    }
}
