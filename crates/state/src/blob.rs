//! Blobs, and which repository holds which.

use std::time::SystemTime;

use portpass_protocol::{Digest, RepositoryName};

use crate::{
    Announced, Blob, Change, Db, StateError, UploadClaim,
    repository::RepositoryRow,
    sql::{Row, Statement, chunk, chunks, sql},
    upload::end,
    writer::Write,
};

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
    /// as garbage: delete it and call [`Db::remove_garbage_rows`], or leave it to the collector. Where the
    /// object that the row names is not whole, [`Db::replace_lost`] puts the new one in its place.
    Superfluous {
        /// The object that the row names.
        kept: String,
    },
    /// The session was finished, cancelled or taken over by another request; nothing was changed.
    /// Leave the object alone: it may be the very segment that the other request commits. If it is
    /// not, a sweep of the store finds that no row names it.
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
        let key = || (repository.clone(), *digest);
        let read = self.read_blob(repository, digest);
        self.cached(repository, |cache| &cache.blobs, key, read).await
    }

    /// The same, for whoever gets its bytes at once: where nothing can be written, as on a full disk, a collection that has
    /// marked it goes on, and the blob is found all the same.
    pub async fn blob_to_send(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Blob>, StateError> {
        match self.blob(repository, digest).await {
            Err(StateError::Unavailable(_)) => {
                let row = self.read().first(membership(repository, digest)).await?;
                row.map(|row| Blob::read(&row)).transpose()
            }
            found => found,
        }
    }

    /// Those of these blobs that the repository holds, each with its digest, in no particular order.
    pub async fn held_among(
        &self,
        repository: &RepositoryName,
        digests: &[Digest],
    ) -> Result<Vec<(Digest, Blob)>, StateError> {
        let digests: Vec<&Digest> = digests.iter().collect();
        let mut held = Vec::with_capacity(digests.len());
        for digests in chunks(&digests) {
            let statement = sql(concat!(
                "SELECT m.digest, b.location, b.size, m.media_type FROM repository r
                 JOIN repository_blob m ON m.repository = r.id AND m.digest IN (",
                chunk!(),
                ") JOIN blob b ON b.digest = m.digest WHERE r.name = $33"
            ));
            let statement = statement.bind_all(digests).bind(repository.as_str());
            for row in self.read().all(statement).await? {
                held.push((row.digest("digest")?, Blob::read(&row)?));
            }
        }
        Ok(held)
    }

    async fn read_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Blob>, StateError> {
        let Some(row) = self.read().first(membership(repository, digest)).await? else {
            return Ok(None);
        };
        if row.optional_time("unlinked_at")?.is_none() {
            return Blob::read(&row).map(Some);
        }
        // Somebody counts on it again, perhaps for a manifest that comes next: see `garbage`. It may have been
        // removed since it was read, and is told to nobody then.
        let statement = sql("UPDATE repository_blob SET unlinked_at = NULL WHERE digest = $2
             AND repository = (SELECT id FROM repository WHERE name = $1)");
        self.change(statement.bind(repository.as_str()).bind(digest)).await?;
        let row = self.read().first(membership(repository, digest)).await?;
        row.map(|row| Blob::read(&row)).transpose()
    }

    /// Makes an object a blob of a repository: blob row, membership and the end of the session in
    /// one transaction.
    pub async fn commit_blob(
        &self,
        commit: &BlobCommit<'_>,
        now: SystemTime,
    ) -> Result<Committed, StateError> {
        let mut write = self.write_to(commit.repository).await?;
        if let Some(claim) = commit.upload
            && !end(claim, commit.repository, &mut write).await?
        {
            write.roll_back().await?;
            return Ok(Committed::SessionLost);
        }
        let repository = RepositoryRow::find_or_make(commit.repository, now, &mut write).await?;
        let place = commit.insert(now, &mut write).await?;
        let join = join(repository, commit.digest, commit.media_type, now);
        write.run(join).await?;
        let committed = if place == commit.location {
            Committed::Stored
        } else {
            write.run(garbage(commit.location, commit.digest, commit.size, now)).await?;
            Committed::Superfluous { kept: place }
        };
        let BlobCommit { digest, size, .. } = *commit;
        let announced = Announced::BlobCommitted { digest, size };
        self.announce(commit.repository, announced, &mut write).await?;
        write.commit().await?;
        Ok(committed)
    }

    /// Has the row of a blob name `found`, a whole object, in place of `lost`, which is gone or cut short: every
    /// repository that holds the blob has its bytes again. `found` is no garbage any more, `lost` is.
    ///
    /// Nothing is changed where the row names another object by now, or where `found` is no garbage any more: then it
    /// was cleared away.
    pub async fn replace_lost(
        &self,
        digest: &Digest,
        lost: &str,
        found: &str,
        size: u64,
        now: SystemTime,
    ) -> Result<Change, StateError> {
        let mut write = self.write_to_any().await?;
        let statement =
            sql("UPDATE blob SET location = $3, size = $4, generation = generation + 1,
                 touched_at = $5 WHERE digest = $1 AND location = $2");
        let statement = statement.bind(digest).bind(lost).bind(found).bind(size).bind(now);
        if write.run(statement).await? == 0 {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        }
        let statement = sql("DELETE FROM garbage WHERE location = $1");
        if write.run(statement.bind(found)).await? == 0 {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        }
        write.run(garbage(lost, digest, 0, now)).await?;
        write.commit().await?;
        Ok(Change::Done)
    }

    /// Lets `to` hold a blob that `from` holds at this moment.
    pub async fn mount_blob(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<Mounted, StateError> {
        let mut write = self.write_to(to).await?;
        let Some(row) = write.first(membership(from, digest)).await? else {
            write.roll_back().await?;
            return Ok(Mounted::NotAMember);
        };
        let blob = Blob::read(&row)?;
        let target = RepositoryRow::find_or_make(to, now, &mut write).await?;
        write.run(join(target, digest, &blob.media_type, now)).await?;
        let announced = Announced::BlobMounted { digest, size: blob.size, from };
        self.announce(to, announced, &mut write).await?;
        write.commit().await?;
        Ok(Mounted::Mounted(blob))
    }

    /// A repository among the candidates that holds the blob.
    pub async fn find_blob(
        &self,
        digest: &Digest,
        candidates: Candidates<'_>,
    ) -> Result<Option<RepositoryName>, StateError> {
        match candidates {
            Candidates::All => {
                let statement = sql(
                    "SELECT r.name FROM repository_blob b JOIN repository r ON r.id = b.repository
                     WHERE b.digest = $1 LIMIT 1",
                );
                let row = self.read().first(statement.bind(digest)).await?;
                row.map(|row| row.parsed("name")).transpose()
            }
            Candidates::Among(names) => {
                for name in names {
                    if self.read().first(membership(name, digest)).await?.is_some() {
                        return Ok(Some(name.clone()));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Ends a repository's hold on a blob. Manifests that point at it stay.
    pub async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<Change, StateError> {
        let mut write = self.write_to(repository).await?;
        let statement = sql("DELETE FROM repository_blob WHERE digest = $2
             AND repository = (SELECT id FROM repository WHERE name = $1)");
        if write.run(statement.bind(repository.as_str()).bind(digest)).await? == 0 {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        }
        let statement = sql("UPDATE repository SET suspect = 1 WHERE name = $1 AND suspect = 0");
        write.run(statement.bind(repository.as_str())).await?;
        // Its age as garbage begins here, if no other repository holds it.
        let statement =
            sql("UPDATE blob SET touched_at = $2, suspect = 1, released_by = $3 WHERE digest = $1");
        write.run(statement.bind(digest).bind(now).bind(repository.as_str())).await?;
        self.announce(repository, Announced::BlobDeleted(digest), &mut write).await?;
        write.commit().await?;
        Ok(Change::Done)
    }
}

impl BlobCommit<'_> {
    /// Makes the blob's row, or raises the generation of the one that is there; says where the blob
    /// lies.
    async fn insert(&self, now: SystemTime, write: &mut Write) -> Result<String, StateError> {
        let statement =
            sql("INSERT INTO blob (digest, location, size, generation, touched_at, suspect)
             VALUES ($1, $2, $3, 1, $4, 0)
             ON CONFLICT (digest) DO UPDATE SET
                 generation = blob.generation + 1, touched_at = excluded.touched_at
             RETURNING location")
            .bind(self.digest)
            .bind(self.location)
            .bind(self.size)
            .bind(now);
        match write.first(statement).await? {
            Some(row) => row.text("location"),
            None => Err(StateError::inconsistent("location", "a blob was made without a row")),
        }
    }
}

/// An object that is no blob's, from now on.
fn garbage(location: &str, digest: &Digest, size: u64, now: SystemTime) -> Statement {
    let statement = sql("INSERT INTO garbage (location, marked_at, digest, size)
         VALUES ($1, $2, $3, $4) ON CONFLICT (location) DO NOTHING");
    statement.bind(location).bind(now).bind(digest).bind(size)
}

fn membership(repository: &RepositoryName, digest: &Digest) -> Statement {
    sql("SELECT b.location, b.size, m.media_type, m.unlinked_at FROM repository r
         JOIN repository_blob m ON m.repository = r.id AND m.digest = $2
         JOIN blob b ON b.digest = m.digest WHERE r.name = $1")
    .bind(repository.as_str())
    .bind(digest)
}

/// Makes a repository hold a blob, or hold it as fresh as if it did not yet.
fn join(
    repository: RepositoryRow,
    digest: &Digest,
    media_type: &str,
    now: SystemTime,
) -> Statement {
    sql(
        "INSERT INTO repository_blob (repository, digest, media_type, touched_at, suspect)
         VALUES ($1, $2, $3, $4, 1)
         ON CONFLICT (repository, digest) DO UPDATE SET
             media_type = excluded.media_type, touched_at = excluded.touched_at, unlinked_at = NULL",
    )
    .bind(repository)
    .bind(digest)
    .bind(media_type)
    .bind(now)
}

impl Blob {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            location: row.text("location")?,
            size: row.count("size")?,
            media_type: row.text("media_type")?,
        })
    }
}
