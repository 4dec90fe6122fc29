//! What was pulled, when last and how often: of each tag and of each digest.
//!
//! A pull is noted in memory and written with others a moment later, so that it costs no write.

use std::time::SystemTime;

use portpass_protocol::{Digest, RepositoryName, Tag};

use crate::{
    Db, Page, StateError,
    page::{after, one_further},
    sql::{Row, Value, sql},
};

/// Pulls of one tag or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Of what.
    pub of: Pulled,
    /// How many.
    pub count: u64,
    /// When the last of them was.
    pub last: SystemTime,
}

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pulled {
    /// A name of a manifest.
    Tag(RepositoryName, Tag),
    /// A manifest, under whatever name.
    Digest(RepositoryName, Digest),
}

/// How often something was pulled since it is there, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullCount {
    /// How often.
    pub pulls: u64,
    /// When last.
    pub last: SystemTime,
}

/// A tag with its pulls, if it had any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPulls {
    /// The tag.
    pub tag: Tag,
    /// What it names now.
    pub digest: Digest,
    /// Of the tag, whatever it has named.
    pub pulls: Option<PullCount>,
}

/// A manifest with its pulls, if it had any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPulls {
    /// Which.
    pub digest: Digest,
    /// By any of its names, and by its digest.
    pub pulls: Option<PullCount>,
}

impl Db {
    /// Adds pulls to what is known, in one transaction: a hundred at a time hold nobody up. What is gone meanwhile is
    /// passed over, and no time moves back.
    pub async fn note_pulls(&self, pulls: &[Pull]) -> Result<(), StateError> {
        if pulls.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        for Pull { of, count, last } in pulls {
            let statement = match of {
                Pulled::Tag(repository, tag) => {
                    sql("INSERT INTO tag_pull (repository, tag, pulls, pulled_at)
                         SELECT t.repository, t.name, $3, $4
                         FROM repository r JOIN tag t ON t.repository = r.id AND t.name = $2
                         WHERE r.name = $1
                         ON CONFLICT (repository, tag) DO UPDATE SET
                             pulls = tag_pull.pulls + excluded.pulls,
                             pulled_at = MAX(tag_pull.pulled_at, excluded.pulled_at)")
                    .bind(repository.as_str())
                    .bind(tag.as_str())
                }
                Pulled::Digest(repository, digest) => {
                    sql("INSERT INTO manifest_pull (repository, manifest, pulls, pulled_at)
                         SELECT m.repository, m.digest, $3, $4
                         FROM repository r JOIN manifest m ON m.repository = r.id AND m.digest = $2
                         WHERE r.name = $1
                         ON CONFLICT (repository, manifest) DO UPDATE SET
                             pulls = manifest_pull.pulls + excluded.pulls,
                             pulled_at = MAX(manifest_pull.pulled_at, excluded.pulled_at)")
                    .bind(repository.as_str())
                    .bind(digest)
                }
            };
            write.run(statement.bind(*count).bind(*last)).await?;
        }
        write.commit().await
    }

    /// How often a tag or digest was pulled, and when last; `None` where it never was.
    pub async fn last_pulled(&self, what: &Pulled) -> Result<Option<PullCount>, StateError> {
        let statement = match what {
            Pulled::Tag(repository, tag) => sql("SELECT p.pulls, p.pulled_at
                 FROM repository r JOIN tag_pull p ON p.repository = r.id AND p.tag = $2
                 WHERE r.name = $1")
            .bind(repository.as_str())
            .bind(tag.as_str()),
            Pulled::Digest(repository, digest) => sql("SELECT p.pulls, p.pulled_at
                 FROM repository r JOIN manifest_pull p ON p.repository = r.id AND p.manifest = $2
                 WHERE r.name = $1")
            .bind(repository.as_str())
            .bind(digest),
        };
        let row = self.read().first(statement).await?;
        row.map_or(Ok(None), |row| PullCount::read(&row))
    }

    /// The tags of a repository after `last` in ASCII order with their pulls, at most `limit` and
    /// [`crate::MAX_PAGE`].
    pub async fn tag_pulls(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<TagPulls>, StateError> {
        let statement = sql("SELECT t.name, t.manifest, p.pulls, p.pulled_at FROM repository r
             JOIN tag t ON t.repository = r.id AND t.name > $2
             LEFT JOIN tag_pull p ON p.repository = t.repository AND p.tag = t.name
             WHERE r.name = $1 ORDER BY t.name LIMIT $3")
        .bind(repository.as_str())
        .bind(after(last))
        .bind(one_further(limit));
        let read = |row: &Row| {
            let (tag, digest) = (row.parsed("name")?, row.digest("manifest")?);
            Ok(TagPulls { tag, digest, pulls: PullCount::read(row)? })
        };
        let rows = self.read().all(statement).await?;
        Ok(Page::cut(rows.iter().map(read).collect::<Result<_, StateError>>()?, limit))
    }

    /// As [`Db::tag_pulls`], of all manifests, tagged or not, by digest.
    pub async fn manifest_pulls(
        &self,
        repository: &RepositoryName,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<ManifestPulls>, StateError> {
        let last = last.map_or_else(|| Value::from(&b""[..]), Value::from);
        let statement = sql("SELECT m.digest, p.pulls, p.pulled_at FROM repository r
             JOIN manifest m ON m.repository = r.id AND m.digest > $2
             LEFT JOIN manifest_pull p ON p.repository = m.repository AND p.manifest = m.digest
             WHERE r.name = $1 ORDER BY m.digest LIMIT $3")
        .bind(repository.as_str())
        .bind(last)
        .bind(one_further(limit));
        let read = |row: &Row| {
            Ok(ManifestPulls { digest: row.digest("digest")?, pulls: PullCount::read(row)? })
        };
        let rows = self.read().all(statement).await?;
        Ok(Page::cut(rows.iter().map(read).collect::<Result<_, StateError>>()?, limit))
    }
}

impl PullCount {
    /// NULL in both columns where nothing was pulled.
    fn read(row: &Row) -> Result<Option<Self>, StateError> {
        let Some(last) = row.optional_time("pulled_at")? else { return Ok(None) };
        Ok(Some(Self { pulls: row.count("pulls")?, last }))
    }
}
