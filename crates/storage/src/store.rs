//! The seam between the registry and its bytes.

use std::{
    collections::BTreeSet, error::Error, fmt, io, ops::Range, pin::Pin, sync::Arc, time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use portpass_protocol::{Digest, DigestAlgorithm, HashState, Hasher};
use serde::{Deserialize, Serialize};

use crate::hashers::Hashers;

/// The bytes of a request or of a blob, in pieces.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Why a stream of bytes ended early.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// Where the names of new objects come from: 128 random bits at each call.
pub type Keys = Arc<dyn Fn() -> u128 + Send + Sync>;

/// Keeps blobs: directories, memory, object stores.
///
/// Objects are written under a fresh name and never renamed; what is in them is never overwritten, and
/// nothing is written to a blob. Which of them are blobs, and of whom, is not known here: whoever calls
/// keeps [`Upload`] and [`Location`] in rows, and an object that no row names is
/// [swept](crate::gc::sweep).
#[async_trait]
pub trait BlobStore: Inventory + fmt::Debug + Send + Sync {
    /// Starts an upload that is hashed with `algorithm` as it arrives.
    async fn begin(&self, algorithm: DigestAlgorithm) -> Result<Upload, StoreError>;

    /// Writes `body` behind what `upload` holds. What the answer names is durable.
    ///
    /// A body that breaks off is no error: what had arrived is kept.
    ///
    /// # Errors
    /// When the store fails. Then nothing of `body` is kept, and `upload` is as good as before.
    async fn append(&self, upload: Upload, body: BodyStream) -> Result<Appended, StoreError>;

    /// The same upload, which is hashed with `algorithm` too from its first byte on. What it holds is read for that
    /// once, and never again, as long as what this returns stands in the upload's row: whatever is appended to it is
    /// hashed with both.
    async fn hashed_with(
        &self,
        upload: Upload,
        algorithm: DigestAlgorithm,
    ) -> Result<Upload, StoreError>;

    /// Makes a blob of all that was appended, provided that it is what `expected` says. The blob is
    /// durable when this returns, and `upload` is still whole: it is let go of by discarding
    /// [`Committed::rest`] once the blob's row is written.
    async fn commit(&self, upload: &Upload, expected: &Digest) -> Result<Committed, CommitError>;

    /// Removes what `upload` holds and `keep` does not. `upload` must not stand in a row, now or later: what it has
    /// written behind an object that both name is taken back, unless somebody else writes there, or has made a blob of
    /// it.
    async fn discard(&self, upload: Upload, keep: Option<&Upload>) -> Result<(), StoreError>;

    /// How many bytes each of these objects has, as the store finds it now; `None` for one that is not there.
    async fn lengths(&self, objects: Vec<Location>) -> Result<Vec<Option<u64>>, StoreError>;

    /// The bytes at `range` (offsets from, and up to but without) of a blob that has `length` bytes.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when it is not there, or has another length: then none of its bytes can be trusted.
    async fn open(
        &self,
        blob: &Location,
        length: u64,
        range: Range<u64>,
    ) -> Result<Content, StoreError>;

    /// Removes a blob. One that is not there counts as removed. Those who read it may finish.
    async fn delete(&self, blob: &Location) -> Result<(), StoreError>;

    /// Takes an object out of sight, as [`BlobStore::delete`] does, but keeps its bytes where a person can get them
    /// back, until [`BlobStore::empty_trash`] removes them.
    async fn set_aside(&self, object: &Location, now: SystemTime) -> Result<(), StoreError>;

    /// Removes what was set aside before `before`, give or take a day; says how many objects.
    async fn empty_trash(&self, before: SystemTime) -> Result<u64, StoreError>;
}

/// Whether an object is there with all its bytes, and no more.
///
/// # Errors
/// When the store cannot tell.
pub async fn is_whole(
    store: &dyn BlobStore,
    blob: Location,
    size: u64,
) -> Result<bool, StoreError> {
    Ok(store.lengths(vec![blob]).await? == [Some(size)])
}

/// What a store holds, whether or not a row names it.
#[async_trait]
pub trait Inventory {
    /// The next objects after `cursor`, each object once in a walk from `None` to the end.
    async fn list(&self, cursor: Option<Cursor>) -> Result<Listing, StoreError>;
}

/// How far a walk through an [`Inventory`] has come; only the store that gave it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

/// Some of the objects in a store.
#[derive(Debug, Clone)]
pub struct Listing {
    /// In no particular order.
    pub objects: Vec<Object>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// One object in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub location: Location,
    /// Bytes.
    pub length: u64,
    /// When it was last written to.
    pub written: SystemTime,
}

/// Where a blob lies: the name of its object. Only the store that gave it knows what it means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location(String);

impl Location {
    /// As it stands in the blob's row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An upload in progress: how much there is, what it hashes to so far, and where it lies. Any
/// process that knows the store can go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    pub(crate) length: u64,
    pub(crate) hash: HashState,
    /// By another algorithm, once a finish has asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) also: Option<HashState>,
    pub(crate) place: UploadData,
}

impl Upload {
    /// An upload of nothing yet.
    pub(crate) fn empty(algorithm: DigestAlgorithm) -> Self {
        let hash = Hasher::new(algorithm).state();
        Self { length: 0, hash, also: None, place: UploadData::Segments(Vec::new()) }
    }

    /// Bytes that have arrived.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What it was begun with, and is hashed with as it arrives.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.hash.algorithm()
    }

    /// Whether a [`BlobStore::commit`] to a digest of this algorithm reads nothing again.
    pub fn is_hashed_with(&self, algorithm: DigestAlgorithm) -> bool {
        self.algorithm() == algorithm
            || self.also.as_ref().is_some_and(|also| also.algorithm() == algorithm)
    }

    /// The objects that hold it.
    pub fn locations(&self) -> impl Iterator<Item = &Location> {
        self.segments().iter().map(|segment| &segment.location)
    }

    /// The row's form of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, texts and lists of them: there is nothing that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads [`Upload::to_bytes`].
    ///
    /// # Errors
    /// When these are other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(bytes).map_err(|source| StoreError::DamagedUpload { source })
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        match &self.place {
            UploadData::Segments(segments) => segments,
        }
    }

    /// The digest of all that has arrived, if it was hashed with `algorithm`.
    pub(crate) fn digest(&self, algorithm: DigestAlgorithm) -> Result<Option<Digest>, StoreError> {
        Ok(self.hashers()?.finish(algorithm))
    }

    pub(crate) fn hashers(&self) -> Result<Hashers, StoreError> {
        Hashers::restore(&self.hash, self.also.as_ref()).ok_or(StoreError::DamagedHash)
    }

    /// This upload, all of which `hasher` has seen.
    pub(crate) fn also_hashed(self, hasher: &Hasher) -> Self {
        Self { also: Some(hasher.state()), ..self }
    }

    /// This upload, with what was written to an object behind it: a new one, or its last.
    pub(crate) fn grown(mut self, written: Segment, hashers: &Hashers) -> Self {
        self.length += written.length;
        (self.hash, self.also) = hashers.states();
        let UploadData::Segments(segments) = &mut self.place;
        match segments.last_mut() {
            Some(last) if last.location == written.location => last.length += written.length,
            _ => segments.push(written),
        }
        self
    }

    /// What this upload has written behind a segment of `keep`, in the same object: the segment as it is here, and as
    /// it is there. There is one at most, for an upload goes on in the last.
    pub(crate) fn behind(&self, keep: &Self) -> Option<(Segment, Segment)> {
        keep.segments().iter().find_map(|kept| {
            let is_longer = |written: &&Segment| {
                written.location == kept.location && written.length > kept.length
            };
            let written = self.segments().iter().find(is_longer)?;
            Some((written.clone(), kept.clone()))
        })
    }

    /// The objects of this upload that `keep` does not name.
    pub(crate) fn without(&self, keep: Option<&Self>) -> Vec<Location> {
        let kept: BTreeSet<&Location> = keep.into_iter().flat_map(Self::locations).collect();
        self.locations().filter(|location| !kept.contains(location)).cloned().collect()
    }
}

