//! Manifests: the bytes as they were pushed, and what they point at.

use std::{collections::HashSet, time::SystemTime};

use portpass_protocol::{Digest, Reference, RepositoryName, Tag};

use crate::{
    Announced, Db, Manifest, StateError,
    repository::RepositoryRow,
    sql::{CHUNK, Connections, Row, Statement, chunk, chunks, sql},
    writer::Write,
};

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
    /// The manifests that an index names.
    pub children: &'a [Digest],
    /// Whether they must be members of the repository.
    pub absent_children: AbsentChildren,
    /// The manifest this one refers to; need not exist.
    pub subject: Option<&'a Digest>,
    /// What it is listed as among the referrers of its subject.
    pub artifact_type: Option<&'a str>,
    /// Its annotations as a JSON object, for the list of referrers.
    pub annotations: Option<&'a serde_json::Map<String, serde_json::Value>>,
    /// Tags that name it from now on.
    pub tags: &'a [Tag],
    /// Those of them that must not move from one manifest to another.
    pub immutable: &'a [Tag],
}

/// Whether an index may name manifests that the repository does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentChildren {
    /// It must not.
    Refused,
    /// It may: they may come later, or never.
    Allowed,
}

/// Whether a manifest was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the manifest may not have been kept"]
pub enum PutManifest {
    /// It was, with all its tags.
    Stored,
    /// It points at what the repository does not hold; nothing was changed.
    Missing(Missing),
    /// A tag that must not move names another manifest; nothing was changed.
    Immutable {
        /// Which.
        tag: Tag,
        /// What it names.
        digest: Digest,
    },
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
    /// A tag that must stay names it; nothing was changed.
    Kept {
        /// Which.
        tag: Tag,
    },
    /// There was nothing of this name.
    Unknown,
}

