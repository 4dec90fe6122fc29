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

/// How long the descriptors of the referrers of a digest are. With a type or without, each has an index.
macro_rules! sizes {
    () => {
        "SELECT m.digest, COALESCE(OCTET_LENGTH(m.annotations), 0)
             + COALESCE(OCTET_LENGTH(m.artifact_type), 0) AS bytes
         FROM repository r JOIN manifest m ON m.repository = r.id
         WHERE r.name = $1 AND m.subject = $2 AND m.digest > $3"
    };
}

/// What the descriptors of the referrers of a digest say.
macro_rules! descriptors {
    () => {
        "SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations
         FROM repository r JOIN manifest m ON m.repository = r.id
         WHERE r.name = $1 AND m.subject = $2 AND m.digest > $3 AND m.digest <= $4"
    };
}

impl Db {
    /// The referrers of a digest in a repository, by digest, after `last`, at most `limit` and
    /// [`crate::MAX_PAGE`], and of those no more than come to 4 MiB, but always one. Empty for
    /// anything unknown.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<Referrer>, StateError> {
        // Every digest comes after no bytes at all.
        let after = || last.map_or_else(|| Value::from(&[][..]), Value::from);
        let sizes = match artifact_type {
            None => sql(concat!(sizes!(), " ORDER BY m.digest LIMIT $4")),
            Some(_) => {
                sql(concat!(sizes!(), " AND m.artifact_type = $5 ORDER BY m.digest LIMIT $4"))
            }
        }
        .bind(repository.as_str())
        .bind(subject)
        .bind(after())
        .bind(one_further(limit))
        .bind_all(artifact_type);
        let sizes = self.read().all(sizes).await?;
        let sizes = sizes.iter().map(Size::read).collect::<Result<_, _>>()?;
        let Page { items, more } = fitting(Page::cut(sizes, limit));
        let Some(end) = items.last() else { return Ok(Page { items: Vec::new(), more }) };
        let statement = match artifact_type {
            None => sql(concat!(descriptors!(), " ORDER BY m.digest")),
            Some(_) => sql(concat!(descriptors!(), " AND m.artifact_type = $5 ORDER BY m.digest")),
        }
        .bind(repository.as_str())
        .bind(subject)
        .bind(after())
        .bind(&end.digest)
        .bind_all(artifact_type);
        let rows = self.read().all(statement).await?;
        Ok(Page { items: rows.iter().map(Referrer::read).collect::<Result<_, _>>()?, more })
    }
}

/// What the referrers of one page come to at most, in bytes, unless there is only one: manifests
/// may say megabytes about themselves, and clients read no longer a list than they would a manifest.
const MAX_PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// What a descriptor has beside its annotations and its type, generously.
const DESCRIPTOR_BYTES: u64 = 512;

/// A referrer, and what its descriptor comes to.
struct Size {
    digest: Digest,
    bytes: u64,
}

impl Size {
    fn read(row: &Row) -> Result<Self, StateError> {
        let bytes = row.count("bytes")?.saturating_add(DESCRIPTOR_BYTES);
        Ok(Self { digest: row.digest("digest")?, bytes })
    }
}

/// As much of a page as comes to no more than `MAX_PAGE_BYTES`, and its first item in any case.
fn fitting(mut page: Page<Size>) -> Page<Size> {
    let mut bytes: u64 = 0;
    let too_many = page.items.iter().enumerate().position(|(index, size)| {
        bytes = bytes.saturating_add(size.bytes);
        index > 0 && bytes > MAX_PAGE_BYTES
    });
    if let Some(kept) = too_many {
        page.items.truncate(kept);
        page.more = true;
    }
    page
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