/// Where an upload's bytes lie while it is in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UploadData {
    /// Objects, in order. Of each of them as much counts as its segment says.
    Segments(Vec<Segment>),
}

/// What one appended body left in an object, or several in a row did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) location: Location,
    pub(crate) length: u64,
}

/// An upload after a body was appended to it.
#[derive(Debug)]
pub struct Appended {
    /// All that has arrived.
    pub upload: Upload,
    /// How the body ended.
    pub end: End,
}

/// How a body ended.
#[derive(Debug)]
pub enum End {
    /// All of it arrived.
    Complete,
    /// It broke off: the client went away, or the connection did.
    Broken(BodyError),
}

/// A finished blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Where it lies.
    pub location: Location,
    /// What the upload holds beside the blob: to be discarded once a row names the blob.
    pub rest: Upload,
}

/// The bytes of a blob. A store that sends clients elsewhere adds a variant, and whoever serves
/// blobs does not compile until it knows that too.
pub enum Content {
    /// Few bytes: they leave in one write with their header.
    Whole(Bytes),
    /// Many bytes, read as they are asked for.
    Stream {
        /// How many they are.
        length: u64,
        /// The bytes.
        stream: BodyStream,
    },
}

impl Content {
    /// How many bytes these are.
    pub fn length(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Stream { length, .. } => *length,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.length())
    }
}

