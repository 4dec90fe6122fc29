//! Who is in which group, for rules that make exceptions for groups.

use std::fmt;

use async_trait::async_trait;

/// Knows the groups of accounts.
#[async_trait]
pub trait GroupDirectory: fmt::Debug + Send + Sync {
    /// The groups that an account is in now; none for an account that nobody knows.
    ///
    /// # Errors
    /// When a source of accounts does not answer.
    async fn groups_of(&self, subject: &str) -> Result<Vec<String>, GroupsUnavailable>;
}

/// A source of accounts does not answer, so nobody can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the groups of the account are not known: {reason}")]
pub struct GroupsUnavailable {
    /// As the source put it, for the log.
    pub reason: String,
}

/// Where accounts have no groups: the registry trusts another token service, or a password file.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGroups;

#[async_trait]
impl GroupDirectory for NoGroups {
    async fn groups_of(&self, _: &str) -> Result<Vec<String>, GroupsUnavailable> {
        Ok(Vec::new())
    }
}
