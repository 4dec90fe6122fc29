//! Referrers: the manifests whose subject is a digest.

use portpass_protocol::{Digest, RepositoryName};

use crate::{
    Db, Page, StateError,
    page::one_further,
    sql::{Row, Value, sql},
};

/// A manifest that refers to another, as its descriptor in a list of referrers (OC24).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Its own digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// As it was put.
    pub artifact_type: Option<String>,
    /// As they were put.
    pub annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Db {
    /// The referrers of a digest in a repository, by digest, after `last`, at most `limit` and
    /// [`crate::MAX_PAGE`]. Empty for anything unknown.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<Referrer>, StateError> {
        // Every digest comes after no bytes at all.
        let after = last.map_or_else(|| Value::from(&[][..]), Value::from);
        let statement = sql("SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations
             FROM repository r JOIN manifest m ON m.repository = r.id
             WHERE r.name = $1 AND m.subject = $2 AND m.digest > $3
               AND ($4 IS NULL OR m.artifact_type = $4)
             ORDER BY m.digest LIMIT $5")
        .bind(repository.as_str())
        .bind(subject)
        .bind(after)
        .bind(artifact_type)
        .bind(one_further(limit));
        let rows = self.read().all(statement).await?;
        let referrers = rows.iter().map(Referrer::read).collect::<Result<_, _>>()?;
        Ok(Page::cut(referrers, limit))
    }
}

impl Referrer {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            digest: row.digest("digest")?,
            media_type: row.text("media_type")?,
            size: row.count("size")?,
            artifact_type: row.optional_text("artifact_type")?,
            annotations: row.optional_json("annotations")?,
        })
    }
}