/// Why a store could not do what it was asked for. Never names a path: what operators need is in
/// the [`source`](Error::source) and in the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the quota is used up.
    #[error("no space is left for blobs; free some or give the store more")]
    Full {
        /// As the system put it.
        source: io::Error,
    },
    /// Bodies hold all the files that they may.
    #[error("blobs in progress use all {limit} files; no more can be opened now")]
    Busy {
        /// How many they may hold.
        limit: usize,
    },
    /// A row names an object that is not there, or that has another length than the row says.
    #[error("object {location} is missing, or has another length than its row says")]
    Lost {
        /// The object.
        location: Location,
    },
    /// Reading or writing failed.
    #[error("blob storage failed to {doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// As the system put it.
        source: io::Error,
    },
    /// The upload lies in more objects than its row can name.
    #[error("an upload has at most {limit} objects; send larger chunks")]
    TooManySegments {
        /// How many are kept.
        limit: usize,
    },
    /// Offsets that the blob does not have.
    #[error("bytes {start} to {end} are not in a blob of {length} bytes")]
    OutOfRange {
        /// The first.
        start: u64,
        /// Behind the last.
        end: u64,
        /// How many there are.
        length: u64,
    },
    /// A location that this store never gave.
    #[error("{location:?} is no name of an object in this store")]
    ForeignLocation {
        /// What was asked for.
        location: Location,
    },
    /// A row of an upload that cannot be read.
    #[error("the saved state of an upload is damaged")]
    DamagedUpload {
        /// Where.
        source: serde_json::Error,
    },
    /// An upload whose hash cannot be gone on with.
    #[error("the saved hash of an upload is damaged")]
    DamagedHash,
    /// No name could be found that is not in use: the source of names repeats itself.
    #[error("the source of object names repeats itself")]
    NoFreshName,
}

/// Why an upload did not become a blob.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The bytes are others than the digest says.
    #[error("the content is {computed}, not what was expected")]
    Mismatch {
        /// What the bytes are.
        computed: Digest,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proves that `computed` is what was expected.
pub(crate) fn matching(computed: Digest, expected: &Digest) -> Result<(), CommitError> {
    if computed == *expected { Ok(()) } else { Err(CommitError::Mismatch { computed }) }
}

/// How many segments an upload may have; every one of them stands in its row.
pub(crate) const SEGMENTS: usize = 10_000;

/// Proves that one more segment fits.
pub(crate) fn room(upload: &Upload) -> Result<(), StoreError> {
    if upload.segments().len() < SEGMENTS {
        Ok(())
    } else {
        Err(StoreError::TooManySegments { limit: SEGMENTS })
    }
}
