//! All that a repository holds, in order and page by page, for who takes it elsewhere.

use portpass_protocol::{Digest, RepositoryName, Tag};

use crate::{
    Db, HeldBlob, Page, StateError,
    page::{after, one_further},
    sql::{Value, sql},
};

impl Db {
    /// The digests of the manifests of a repository, in their order, from behind `last`.
    pub async fn manifest_digests(
        &self,
        repository: &RepositoryName,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<Digest>, StateError> {
        let statement =
            sql("SELECT m.digest FROM repository r JOIN manifest m ON m.repository = r.id
             WHERE r.name = $1 AND m.digest > $2 ORDER BY m.digest LIMIT $3");
        let statement =
            statement.bind(repository.as_str()).bind(behind(last)).bind(one_further(limit));
        let rows = self.read().all(statement).await?;
        let digests = rows.iter().map(|row| row.digest("digest")).collect::<Result<_, _>>()?;
        Ok(Page::cut(digests, limit))
    }

    /// The blobs that a repository holds, by digest, from behind `last`.
    pub async fn blobs_of(
        &self,
        repository: &RepositoryName,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<HeldBlob>, StateError> {
        let statement = sql("SELECT m.digest, b.location, b.size FROM repository r
             JOIN repository_blob m ON m.repository = r.id JOIN blob b ON b.digest = m.digest
             WHERE r.name = $1 AND m.digest > $2 ORDER BY m.digest LIMIT $3");
        let statement =
            statement.bind(repository.as_str()).bind(behind(last)).bind(one_further(limit));
        let rows = self.read().all(statement).await?;
        let blobs = rows.iter().map(HeldBlob::read).collect::<Result<_, _>>()?;
        Ok(Page::cut(blobs, limit))
    }

    /// The tags of a repository with what each names, in ASCII order, from behind `last`.
    pub async fn tagged(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<(Tag, Digest)>, StateError> {
        let statement =
            sql("SELECT t.name, t.manifest FROM repository r JOIN tag t ON t.repository = r.id
             WHERE r.name = $1 AND t.name > $2 ORDER BY t.name LIMIT $3");
        let statement =
            statement.bind(repository.as_str()).bind(after(last)).bind(one_further(limit));
        let rows = self.read().all(statement).await?;
        let read = |row: &crate::sql::Row| Ok((row.parsed("name")?, row.digest("manifest")?));
        let tags = rows.iter().map(read).collect::<Result<_, StateError>>()?;
        Ok(Page::cut(tags, limit))
    }
}

/// Every digest comes behind no bytes at all.
fn behind(last: Option<&Digest>) -> Value {
    last.map_or_else(|| Value::from(&b""[..]), Value::from)
}