fn by_digest(repository: &RepositoryName, digest: &Digest) -> Statement {
    sql("SELECT m.digest, m.media_type, m.bytes, o.condemned_at FROM repository r
         JOIN manifest m ON m.repository = r.id AND m.digest = $2
         LEFT JOIN orphan o ON o.repository = m.repository AND o.manifest = m.digest
         WHERE r.name = $1")
    .bind(repository.as_str())
    .bind(digest)
}

impl Db {
    /// The manifest that a tag names or a digest is.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, StateError> {
        let key = || (repository.clone(), reference.clone());
        let read = self.read_manifest(repository, reference);
        self.cached(repository, |cache| &cache.manifests, key, read).await
    }

    /// The same, for whoever gets its bytes at once: where nothing can be written, as on a full disk, a manifest that is
    /// condemned stays so, and is found all the same.
    pub async fn manifest_to_send(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, StateError> {
        match (self.manifest(repository, reference).await, reference) {
            (Err(StateError::Unavailable(_)), Reference::Digest(digest)) => {
                let row = self.read().first(by_digest(repository, digest)).await?;
                row.map(|row| Manifest::read(&row)).transpose()
            }
            (found, _) => found,
        }
    }

    async fn read_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, StateError> {
        let statement = match reference {
            Reference::Tag(tag) => sql("SELECT m.digest, m.media_type, m.bytes FROM repository r
                 JOIN tag t ON t.repository = r.id AND t.name = $2
                 JOIN manifest m ON m.repository = r.id AND m.digest = t.manifest
                 WHERE r.name = $1")
            .bind(repository.as_str())
            .bind(tag.as_str()),
            Reference::Digest(digest) => return self.read_by_digest(repository, digest).await,
        };
        self.read().first(statement).await?.map(|row| Manifest::read(&row)).transpose()
    }

    async fn read_by_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Manifest>, StateError> {
        let statement = || by_digest(repository, digest);
        let Some(row) = self.read().first(statement()).await? else { return Ok(None) };
        if row.optional_time("condemned_at")?.is_none() {
            return Manifest::read(&row).map(Some);
        }
        // As with a blob that no manifest links to: an index may come next.
        self.reprieve(repository, digest).await?;
        self.read().first(statement()).await?.map(|row| Manifest::read(&row)).transpose()
    }

    /// Keeps a manifest, its links and its tags in one transaction, or says what is missing.
    ///
    /// Whoever writes waits for those before, so what can be known before the turn is: each digest is looked for
    /// once however often it is named, and a long list that is not all there is refused by a reader.
    pub async fn put_manifest(
        &self,
        manifest: &NewManifest<'_>,
        now: SystemTime,
    ) -> Result<PutManifest, StateError> {
        let (blobs, children) = (unique(manifest.blobs), unique(manifest.children));
        let manifest = NewManifest { blobs: &blobs, children: &children, ..*manifest };
        let is_long = blobs.len() + children.len() > CHUNK || manifest.bytes.len() > LONG;
        if is_long {
            let missing = manifest.missing_for_readers(self.read()).await?;
            if missing != Missing::default() {
                return Ok(PutManifest::Missing(missing));
            }
        }
        let mut write = if is_long {
            self.write_long_to(manifest.repository).await?
        } else {
            self.write_to(manifest.repository).await?
        };
        let repository = RepositoryRow::find_or_make(manifest.repository, now, &mut write).await?;
        let missing = manifest.missing(repository, &mut write).await?;
        if missing != Missing::default() {
            // A repository that it made is taken back.
            write.roll_back().await?;
            return Ok(PutManifest::Missing(missing));
        }
        if let Some(refused) = manifest.immutable_elsewhere(repository, &mut write).await? {
            write.roll_back().await?;
            return Ok(refused);
        }
        write.run(manifest.insert(repository, now)).await?;
        manifest.link(repository, &mut write).await?;
        for tag in manifest.tags {
            write.run(set_tag(repository, tag, manifest.digest, now)).await?;
        }
        let NewManifest { digest, media_type, bytes, tags, .. } = manifest;
        let size = bytes.len() as u64;
        let announced = Announced::ManifestPut { digest, media_type, size, tags };
        self.announce(manifest.repository, announced, &mut write).await?;
        write.commit().await?;
        Ok(PutManifest::Stored)
    }

    /// Removes a manifest and every tag that names it.
    pub async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Deletion, StateError> {
        self.delete_manifest_unless(repository, digest, |_| false).await
    }

    /// As [`Db::delete_manifest`], unless one of the tags must stay.
    pub async fn delete_manifest_unless(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        must_stay: impl Fn(&Tag) -> bool,
    ) -> Result<Deletion, StateError> {
        let (name, mut write) = (repository, self.write_to(repository).await?);
        let Some(repository) = RepositoryRow::find(name, &mut write).await? else {
            write.roll_back().await?;
            return Ok(Deletion::Unknown);
        };
        let statement =
            sql("DELETE FROM tag WHERE repository = $1 AND manifest = $2 RETURNING name");
        let rows = write.all(statement.bind(repository).bind(digest)).await?;
        let mut tags: Vec<Tag> =
            rows.iter().map(|row| row.parsed("name")).collect::<Result<_, _>>()?;
        if let Some(tag) = tags.iter().find(|tag| must_stay(tag)) {
            let tag = tag.clone();
            write.roll_back().await?;
            return Ok(Deletion::Kept { tag });
        }
        mark_suspects(repository, digest, &mut write).await?;
        let statement = sql("DELETE FROM manifest WHERE repository = $1 AND digest = $2");
        if write.run(statement.bind(repository).bind(digest)).await? == 0 {
            write.roll_back().await?;
            return Ok(Deletion::Unknown);
        }
        tags.sort();
        self.announce(name, Announced::ManifestDeleted { digest, tags: &tags }, &mut write).await?;
        write.commit().await?;
        Ok(Deletion::Deleted { tags })
    }
}

impl NewManifest<'_> {
    /// As [`NewManifest::missing`], of what is durable. What a client was told that it is there is.
    async fn missing_for_readers(&self, readers: &Connections) -> Result<Missing, StateError> {
        let blobs = sql(concat!(
            "SELECT b.digest FROM repository r JOIN repository_blob b ON b.repository = r.id
             WHERE r.name = $33 AND b.digest IN (",
            chunk!(),
            ")"
        ));
        let children = sql(concat!(
            "SELECT m.digest FROM repository r JOIN manifest m ON m.repository = r.id
             WHERE r.name = $33 AND m.digest IN (",
            chunk!(),
            ")"
        ));
        let absent = async |wanted: &[Digest], statement: &Statement| {
            let mut seen = HashSet::with_capacity(wanted.len());
            for digests in chunks(wanted) {
                let statement = statement.again().bind_all(&digests);
                let rows = readers.all(statement.bind(self.repository.as_str())).await?;
                see(&rows, &mut seen)?;
            }
            Ok::<_, StateError>(unseen(wanted, seen))
        };
        Ok(Missing {
            blobs: absent(self.blobs, &blobs).await?,
            children: absent(self.needed_children(), &children).await?,
        })
    }

    async fn missing(
        &self,
        repository: RepositoryRow,
        write: &mut Write,
    ) -> Result<Missing, StateError> {
        let blobs = sql(concat!(
            "SELECT digest FROM repository_blob WHERE digest IN (",
            chunk!(),
            ") AND repository = $33"
        ));
        let children = sql(concat!(
            "SELECT digest FROM manifest WHERE digest IN (",
            chunk!(),
            ") AND repository = $33"
        ));
        Ok(Missing {
            blobs: absent(self.blobs, &blobs, repository, write).await?,
            children: absent(self.needed_children(), &children, repository, write).await?,
        })
    }

    fn needed_children(&self) -> &[Digest] {
        match self.absent_children {
            AbsentChildren::Refused => self.children,
            AbsentChildren::Allowed => &[],
        }
    }

    /// The first of the tags that must not move and names another manifest.
    async fn immutable_elsewhere(
        &self,
        repository: RepositoryRow,
        write: &mut Write,
    ) -> Result<Option<PutManifest>, StateError> {
        for tag in self.immutable {
            let statement = sql("SELECT manifest FROM tag WHERE repository = $1 AND name = $2");
            let named = write.first(statement.bind(repository).bind(tag.as_str())).await?;
            let digest = named.map(|row| row.digest("manifest")).transpose()?;
            if let Some(digest) = digest.filter(|digest| digest != self.digest) {
                return Ok(Some(PutManifest::Immutable { tag: tag.clone(), digest }));
            }
        }
        Ok(None)
    }

    pub(crate) fn insert(&self, repository: RepositoryRow, now: SystemTime) -> Statement {
        let annotations = self.annotations.map(|annotations| serde_json::json!(annotations));
        // Pushed again, it has the same bytes; what the caller read in them may be more by now.
        sql("INSERT INTO manifest (repository, digest, media_type, size, pushed_at, subject,
                 artifact_type, annotations, bytes)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (repository, digest) DO UPDATE SET
                 media_type = excluded.media_type, pushed_at = excluded.pushed_at,
                 subject = excluded.subject, artifact_type = excluded.artifact_type,
                 annotations = excluded.annotations")
        .bind(repository)
        .bind(self.digest)
        .bind(self.media_type)
        .bind(self.bytes.len())
        .bind(now)
        .bind(self.subject)
        .bind(self.artifact_type)
        .bind(annotations.map(|annotations| annotations.to_string()))
        .bind(self.bytes)
    }

    /// Replaces the manifest's links. What it links to is no longer suspected of being unlinked.
    pub(crate) async fn link(
        &self,
        repository: RepositoryRow,
        write: &mut Write,
    ) -> Result<(), StateError> {
        let statement = sql("DELETE FROM manifest_link WHERE repository = $1 AND manifest = $2");
        write.run(statement.bind(repository).bind(self.digest)).await?;
        for (kind, targets) in [("blob", self.blobs), ("manifest", self.children)] {
            for targets in chunks(targets) {
                let statement = sql(INSERT_LINKS).bind_all(&targets);
                write.run(statement.bind(repository).bind(self.digest).bind(kind)).await?;
            }
        }
        let statement = sql("UPDATE repository_blob SET unlinked_at = NULL, suspect = 0
             WHERE repository = $1 AND suspect = 1 AND digest IN
                 (SELECT target FROM manifest_link
                  WHERE repository = $1 AND manifest = $2 AND kind = 'blob')");
        write.run(statement.bind(repository).bind(self.digest)).await?;
        Ok(())
    }
}

/// Before a manifest goes: its blobs may be linked to no more then, and the repository may be empty.
pub(crate) async fn mark_suspects(
    repository: RepositoryRow,
    manifest: &Digest,
    write: &mut Write,
) -> Result<(), StateError> {
    let statement = sql("UPDATE repository_blob SET suspect = 1
             WHERE repository = $1 AND suspect = 0 AND digest IN
             (SELECT target FROM manifest_link
              WHERE repository = $1 AND manifest = $2 AND kind = 'blob')");
    write.run(statement.bind(repository).bind(manifest)).await?;
    let statement = sql("UPDATE repository SET suspect = 1 WHERE id = $1 AND suspect = 0");
    write.run(statement.bind(repository)).await?;
    Ok(())
}

/// Each once, in their order.
fn unique(digests: &[Digest]) -> Vec<Digest> {
    unseen(digests, HashSet::with_capacity(digests.len()))
}

/// Those that were not seen yet, each once, in their order.
fn unseen(digests: &[Digest], mut seen: HashSet<Digest>) -> Vec<Digest> {
    digests.iter().filter(|digest| seen.insert(**digest)).copied().collect()
}

fn see(rows: &[Row], seen: &mut HashSet<Digest>) -> Result<(), StateError> {
    for row in rows {
        seen.insert(row.digest("digest")?);
    }
    Ok(())
}

/// Those of `wanted` that a statement does not find, each once, in their order. The statement takes
/// a chunk of digests and the repository.
async fn absent(
    wanted: &[Digest],
    statement: &Statement,
    repository: RepositoryRow,
    write: &mut Write,
) -> Result<Vec<Digest>, StateError> {
    let mut seen = HashSet::with_capacity(wanted.len());
    for digests in chunks(wanted) {
        let statement = statement.again().bind_all(&digests).bind(repository);
        see(&write.all(statement).await?, &mut seen)?;
    }
    Ok(unseen(wanted, seen))
}

fn set_tag(repository: RepositoryRow, tag: &Tag, digest: &Digest, now: SystemTime) -> Statement {
    sql("INSERT INTO tag (repository, name, manifest, tagged_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (repository, name) DO UPDATE SET
             manifest = excluded.manifest, tagged_at = excluded.tagged_at")
    .bind(repository)
    .bind(tag.as_str())
    .bind(digest)
    .bind(now)
}

impl Manifest {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            digest: row.digest("digest")?,
            media_type: row.text("media_type")?,
            bytes: row.bytes("bytes")?.into(),
        })
    }
}

/// Bytes of a manifest that are written in milliseconds.
const LONG: usize = 256 * 1024;

/// One chunk of links of one kind.
const INSERT_LINKS: &str = "INSERT INTO manifest_link (target, repository, manifest, kind) VALUES
    ($1, $33, $34, $35), ($2, $33, $34, $35), ($3, $33, $34, $35), ($4, $33, $34, $35),
    ($5, $33, $34, $35), ($6, $33, $34, $35), ($7, $33, $34, $35), ($8, $33, $34, $35),
    ($9, $33, $34, $35), ($10, $33, $34, $35), ($11, $33, $34, $35), ($12, $33, $34, $35),
    ($13, $33, $34, $35), ($14, $33, $34, $35), ($15, $33, $34, $35), ($16, $33, $34, $35),
    ($17, $33, $34, $35), ($18, $33, $34, $35), ($19, $33, $34, $35), ($20, $33, $34, $35),
    ($21, $33, $34, $35), ($22, $33, $34, $35), ($23, $33, $34, $35), ($24, $33, $34, $35),
    ($25, $33, $34, $35), ($26, $33, $34, $35), ($27, $33, $34, $35), ($28, $33, $34, $35),
    ($29, $33, $34, $35), ($30, $33, $34, $35), ($31, $33, $34, $35), ($32, $33, $34, $35)
    ON CONFLICT (repository, manifest, kind, target) DO NOTHING";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_is_named_twice_is_one() {
        let [one, two] = [Digest::sha256(b"1"), Digest::sha256(b"2")];
        assert_eq!(unique(&[two, one, two, one, two]), [two, one]);
    }
}
