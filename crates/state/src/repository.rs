//! Repositories: a name, and what was pushed into it.

use std::time::SystemTime;

use portpass_protocol::RepositoryName;

use crate::{
    Db, Page, StateError,
    page::{after, one_further},
    sql::sql,
    writer::Write,
};

impl Db {
    /// Whether anything was pushed into this repository.
    pub async fn repository_exists(&self, name: &RepositoryName) -> Result<bool, StateError> {
        let statement = sql("SELECT id FROM repository WHERE name = $1").bind(name.as_str());
        Ok(self.read().first(statement).await?.is_some())
    }

    /// The names of the repositories after `last` in ASCII order, at most `limit` and
    /// [`crate::MAX_PAGE`]. `last` need not exist, nor be a legal name.
    pub async fn catalog(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositoryName>, StateError> {
        let statement = sql("SELECT name FROM repository WHERE name > $1 ORDER BY name LIMIT $2")
            .bind(after(last))
            .bind(one_further(limit));
        let rows = self.read().all(statement).await?;
        let names = rows.iter().map(|row| row.parsed("name")).collect::<Result<_, _>>()?;
        Ok(Page::cut(names, limit))
    }

    /// Removes repositories made before `before` that hold nothing any more; says how many.
    pub async fn remove_empty_repositories(&self, before: SystemTime) -> Result<u64, StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql("DELETE FROM repository WHERE suspect = 1 AND created_at < $1
             AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.repository = repository.id)
             AND NOT EXISTS (SELECT 1 FROM repository_blob b WHERE b.repository = repository.id)");
        let removed = write.run(statement.bind(before)).await?;
        // The others hold something.
        let statement =
            sql("UPDATE repository SET suspect = 0 WHERE suspect = 1 AND created_at < $1");
        write.run(statement.bind(before)).await?;
        write.commit().await?;
        Ok(removed)
    }
}

/// A repository's number within the tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RepositoryRow(pub(crate) i64);

impl RepositoryRow {
    /// The row of a repository that exists.
    pub(crate) async fn find(
        name: &RepositoryName,
        write: &mut Write,
    ) -> Result<Option<Self>, StateError> {
        let statement = sql("SELECT id FROM repository WHERE name = $1").bind(name.as_str());
        write.first(statement).await?.map(|row| row.integer("id").map(Self)).transpose()
    }

    /// The row of a repository that exists from now on.
    pub(crate) async fn find_or_make(
        name: &RepositoryName,
        now: SystemTime,
        write: &mut Write,
    ) -> Result<Self, StateError> {
        if let Some(row) = Self::find(name, write).await? {
            return Ok(row);
        }
        let statement = sql("INSERT INTO repository (name, created_at, suspect) VALUES ($1, $2, 0)
             ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id");
        match write.first(statement.bind(name.as_str()).bind(now)).await? {
            Some(row) => row.integer("id").map(Self),
            None => Err(StateError::inconsistent("id", "a repository was made without a number")),
        }
    }
}

impl From<RepositoryRow> for crate::sql::Value {
    fn from(row: RepositoryRow) -> Self {
        row.0.into()
    }
}
