//! What a unit of work tells others, in the same transaction.

use std::{fmt, sync::Arc, time::SystemTime};

use portpass_protocol::{Digest, RepositoryName, Tag};

use crate::EventId;

/// What a unit of work is about to do.
#[derive(Debug, Clone, Copy)]
pub enum Announced<'a> {
    /// A manifest is put.
    ManifestPut {
        /// Which.
        digest: &'a Digest,
        /// Its media type, without parameters.
        media_type: &'a str,
        /// Its length in bytes.
        size: u64,
        /// What names it from now on.
        tags: &'a [Tag],
    },
    /// A manifest goes, and these tags with it.
    ManifestDeleted {
        /// Which.
        digest: &'a Digest,
        /// What named it.
        tags: &'a [Tag],
    },
    /// A tag goes.
    TagDeleted(&'a Tag),
    /// A blob is in the repository.
    BlobCommitted {
        /// Which.
        digest: &'a Digest,
        /// Length in bytes.
        size: u64,
    },
    /// A blob of another repository is.
    BlobMounted {
        /// Which.
        digest: &'a Digest,
        /// Length in bytes.
        size: u64,
        /// By whom it was held.
        from: &'a RepositoryName,
    },
    /// The repository lets go of a blob.
    BlobDeleted(&'a Digest),
}

/// An event for the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its name, random.
    pub id: EventId,
    /// When it happened.
    pub at: SystemTime,
    /// What happened, in the word that endpoints know.
    pub action: &'static str,
    /// Where.
    pub repository: RepositoryName,
    /// Of what it is about; empty where that is gone.
    pub media_type: String,
    /// All of it, as endpoints get it: a JSON object.
    pub document: String,
}

/// Makes events of what a unit of work does; none where nobody wants to be told.
#[derive(Clone)]
pub struct Announcer(Arc<Announce>);

type Announce = dyn Fn(&RepositoryName, Announced<'_>) -> Vec<NewEvent> + Send + Sync;

impl Announcer {
    /// One that asks this function.
    pub fn new(
        announce: impl Fn(&RepositoryName, Announced<'_>) -> Vec<NewEvent> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(announce))
    }

    pub(crate) fn events(&self, repository: &RepositoryName, what: Announced<'_>) -> Vec<NewEvent> {
        (self.0)(repository, what)
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announcer")
    }
}
