//! Garbage collection of blobs, online and in two steps: a row is marked, and the object is removed after
//! every request that might have seen the row is gone.
//!
//! ```text
//! membership no manifest links to       mark_unlinked_blobs -> (a read clears the mark)
//!                                       remove_unlinked_blobs, a grace period later
//! blob no repository holds              retire_blobs: blob row -> garbage row
//! garbage row, old                      garbage -> the store deletes -> remove_garbage_rows
//! ```
//! A blob that no repository holds is told to nobody: what a client sees of blobs are memberships. So it needs
//! no grace of its own. Each call is a piece of the work that holds no other writer up for long.

use std::{collections::HashSet, time::SystemTime};

use portpass_protocol::Digest;

use crate::{
    Db, StateError,
    page::capped,
    sql::{Row, chunk, chunks, milliseconds, sql},
};

/// An object to be removed from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// Where it lies.
    pub location: String,
    /// Since when no request can learn of it.
    pub marked_at: SystemTime,
    /// What its bytes are, as far as that is known.
    pub digest: Option<Digest>,
    /// Length in bytes.
    pub size: u64,
    /// The repository that let go of the blob last.
    pub released_by: Option<String>,
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
pub(crate) use unreferenced;

/// The condition under which a manifest keeps a row of `repository_blob`.
macro_rules! linked {
    () => {
        "EXISTS (SELECT 1 FROM manifest_link l WHERE l.repository = repository_blob.repository
             AND l.kind = 'blob' AND l.target = repository_blob.digest)"
    };
}
pub(crate) use linked;

/// The memberships that lost their manifest first, or never had one; of the time `$1`, `$2` of them.
macro_rules! suspects {
    () => {
        "(SELECT rowid FROM repository_blob
          WHERE suspect = 1 AND unlinked_at IS NULL AND touched_at <= $1
          ORDER BY touched_at LIMIT $2)"
    };
}

/// The memberships that were marked first; before the time `$1`, `$2` of them.
macro_rules! marked {
    () => {
        "(SELECT rowid FROM repository_blob WHERE unlinked_at < $1 ORDER BY unlinked_at LIMIT $2)"
    };
}

/// The blobs that a repository let go of first; up to the time `$1`, `$2` of them.
macro_rules! released {
    () => {
        "(SELECT digest FROM blob WHERE suspect = 1 AND touched_at <= $1
          ORDER BY touched_at LIMIT $2)"
    };
}

/// What a piece of a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "where something was looked at, there may be more"]
pub struct Piece {
    /// Rows that were looked at; zero when there is no more to do.
    pub seen: u64,
    /// Those of them that nothing keeps.
    pub unkept: u64,
}

