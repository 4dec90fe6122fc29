//! Why an authorized request was not served.

use std::time::Duration;

use portpass_protocol::{Digest, Reference, RepositoryName, Tag, manifest::ManifestError};
use portpass_state::{Db, StateError, UploadId};

use crate::{access::Denied, groups::GroupsUnavailable, manifest_budget::BudgetExhausted};

/// What handlers answer with when they do not serve. Which status and code each one is, stands in
/// [`respond`](crate::respond) and nowhere else.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    // Theirs.
    /// The blob is not in this repository, whatever may be in others.
    #[error("blob {digest} is not in repository {name}")]
    BlobUnknown {
        /// The repository.
        name: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The repository holds the blob, and its bytes are lost. To be told like one that it does not hold, so that it is
    /// pushed again.
    #[error(
        "the bytes of blob {digest} are lost; repository {name} has it again when it is pushed again"
    )]
    BlobLost {
        /// The repository.
        name: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The client went away, or its connection did, before its body had arrived.
    #[error("the request's body broke off: {reason}")]
    BodyBroken {
        /// As the connection put it.
        reason: String,
    },
    /// A `Content-Range` that cannot be read, or does not fit the body's length.
    #[error("content range of upload {id}: {reason}")]
    ContentRange {
        /// The session.
        id: UploadId,
        /// What is wrong with it.
        reason: String,
    },
    /// Deleting is switched off for the whole registry.
    #[error("deleting is switched off in this registry")]
    DeletesDisabled {
        /// What remains, for the header `Allow`.
        allow: &'static str,
    },
    /// The content is not what its digest says.
    #[error("the content is {computed}, not {expected}")]
    DigestMismatch {
        /// What it is.
        computed: Box<Digest>,
        /// What it was said to be.
        expected: Digest,
    },
    /// The body is not as long as was said.
    #[error("the body has {received} bytes, and {announced} were announced")]
    Length {
        /// What the header said.
        announced: u64,
        /// What came.
        received: u64,
    },
    /// `n` is more than this registry allows.
    #[error("`n` must be at most {limit}")]
    CatalogNumber {
        /// The most that may be asked for.
        limit: usize,
    },
    /// A manifest refers to what is not in this repository.
    #[error("the manifest refers to {}, which repository {name} does not have", list(digests))]
    ManifestBlobUnknown {
        /// The repository.
        name: RepositoryName,
        /// At least one, in the manifest's order.
        digests: Vec<Digest>,
    },
    /// Not a manifest that can be kept.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// A manifest came without `Content-Type`.
    #[error("a manifest needs a `Content-Type`")]
    ManifestUntyped,
    /// More than a manifest may have.
    #[error("a manifest has at most {} bytes", portpass_protocol::manifest::MAX_LENGTH)]
    ManifestTooLong,
    /// The manifest or tag is not in this repository.
    #[error("manifest {reference} is not in repository {name}")]
    ManifestUnknown {
        /// The repository.
        name: RepositoryName,
        /// What was asked for.
        reference: Reference,
    },
    /// A tag that a rule makes immutable, to be moved or deleted.
    #[error(
        "tag {tag} of repository {name} is immutable by rule `{rule}`: push under another tag, or ask for an exception from the rule"
    )]
    TagImmutable {
        /// The repository.
        name: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What the configuration calls the rule.
        rule: Box<str>,
    },
    /// The grant has ended while the body was still coming.
    #[error("{}", .0.denial)]
    TokenExpired(Box<Denied>),
    /// There is no such repository.
    #[error("there is no repository {name}")]
    NameUnknown {
        /// The repository.
        name: RepositoryName,
    },
    /// Nothing may change at the moment.
    #[error("the registry is read-only at the moment: pulls work, pushes and deletes do not")]
    ReadOnly {
        /// What remains, for the header `Allow`.
        allow: &'static str,
    },
    /// A `Range` of a blob that holds none of its bytes.
    #[error("the requested range has none of the blob's {length} bytes")]
    RangeNotSatisfiable {
        /// How many bytes the blob has.
        length: u64,
    },
    /// Whoever pushes has begun too much that it has not finished.
    #[error(
        "there are {} unfinished uploads of this account or address: finish or cancel some; the registry removes an upload that nobody continues for a day",
        Db::UNFINISHED_UPLOADS
    )]
    TooManyUploads,
    /// Bytes that do not follow what has arrived, or somebody else is sending right now. The answer
    /// tells how far the upload is (OC11).
    #[error("upload {id} holds {length} bytes: {reason}")]
    UploadOffset {
        /// The repository.
        name: RepositoryName,
        /// The session.
        id: UploadId,
        /// How many bytes have arrived.
        length: u64,
        /// What is wrong.
        reason: String,
    },
    /// There is no such session in this repository.
    #[error("there is no upload {id} in repository {name}")]
    UploadUnknown {
        /// The repository.
        name: RepositoryName,
        /// The session.
        id: UploadId,
    },

    // Nobody's.
    /// Too much is under way for this body to be held too.
    #[error(
        "there was no room for this manifest within {} s: too many are in progress", waited.as_secs()
    )]
    ManifestsBusy {
        /// For how long.
        waited: Duration,
    },

    /// Who is in which group is not known now.
    #[error(transparent)]
    Groups(#[from] GroupsUnavailable),

    // Ours.
    /// The listener did not say how the client reached us.
    #[error("the listener put no origin into the request's extensions")]
    Origin,
    /// The database does not answer, or says what it cannot say.
    #[error(transparent)]
    State(#[from] StateError),
    /// The bytes cannot be read or written.
    #[error(transparent)]
    Store(#[from] portpass_storage::StoreError),
    /// A task of ours came to a bad end.
    #[error("a task that was {doing} came to a bad end")]
    Task {
        /// What it was doing.
        doing: &'static str,
    },
}

impl From<BudgetExhausted> for Error {
    fn from(BudgetExhausted { waited }: BudgetExhausted) -> Self {
        Self::ManifestsBusy { waited }
    }
}

/// Digests for a sentence: the first three, and how many more.
fn list(digests: &[Digest]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = digests.iter().take(SHOWN).map(Digest::to_string).collect();
    match digests.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
