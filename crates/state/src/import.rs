//! What another registry held, brought in as rows: many in one transaction, each once.
//!
//! ```text
//! reserve_locations   garbage rows: no sweep takes the objects, and they go if nobody comes back
//! (the objects are made)
//! import              garbage row -> blob row, memberships, manifests, tags: all of it, or nothing
//! ```

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use portpass_protocol::{Digest, RepositoryName, Tag};

use crate::{
    Db, HeldBlob, NewManifest, StateError,
    repository::RepositoryRow,
    sql::{Row, chunk, chunks, sql},
    writer::Write,
};

/// A manifest, and when it was pushed to where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct ImportedManifest<'a> {
    /// What it is. Its blobs and children need not be here.
    pub manifest: NewManifest<'a>,
    /// When it was pushed there.
    pub pushed_at: SystemTime,
}

/// A tag as it was where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTag {
    /// Its name.
    pub tag: Tag,
    /// What it names.
    pub digest: Digest,
    /// Since when.
    pub tagged_at: SystemTime,
}

/// What one repository gets.
#[derive(Debug, Clone, Copy)]
pub struct ImportedRepository<'a> {
    /// Which.
    pub name: &'a RepositoryName,
    /// Blobs that it holds from now on.
    pub blobs: &'a [Digest],
    /// Manifests of it that are not here yet.
    pub manifests: &'a [ImportedManifest<'a>],
    /// Tags of it that are not here yet, or that name something else here.
    pub tags: &'a [ImportedTag],
}

/// Whether rows were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "there may be no rows"]
pub enum Imported {
    /// They were.
    Done(ImportedRows),
    /// An object or a blob was cleared away meanwhile; nothing was changed. The same again, from the start, will do.
    ClearedAway,
}

/// What was not here before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportedRows {
    /// Repositories.
    pub repositories: u64,
    /// Blobs, each once, however many repositories hold it.
    pub blobs: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags that are new or name something else now.
    pub tags: u64,
}

impl Db {
    /// Those of these blobs that are here, in whatever repository.
    pub async fn blobs_among(&self, digests: &[Digest]) -> Result<Vec<HeldBlob>, StateError> {
        let digests: Vec<&Digest> = digests.iter().collect();
        let mut found = Vec::new();
        for digests in chunks(&digests) {
            let statement = sql(concat!(
                "SELECT digest, location, size FROM blob WHERE digest IN (",
                chunk!(),
                ")"
            ));
            for row in self.read().all(statement.bind_all(digests)).await? {
                found.push(HeldBlob::read(&row)?);
            }
        }
        Ok(found)
    }