impl Db {
    /// Marks memberships that no manifest of their repository links to and that were not touched after `now`, at
    /// most `limit`. Asking for the blob takes the mark off again.
    pub async fn mark_unlinked_blobs(
        &self,
        now: SystemTime,
        limit: usize,
    ) -> Result<Piece, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql(concat!(
            "UPDATE repository_blob SET suspect = 0 WHERE rowid IN ",
            suspects!(),
            " AND ",
            linked!()
        ));
        let linked = write.run(statement.bind(now).bind(capped(limit))).await?;
        let statement = sql(concat!(
            "UPDATE repository_blob SET unlinked_at = $1 WHERE rowid IN ",
            suspects!(),
            " AND NOT ",
            linked!()
        ));
        let unkept = write.run(statement.bind(now).bind(capped(limit))).await?;
        write.commit().await?;
        Ok(Piece { seen: linked + unkept, unkept })
    }

    /// Removes memberships that have been marked since before `before` and are not linked to yet, at most `limit`.
    pub async fn remove_unlinked_blobs(
        &self,
        before: SystemTime,
        now: SystemTime,
        limit: usize,
    ) -> Result<Piece, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql(concat!(
            "UPDATE repository_blob SET unlinked_at = NULL, suspect = 0 WHERE rowid IN ",
            marked!(),
            " AND ",
            linked!()
        ));
        let linked = write.run(statement.bind(before).bind(capped(limit))).await?;
        let statement = sql(concat!(
            "UPDATE repository SET suspect = 1 WHERE suspect = 0 AND id IN
                 (SELECT repository FROM repository_blob WHERE rowid IN ",
            marked!(),
            ")"
        ));
        write.run(statement.bind(before).bind(capped(limit))).await?;
        let statement = sql(concat!(
            "UPDATE blob SET touched_at = $3, suspect = 1, released_by =
                 (SELECT r.name FROM repository_blob m JOIN repository r ON r.id = m.repository
                  WHERE m.digest = blob.digest AND m.unlinked_at < $1 LIMIT 1)
             WHERE digest IN (SELECT digest FROM repository_blob WHERE rowid IN ",
            marked!(),
            ")"
        ));
        write.run(statement.bind(before).bind(capped(limit)).bind(now)).await?;
        let statement = sql(concat!(
            "DELETE FROM repository_blob WHERE rowid IN ",
            marked!(),
            " AND NOT ",
            linked!()
        ));
        let unkept = write.run(statement.bind(before).bind(capped(limit))).await?;
        write.commit().await?;
        Ok(Piece { seen: linked + unkept, unkept })
    }

    /// Turns blobs that no repository holds into garbage, at most `limit`. From then on their digests are unknown; a
    /// new push makes a new object.
    pub async fn retire_blobs(&self, now: SystemTime, limit: usize) -> Result<Piece, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql(concat!(
            "UPDATE blob SET suspect = 0 WHERE digest IN ",
            released!(),
            " AND EXISTS (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)"
        ));
        let held = write.run(statement.bind(now).bind(capped(limit))).await?;
        let statement = sql(concat!(
            "INSERT INTO garbage (location, marked_at, digest, size, released_by)
             SELECT location, $1, digest, size, released_by FROM blob WHERE digest IN ",
            released!(),
            " AND NOT EXISTS (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)
             ON CONFLICT (location) DO NOTHING"
        ));
        write.run(statement.bind(now).bind(capped(limit))).await?;
        let statement = sql(concat!(
            "DELETE FROM blob WHERE digest IN ",
            released!(),
            " AND NOT EXISTS (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)"
        ));
        let unkept = write.run(statement.bind(now).bind(capped(limit))).await?;
        write.commit().await?;
        Ok(Piece { seen: held + unkept, unkept })
    }

    /// Objects that have been garbage since before `before`, oldest first.
    pub async fn garbage(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<Vec<Garbage>, StateError> {
        let statement = sql("SELECT location, marked_at, digest, size, released_by FROM garbage
             WHERE marked_at < $1 ORDER BY marked_at LIMIT $2");
        let rows = self.read().all(statement.bind(before).bind(capped(limit))).await?;
        rows.iter().map(Garbage::read).collect()
    }

    /// Lets all objects stay until then, whatever is garbage: somebody copies what rows named a while ago.
    pub async fn keep_objects_until(&self, until: SystemTime) -> Result<(), StateError> {
        self.set_meta(OBJECTS_KEPT_UNTIL, &milliseconds(until).to_string()).await
    }

    /// Whether objects may be removed at `now`.
    pub async fn may_remove_objects(&self, now: SystemTime) -> Result<bool, StateError> {
        let Some(text) = self.meta(OBJECTS_KEPT_UNTIL).await? else { return Ok(true) };
        let until: i64 =
            text.parse().map_err(|_| StateError::inconsistent("value", "it is no number"))?;
        Ok(until <= milliseconds(now))
    }

    /// Notes that objects are gone from the store.
    pub async fn remove_garbage_rows(&self, locations: &[&str]) -> Result<(), StateError> {
        let mut write = self.write().await?;
        for locations in chunks(locations) {
            let statement = sql(concat!("DELETE FROM garbage WHERE location IN (", chunk!(), ")"));
            write.run(statement.bind_all(locations)).await?;
        }
        write.commit().await
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
}

impl Garbage {
    pub(crate) fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            location: row.text("location")?,
            marked_at: row.time("marked_at")?,
            digest: row.optional_digest("digest")?,
            size: row.count("size")?,
            released_by: row.optional_text("released_by")?,
        })
    }
}

/// The name of a fact about this installation.
pub(crate) const OBJECTS_KEPT_UNTIL: &str = "objects_kept_until";
