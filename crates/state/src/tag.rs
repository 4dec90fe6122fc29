//! Tags: names of manifests in a repository.

use std::sync::Arc;

use portpass_protocol::{RepositoryName, Tag};

use crate::{
    Announced, Db, Deletion, Page, StateError,
    page::{after, one_further},
    sql::sql,
};

impl Db {
    /// The tags of a repository after `last` in ASCII order, at most `limit` and
    /// [`crate::MAX_PAGE`]; `None` for a repository that does not exist. `last` need not exist, nor
    /// be a legal tag.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Arc<Page<Tag>>>, StateError> {
        let key = || (repository.clone(), last.unwrap_or_default().to_owned(), limit);
        let read = self.read_tags(repository, last, limit);
        self.cached(repository, |cache| &cache.tags, key, read).await
    }

    async fn read_tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Arc<Page<Tag>>>, StateError> {
        // One row without a tag is a repository without one; no row is no repository.
        let statement = sql("SELECT t.name AS tag FROM repository r
             LEFT JOIN tag t ON t.repository = r.id AND t.name > $2
             WHERE r.name = $1 ORDER BY t.name LIMIT $3")
        .bind(repository.as_str())
        .bind(after(last))
        .bind(one_further(limit));
        let rows = self.read().all(statement).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut tags = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.optional_text("tag")?.is_some() {
                tags.push(row.parsed("tag")?);
            }
        }
        Ok(Some(Arc::new(Page::cut(tags, limit))))
    }

    /// Removes a tag and leaves its manifest.
    pub async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Deletion, StateError> {
        let statement = sql("DELETE FROM tag WHERE name = $2
             AND repository = (SELECT id FROM repository WHERE name = $1)")
        .bind(repository.as_str())
        .bind(tag.as_str());
        let mut write = self.write_to(repository).await?;
        if write.run(statement).await? == 0 {
            write.roll_back().await?;
            return Ok(Deletion::Unknown);
        }
        self.announce(repository, Announced::TagDeleted(tag), &mut write).await?;
        write.commit().await?;
        Ok(Deletion::Deleted { tags: vec![tag.clone()] })
    }
}
