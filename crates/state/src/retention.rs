//! What retention has to know of a repository, and the unit of work in which it removes.
//!
//! What is read comes in pages, and pushes go on between them. So whatever is to be removed is named with all that
//! was seen of it, and stays if anything of that is different by then.

use std::{collections::HashMap, time::SystemTime};

use portpass_protocol::{Digest, RepositoryName, Tag};

use crate::{
    Announced, Db, StateError,
    garbage::unreferenced,
    manifest::mark_suspects,
    page::capped,
    repository::RepositoryRow,
    sql::{CHUNK, Row, Value, sql},
    writer::Write,
};

/// A tag, and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFacts {
    /// Its name.
    pub name: Tag,
    /// What it names.
    pub manifest: Digest,
    /// When it was pushed last.
    pub tagged_at: SystemTime,
    /// When it was pulled last, whatever it named then.
    pub pulled_at: Option<SystemTime>,
}

/// A manifest, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFacts {
    /// Which.
    pub digest: Digest,
    /// When it was pushed last.
    pub pushed_at: SystemTime,
    /// When it was pulled last, by any of its names or by its digest.
    pub pulled_at: Option<SystemTime>,
    /// The manifest that it refers to, which need not be there.
    pub subject: Option<Digest>,
    /// Its length in bytes.
    pub size: u64,
}

/// An index holds a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The index.
    pub of: Digest,
    /// The manifest in it.
    pub digest: Digest,
}

/// What is to be removed from a repository together, as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// Tags.
    pub tags: Vec<RetiredTag>,
    /// Manifests, with when they were pushed: each behind those that hold it or that it refers to.
    pub manifests: Vec<(Digest, SystemTime)>,
}

/// A tag that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredTag {
    /// Its name.
    pub name: Tag,
    /// What it named.
    pub manifest: Digest,
    /// When it was pushed last.
    pub tagged_at: SystemTime,
    /// It is for what refers to this manifest, and goes behind it: while that is there, the tag stays.
    pub subject: Option<Digest>,
}

/// What of a [`Removal`] is gone. The rest was changed meanwhile, or something keeps it by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Tags.
    pub tags: Vec<Tag>,
    /// Manifests.
    pub manifests: Vec<Digest>,
}

