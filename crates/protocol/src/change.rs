//! What becomes of a repository, as whoever changes it tells whoever keeps a record of it.

use crate::{Digest, RepositoryName, Tag};

/// What became of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryChange {
    /// A manifest is in it.
    ManifestPushed {
        /// Which.
        digest: Digest,
        /// What names it from now on.
        tags: Vec<Tag>,
        /// The manifest that it refers to, of which it is a signature or another referrer.
        subject: Option<Digest>,
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