    /// Those of these manifests that the repository holds.
    pub async fn manifests_among(
        &self,
        repository: &RepositoryName,
        digests: &[Digest],
    ) -> Result<HashSet<Digest>, StateError> {
        let digests: Vec<&Digest> = digests.iter().collect();
        let mut found = HashSet::new();
        for digests in chunks(&digests) {
            let statement = sql(concat!(
                "SELECT m.digest FROM repository r JOIN manifest m ON m.repository = r.id
                 WHERE r.name = $33 AND m.digest IN (",
                chunk!(),
                ")"
            ));
            let statement = statement.bind_all(digests).bind(repository.as_str());
            for row in self.read().all(statement).await? {
                found.insert(row.digest("digest")?);
            }
        }
        Ok(found)
    }

    /// Those of these tags that the repository has, with what each names and since when.
    pub async fn tags_among(
        &self,
        repository: &RepositoryName,
        tags: &[Tag],
    ) -> Result<HashMap<Tag, (Digest, SystemTime)>, StateError> {
        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        let mut found = HashMap::new();
        for tags in chunks(&tags) {
            let statement = sql(concat!(
                "SELECT t.name, t.manifest, t.tagged_at FROM repository r
                 JOIN tag t ON t.repository = r.id WHERE r.name = $33 AND t.name IN (",
                chunk!(),
                ")"
            ));
            let statement = statement.bind_all(tags).bind(repository.as_str());
            for row in self.read().all(statement).await? {
                let named = (row.digest("manifest")?, row.time("tagged_at")?);
                found.insert(row.parsed("name")?, named);
            }
        }
        Ok(found)
    }

    /// Notes names that objects are about to have as garbage: a sweep of the store leaves these alone, and the
    /// collector removes them unless [`Db::import`] makes them blobs within an hour.
    pub async fn reserve_locations(
        &self,
        locations: &[&str],
        now: SystemTime,
    ) -> Result<(), StateError> {
        let mut write = self.write_to_any().await?;
        // A collection waits only for requests, and these copy.
        let garbage_from = now + RESERVED;
        for location in locations {
            let statement = sql("INSERT INTO garbage (location, marked_at) VALUES ($1, $2)");
            write.run(statement.bind(*location).bind(garbage_from)).await?;
        }
        write.commit().await
    }

    /// Makes blobs of objects whose names were [reserved](Db::reserve_locations), and gives repositories what they get.
    ///
    /// A blob that came by another way meanwhile stays as it is; the object for it is garbage then. A tag that names
    /// something else here since later than the imported one stays too.
    pub async fn import(
        &self,
        blobs: &[HeldBlob],
        repositories: &[ImportedRepository<'_>],
        now: SystemTime,
    ) -> Result<Imported, StateError> {
        let mut write = self.write_to_any().await?;
        let mut rows = ImportedRows::default();
        for blob in blobs {
            match insert(blob, now, &mut write).await? {
                Inserted::New => rows.blobs += 1,
                Inserted::Known => {}
                Inserted::ClearedAway => return cleared_away(write).await,
            }
        }
        for repository in repositories {
            let known = RepositoryRow::find(repository.name, &mut write).await?;
            rows.repositories += u64::from(known.is_none());
            let row = RepositoryRow::find_or_make(repository.name, now, &mut write).await?;
            if !hold(row, repository.blobs, now, &mut write).await? {
                return cleared_away(write).await;
            }
            for ImportedManifest { manifest, pushed_at } in repository.manifests {
                write.run(manifest.insert(row, *pushed_at)).await?;
                manifest.link(row, &mut write).await?;
                rows.manifests += 1;
            }
            for tag in repository.tags {
                rows.tags += set_tag(row, tag, &mut write).await?;
            }
        }
        write.commit().await?;
        Ok(Imported::Done(rows))
    }
}

async fn cleared_away(write: Write) -> Result<Imported, StateError> {
    write.roll_back().await?;
    Ok(Imported::ClearedAway)
}

/// What became of a blob.
enum Inserted {
    New,
    Known,
    ClearedAway,
}

async fn insert(
    blob: &HeldBlob,
    now: SystemTime,
    write: &mut Write,
) -> Result<Inserted, StateError> {
    // It stays garbage where the digest has an object already.
    let statement =
        sql("INSERT INTO blob (digest, location, size, generation, touched_at, suspect)
         VALUES ($1, $2, $3, 1, $4, 1) ON CONFLICT (digest) DO UPDATE SET
             generation = blob.generation + 1, touched_at = excluded.touched_at
         RETURNING location");
    let statement =
        statement.bind(&blob.digest).bind(blob.location.as_str()).bind(blob.size).bind(now);
    let Some(row) = write.first(statement).await? else {
        return Err(StateError::inconsistent("location", "a blob was made without a row"));
    };
    if row.text("location")? != blob.location {
        return Ok(Inserted::Known);
    }
    let statement = sql("DELETE FROM garbage WHERE location = $1");
    match write.run(statement.bind(blob.location.as_str())).await? {
        0 => Ok(Inserted::ClearedAway),
        _ => Ok(Inserted::New),
    }
}

/// Makes a repository hold blobs; whether all of them are here.
async fn hold(
    repository: RepositoryRow,
    blobs: &[Digest],
    now: SystemTime,
    write: &mut Write,
) -> Result<bool, StateError> {
    for digest in blobs {
        let statement = sql("INSERT INTO repository_blob
                 (repository, digest, media_type, touched_at, suspect)
             SELECT $1, digest, $3, $4, 1 FROM blob WHERE digest = $2
             ON CONFLICT (repository, digest) DO UPDATE SET
                 touched_at = excluded.touched_at, unlinked_at = NULL");
        let statement = statement.bind(repository).bind(digest).bind(BLOB).bind(now);
        if write.run(statement).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many tags name something that they did not.
async fn set_tag(
    repository: RepositoryRow,
    ImportedTag { tag, digest, tagged_at }: &ImportedTag,
    write: &mut Write,
) -> Result<u64, StateError> {
    let statement = sql("INSERT INTO tag (repository, name, manifest, tagged_at)
         SELECT repository, $2, digest, $4 FROM manifest WHERE repository = $1 AND digest = $3
         ON CONFLICT (repository, name) DO UPDATE SET
             manifest = excluded.manifest, tagged_at = excluded.tagged_at
             WHERE tag.tagged_at <= excluded.tagged_at AND tag.manifest <> excluded.manifest");
    let statement = statement.bind(repository).bind(tag.as_str()).bind(digest).bind(*tagged_at);
    write.run(statement).await
}

impl HeldBlob {
    pub(crate) fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            digest: row.digest("digest")?,
            location: row.text("location")?,
            size: row.count("size")?,
        })
    }
}

/// Longer than a batch of copies takes.
const RESERVED: Duration = Duration::from_hours(1);

/// What a blob is that came without a word about it.
const BLOB: &str = "application/octet-stream";