impl Db {
    /// The tags of a repository after `last`, by name.
    pub async fn tag_facts(
        &self,
        repository: &RepositoryName,
        last: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<TagFacts>, StateError> {
        let statement = sql("SELECT t.name, t.manifest, t.tagged_at, p.pulled_at FROM repository r
             JOIN tag t ON t.repository = r.id AND t.name > $2
             LEFT JOIN tag_pull p ON p.repository = t.repository AND p.tag = t.name
             WHERE r.name = $1 ORDER BY t.name LIMIT $3")
        .bind(repository.as_str())
        .bind(last.map_or("", Tag::as_str))
        .bind(capped(limit));
        let read = |row: &Row| {
            Ok(TagFacts {
                name: row.parsed("name")?,
                manifest: row.digest("manifest")?,
                tagged_at: row.time("tagged_at")?,
                pulled_at: row.optional_time("pulled_at")?,
            })
        };
        self.read().all(statement).await?.iter().map(read).collect()
    }

    /// The manifests of a repository after `last`, by digest.
    pub async fn manifest_facts(
        &self,
        repository: &RepositoryName,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<ManifestFacts>, StateError> {
        let statement =
            sql("SELECT m.digest, m.pushed_at, m.subject, m.size, p.pulled_at FROM repository r
             JOIN manifest m ON m.repository = r.id AND m.digest > $2
             LEFT JOIN manifest_pull p ON p.repository = m.repository AND p.manifest = m.digest
             WHERE r.name = $1 ORDER BY m.digest LIMIT $3")
            .bind(repository.as_str())
            .bind(after(last))
            .bind(capped(limit));
        let read = |row: &Row| {
            Ok(ManifestFacts {
                digest: row.digest("digest")?,
                pushed_at: row.time("pushed_at")?,
                pulled_at: row.optional_time("pulled_at")?,
                subject: row.optional_digest("subject")?,
                size: row.count("size")?,
            })
        };
        self.read().all(statement).await?.iter().map(read).collect()
    }

    /// What the indexes of a repository hold, after `last`, by index and manifest.
    pub async fn children(
        &self,
        repository: &RepositoryName,
        last: Option<&Child>,
        limit: usize,
    ) -> Result<Vec<Child>, StateError> {
        let statement = sql("SELECT l.manifest, l.target FROM repository r
             JOIN manifest_link l ON l.repository = r.id AND l.kind = 'manifest'
                 AND (l.manifest, l.target) > ($2, $3)
             WHERE r.name = $1 ORDER BY l.manifest, l.target LIMIT $4")
        .bind(repository.as_str())
        .bind(after(last.map(|child| &child.of)))
        .bind(after(last.map(|child| &child.digest)))
        .bind(capped(limit));
        let read =
            |row: &Row| Ok(Child { of: row.digest("manifest")?, digest: row.digest("target")? });
        self.read().all(statement).await?.iter().map(read).collect()
    }

    /// Removes what is still as it was seen: tags that name the same since then; manifests that were not pushed again,
    /// and that no tag names, no index holds, and that refer to no manifest that is there.
    pub async fn remove_retired(
        &self,
        repository: &RepositoryName,
        removal: &Removal,
    ) -> Result<Removed, StateError> {
        let is_long = removal.tags.len() + removal.manifests.len() > CHUNK;
        let mut write = if is_long {
            self.write_long_to(repository).await?
        } else {
            self.write_to(repository).await?
        };
        let mut removed = Removed::default();
        let Some(row) = RepositoryRow::find(repository, &mut write).await? else {
            write.roll_back().await?;
            return Ok(removed);
        };
        // A tag that follows a subject goes when that has gone, and before the manifest that it names.
        let mut followers: HashMap<Digest, Vec<&RetiredTag>> = HashMap::new();
        for tag in &removal.tags {
            if tag.subject.is_some() {
                followers.entry(tag.manifest).or_default().push(tag);
            } else if remove_tag(row, tag, &mut write).await? {
                removed.tags.push(tag.name.clone());
            }
        }
        for (digest, pushed_at) in &removal.manifests {
            for tag in followers.remove(digest).unwrap_or_default() {
                if remove_tag(row, tag, &mut write).await? {
                    removed.tags.push(tag.name.clone());
                }
            }
            if remove_manifest(row, digest, *pushed_at, &mut write).await? {
                removed.manifests.push(*digest);
            }
        }
        for tag in followers.into_values().flatten() {
            if remove_tag(row, tag, &mut write).await? {
                removed.tags.push(tag.name.clone());
            }
        }
        for tag in &removed.tags {
            self.announce(repository, Announced::TagDeleted(tag), &mut write).await?;
        }
        for digest in &removed.manifests {
            let announced = Announced::ManifestDeleted { digest, tags: &[] };
            self.announce(repository, announced, &mut write).await?;
        }
        write.commit().await?;
        Ok(removed)
    }
}

async fn remove_tag(
    repository: RepositoryRow,
    tag: &RetiredTag,
    write: &mut Write,
) -> Result<bool, StateError> {
    let statement = sql("DELETE FROM tag
         WHERE repository = $1 AND name = $2 AND manifest = $3 AND tagged_at = $4 AND NOT EXISTS
             (SELECT 1 FROM manifest s WHERE s.repository = $1 AND s.digest = $5)")
    .bind(repository)
    .bind(tag.name.as_str())
    .bind(&tag.manifest)
    .bind(tag.tagged_at)
    .bind(tag.subject.as_ref());
    Ok(write.run(statement).await? > 0)
}

async fn remove_manifest(
    repository: RepositoryRow,
    digest: &Digest,
    pushed_at: SystemTime,
    write: &mut Write,
) -> Result<bool, StateError> {
    let statement = sql(concat!(
        "SELECT 1 AS free FROM manifest WHERE repository = $1 AND digest = $2 AND pushed_at = $3 AND ",
        unreferenced!(),
    ));
    let statement = statement.bind(repository).bind(digest).bind(pushed_at);
    if write.first(statement).await?.is_none() {
        return Ok(false);
    }
    mark_suspects(repository, digest, write).await?;
    let statement = sql("DELETE FROM manifest WHERE repository = $1 AND digest = $2");
    Ok(write.run(statement.bind(repository).bind(digest)).await? > 0)
}

/// Every digest comes after no bytes at all.
fn after(last: Option<&Digest>) -> Value {
    last.map_or_else(|| Value::from(&[][..]), Value::from)
}
