//! Tags: names of manifests in a repository.

use portpass_protocol::{RepositoryName, Tag};

use crate::{Db, Deletion, Page, StateError};

impl Db {
    /// The tags of a repository after `last` in ASCII order, at most `limit` and
    /// [`crate::MAX_PAGE`]; `None` for a repository that does not exist. `last` need not exist, nor
    /// be a legal tag.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<Tag>>, StateError> {
        todo!("{repository} {last:?} {limit}")
    }

    /// Removes a tag and leaves its manifest.
    pub async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Deletion, StateError> {
        todo!("{repository} {tag}")
    }
}
