//! What the registry has changed, told to whoever keeps a record of it.

use std::{fmt, time::SystemTime};

use portpass_protocol::{ClientAddress, Digest, RepositoryName, RequestId, Tag};

/// A repository is another one now: it is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// Whose doing; empty for an anonymous caller.
    pub subject: String,
    /// Where the request came from, where the listener said so.
    pub address: Option<ClientAddress>,
    /// The request's id, where the listener gave it one.
    pub request: Option<RequestId>,
    /// Which.
    pub repository: RepositoryName,
    /// What became of it.
    pub change: Change,
}

/// What became of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A manifest is in it.
    ManifestPushed {
        /// Which.
        digest: Digest,
        /// What names it from now on.
        tags: Vec<Tag>,
    },
    /// A manifest is not in it any more.
    ManifestDeleted {
        /// Which.
        digest: Digest,
        /// What named it.
        tags: Vec<Tag>,
    },
    /// A tag is gone.
    TagDeleted {
        /// Which.
        tag: Tag,
    },
    /// It does not hold a blob any more.
    BlobDeleted {
        /// Which.
        digest: Digest,
    },
    /// It holds a blob that another one holds.
    BlobMounted {
        /// Which.
        digest: Digest,
        /// By whom it was held.
        from: RepositoryName,
    },
}

/// Is told of what has changed, before the client is.
pub trait Witness: fmt::Debug + Send + Sync {
    /// Must not wait: the client does.
    fn saw(&self, event: Event);
}

/// Nobody keeps a record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Witness for Nobody {
    fn saw(&self, _: Event) {}
}
