//! Blobs in a directory.
//!
//! ```text
//! ROOT/ab/ab3f…  (0600, or 0400, in directories of 0700)   one file for each object, named by its key
//!                 an adopted one may be a link (`adopt`)
//! ROOT/trash/    what a sweep set aside
//! ROOT/portpass.store                                      whose store it is
//! ```
//! Only one upload writes to a file, and nobody once it is a blob: an upload's file is made read-only then, for requests
//! that were under way. When a name is given out, its file and the directory have been synced. A file that no row names
//! is what a crash or a lost race left.

pub mod adopt;
mod append;
mod buffers;
mod commit;
mod files;
mod open_files;
pub mod owner;
mod read;
pub mod replica;
mod tail;
mod trash;

use std::{
    fmt, fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use portpass_protocol::{Digest, DigestAlgorithm};
use tokio::task::spawn_blocking;

pub use self::open_files::OpenFiles;
use self::{append::ActiveAppends, buffers::Buffers, files::Files, owner::Claim};
use crate::store::{
    Appended, BlobStore, BodyStream, CommitError, Committed, Content, Cursor, Inventory, Keys,
    Listing, Location, StoreError, Upload,
};

/// Keeps each object in a file of its own.
#[derive(Clone)]
pub struct FsStore {
    files: Arc<Files>,
    buffers: Arc<Buffers>,
    arriving: Arc<ActiveAppends>,
    open_files: OpenFiles,
    /// Held for as long as anybody may write.
    claim: Option<Arc<Claim>>,
}

impl FsStore {
    /// The store in the directory `root`, which is made if it is not there. Names of new files come
    /// from `keys`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(root: impl Into<PathBuf>, keys: Keys) -> Result<Self, StoreError> {
        Ok(Self::of(Files::open(root.into(), keys)?.probed()))
    }

    /// The same, without trying out what its file system can do: for looking, when it may be somebody else's.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open_unprobed(root: impl Into<PathBuf>, keys: Keys) -> Result<Self, StoreError> {
        Ok(Self::of(Files::open(root.into(), keys)?))
    }

    fn of(files: Files) -> Self {
        Self {
            files: Arc::new(files),
            buffers: Arc::default(),
            arriving: Arc::default(),
            open_files: OpenFiles::unlimited(),
            claim: None,
        }
    }

    /// The same, which nobody else can claim as long as it is there.
    #[must_use]
    pub fn claimed(self, claim: Arc<Claim>) -> Self {
        Self { claim: Some(claim), ..self }
    }

    /// The same, which has no more files open than these.
    #[must_use]
    pub fn with_open_files(self, open_files: OpenFiles) -> Self {
        Self { open_files, ..self }
    }

    /// Runs what waits for the disk where waiting harms nobody, and is over in a moment.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> T + Send + 'static,
    ) -> T {
        let files = Arc::clone(&self.files);
        let brief = self.open_files.briefly().await;
        let work = move || {
            let _open = brief;
            work(&files)
        };
        done(spawn_blocking(work).await)
    }
}

/// Where the file of an object lies below `root`, for who reads it without the store; `None` for a name that no store
/// gave.
pub fn object_path(root: &Path, object: &Location) -> Option<PathBuf> {
    files::path_in(root, object.as_str())
}

/// The result of a blocking task. They are never cancelled, so a failure is a panic: passed on.
fn done<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    match joined {
        Ok(result) => result,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

#[async_trait]
impl Inventory for FsStore {
    async fn list(&self, cursor: Option<Cursor>) -> Result<Listing, StoreError> {
        self.blocking(move |files| files.list(cursor.as_ref())).await
    }
}

#[async_trait]
impl BlobStore for FsStore {
    async fn begin(&self, algorithm: DigestAlgorithm) -> Result<Upload, StoreError> {
        Ok(Upload::empty(algorithm))
    }

    async fn append(&self, upload: Upload, body: BodyStream) -> Result<Appended, StoreError> {
        append::append(&self.files, &self.arriving, &self.open_files, upload, body).await
    }

    async fn hashed_with(
        &self,
        upload: Upload,
        algorithm: DigestAlgorithm,
    ) -> Result<Upload, StoreError> {
        self.blocking(move |files| commit::hashed_with(files, upload, algorithm)).await
    }

    async fn commit(&self, upload: &Upload, expected: &Digest) -> Result<Committed, CommitError> {
        let (upload, expected) = (upload.clone(), *expected);
        self.blocking(move |files| commit::commit(files, upload, &expected)).await
    }

    async fn discard(&self, upload: Upload, keep: Option<&Upload>) -> Result<(), StoreError> {
        let (unwanted, behind) = (upload.without(keep), keep.and_then(|keep| upload.behind(keep)));
        if unwanted.is_empty() && behind.is_none() {
            return Ok(());
        }
        self.blocking(move |files| {
            if let Some((written, kept)) = behind {
                files.truncate(&written, &kept);
            }
            unwanted.iter().try_for_each(|location| files.remove(location))
        })
        .await
    }

    async fn lengths(&self, objects: Vec<Location>) -> Result<Vec<Option<u64>>, StoreError> {
        self.blocking(move |files| objects.iter().map(|object| files.length(object)).collect())
            .await
    }

    async fn open(
        &self,
        blob: &Location,
        length: u64,
        range: Range<u64>,
    ) -> Result<Content, StoreError> {
        let in_one_piece = read::is_one_piece(&range);
        let admission = self.open_files.read(in_one_piece).await?;
        let (files, buffers) = (Arc::clone(&self.files), Arc::clone(&self.buffers));
        let blob = blob.clone();
        let open = move || read::open(&files, &buffers, &blob, length, range, admission);
        done(spawn_blocking(open).await)
    }

    async fn delete(&self, blob: &Location) -> Result<(), StoreError> {
        let blob = blob.clone();
        self.blocking(move |files| files.remove(&blob)).await
    }

    async fn set_aside(&self, object: &Location, now: SystemTime) -> Result<(), StoreError> {
        let object = object.clone();
        self.blocking(move |files| files.set_aside(&object, now)).await
    }

    async fn empty_trash(&self, before: SystemTime) -> Result<u64, StoreError> {
        self.blocking(move |files| files.empty_trash(before)).await
    }
}

impl fmt::Debug for FsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed = if self.claim.is_some() { ", claimed" } else { "" };
        write!(f, "FsStore({}{claimed})", self.files.root().display())
    }
}

/// Makes `path` and what leads to it, readable by us alone.
fn make_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests;
