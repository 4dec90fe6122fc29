//! Repositories: a name, and what was pushed into it.

use std::time::SystemTime;

use portpass_protocol::RepositoryName;

use crate::{Db, Page, StateError};

impl Db {
    /// Whether anything was pushed into this repository.
    pub async fn repository_exists(&self, name: &RepositoryName) -> Result<bool, StateError> {
        todo!("{name}")
    }

    /// The names of the repositories after `last` in ASCII order, at most `limit` and
    /// [`crate::MAX_PAGE`]. `last` need not exist, nor be a legal name.
    pub async fn catalog(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositoryName>, StateError> {
        todo!("{last:?} {limit}")
    }

    /// Removes repositories made before `before` that hold nothing any more; says how many.
    pub async fn remove_empty_repositories(&self, before: SystemTime) -> Result<u64, StateError> {
        todo!("{before:?}")
    }
}
