//! When tags and manifests were pulled last, and how often.

use std::time::SystemTime;

use portpass_protocol::{Digest, RepositoryName};
use portpass_state::{ManifestPulls, PullCount, TagPulls};
use serde::Serialize;

use super::{AdminError, Installation, serialize_optional_time};

/// A tag or a manifest, and its pulls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullRecord {
    /// The tag; absent in a list of manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the tag names, or the manifest itself.
    pub digest: String,
    /// How often it was pulled.
    pub pulls: u64,
    /// When last, if it ever was.
    #[serde(serialize_with = "serialize_optional_time")]
    pub last_pulled: Option<SystemTime>,
}

/// What is listed of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullsOf {
    /// Its tags.
    Tags,
    /// Its manifests, by digest.
    Manifests,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterPull(String);

impl Installation {
    /// Some tags or manifests of a repository in order, and where the list goes on.
    pub async fn pulls(
        &self,
        repository: &str,
        of: PullsOf,
        after: Option<AfterPull>,
    ) -> Result<(Vec<PullRecord>, Option<AfterPull>), AdminError> {
        let name: RepositoryName = repository
            .parse()
            .map_err(|_| AdminError::InvalidRepository { text: repository.to_owned() })?;
        if !self.db.repository_exists(&name).await? {
            return Err(AdminError::UnknownRepository { name: name.to_string() });
        }
        let (records, more): (Vec<PullRecord>, _) = match of {
            PullsOf::Tags => {
                let after = after.as_ref().map(|AfterPull(tag)| tag.as_str());
                let page = self.db.tag_pulls(&name, after, PAGE).await?;
                (page.items.into_iter().map(PullRecord::from).collect(), page.more)
            }
            PullsOf::Manifests => {
                let after: Option<Digest> = after.and_then(|AfterPull(text)| text.parse().ok());
                let page = self.db.manifest_pulls(&name, after.as_ref(), PAGE).await?;
                (page.items.into_iter().map(PullRecord::from).collect(), page.more)
            }
        };
        let last = records.last().filter(|_| more);
        let next = last.map(|last| AfterPull(last.tag.as_ref().unwrap_or(&last.digest).clone()));
        Ok((records, next))
    }
}

impl From<TagPulls> for PullRecord {
    fn from(TagPulls { tag, digest, pulls }: TagPulls) -> Self {
        Self::new(Some(tag.to_string()), digest, pulls)
    }
}

impl From<ManifestPulls> for PullRecord {
    fn from(ManifestPulls { digest, pulls }: ManifestPulls) -> Self {
        Self::new(None, digest, pulls)
    }
}

impl PullRecord {
    fn new(tag: Option<String>, digest: Digest, count: Option<PullCount>) -> Self {
        Self {
            tag,
            digest: digest.to_string(),
            pulls: count.map_or(0, |count| count.pulls),
            last_pulled: count.map(|count| count.last),
        }
    }
}

const PAGE: usize = 1000;
