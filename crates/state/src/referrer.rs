//! Referrers: the manifests whose subject is a digest.

use portpass_protocol::{Digest, RepositoryName};

use crate::{Db, Page, StateError};

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
        todo!("{repository} {subject} {artifact_type:?} {last:?} {limit}")
    }
}
