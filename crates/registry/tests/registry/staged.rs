//! A store that waits where it is told to, so that two requests meet as a test wants them to, and that can be full.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use portpass_protocol::{Digest, DigestAlgorithm};
use portpass_registry::{Deletes, Guard};
use portpass_storage::{
    Appended, BlobStore, BodyStream, CommitError, Committed, Content, Cursor, FsStore, Inventory,
    Listing, Location, MemoryStore, StoreError, Upload,
};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::harness::{Harness, keys, machine_time};

/// Where a request can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before the bytes of an upload are looked at.
    BeforeCommit,
    /// When a blob lies in the store and no row names it yet.
    AfterCommit,
    /// When the row of a blob has been read, and the blob is about to be.
    BeforeOpen,
    /// Before it is looked whether objects are there.
    BeforeLengths,
}

/// Any store, with points to wait at.
#[derive(Debug)]
pub(crate) struct Staged {
    store: Box<dyn BlobStore>,
    barrier: Mutex<Option<Arc<Barrier>>>,
    /// While this is set, nothing can be written.
    pub(crate) full: AtomicBool,
    _directory: Option<TempDir>,
}

/// All who come to its point wait until it is lifted, by dropping it.
#[derive(Debug)]
struct Barrier {
    point: Point,
    waiting: AtomicUsize,
    lifted: watch::Sender<bool>,
}

/// Lifts the barrier when it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<Barrier>);

impl Held {
    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Acquire)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lifted.send_replace(true);
    }
}

impl Staged {
    /// Registries over both kinds of store.
    pub(crate) async fn both() -> [(Arc<Self>, Harness); 2] {
        let directory = tempfile::tempdir().unwrap();
        let files = FsStore::open(directory.path(), keys()).unwrap();
        [Self::of(Box::new(files), Some(directory)).await, Self::in_memory().await]
    }

    /// A registry whose blobs are in memory.
    pub(crate) async fn in_memory() -> (Arc<Self>, Harness) {
        let memory = MemoryStore::new(keys(), Arc::new(machine_time));
        Self::of(Box::new(memory), None).await
    }

    async fn of(store: Box<dyn BlobStore>, directory: Option<TempDir>) -> (Arc<Self>, Harness) {
        let (barrier, full) = (Mutex::new(None), AtomicBool::new(false));
        let staged = Arc::new(Self { store, barrier, full, _directory: directory });
        let harness = Harness::new(staged.clone(), Guard::Open, Deletes::Enabled).await;
        (staged, harness)
    }

    /// From now on, whoever comes to this point waits.
    pub(crate) fn hold(&self, point: Point) -> Held {
        let lifted = watch::Sender::new(false);
        let barrier = Arc::new(Barrier { point, waiting: AtomicUsize::new(0), lifted });
        *self.barrier.lock().unwrap() = Some(barrier.clone());
        Held(barrier)
    }

    /// From now on nobody waits any more, but for those who do already.
    pub(crate) fn let_pass(&self) {
        *self.barrier.lock().unwrap() = None;
    }

    async fn pass(&self, point: Point) {
        let barrier = self.barrier.lock().unwrap().clone();
        let Some(barrier) = barrier.filter(|barrier| barrier.point == point) else { return };
        let mut lifted = barrier.lifted.subscribe();
        barrier.waiting.fetch_add(1, Ordering::Release);
        lifted.wait_for(|lifted| *lifted).await.unwrap();
    }
}

#[async_trait]
impl Inventory for Staged {
    async fn list(&self, cursor: Option<Cursor>) -> Result<Listing, StoreError> {
        self.store.list(cursor).await
    }
}

#[async_trait]
impl BlobStore for Staged {
    async fn begin(&self, algorithm: DigestAlgorithm) -> Result<Upload, StoreError> {
        self.store.begin(algorithm).await
    }

    async fn append(&self, upload: Upload, body: BodyStream) -> Result<Appended, StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Full { source: std::io::ErrorKind::StorageFull.into() });
        }
        self.store.append(upload, body).await
    }

    async fn hashed_with(
        &self,
        upload: Upload,
        algorithm: DigestAlgorithm,
    ) -> Result<Upload, StoreError> {
        self.store.hashed_with(upload, algorithm).await
    }

    async fn commit(&self, upload: &Upload, expected: &Digest) -> Result<Committed, CommitError> {
        self.pass(Point::BeforeCommit).await;
        let committed = self.store.commit(upload, expected).await;
        self.pass(Point::AfterCommit).await;
        committed
    }

    async fn discard(&self, upload: Upload, keep: Option<&Upload>) -> Result<(), StoreError> {
        self.store.discard(upload, keep).await
    }

    async fn open(
        &self,
        blob: &Location,
        length: u64,
        range: Range<u64>,
    ) -> Result<Content, StoreError> {
        self.pass(Point::BeforeOpen).await;
        self.store.open(blob, length, range).await
    }

    async fn lengths(&self, objects: Vec<Location>) -> Result<Vec<Option<u64>>, StoreError> {
        self.pass(Point::BeforeLengths).await;
        self.store.lengths(objects).await
    }

    async fn delete(&self, blob: &Location) -> Result<(), StoreError> {
        self.store.delete(blob).await
    }

    async fn set_aside(&self, object: &Location, now: SystemTime) -> Result<(), StoreError> {
        self.store.set_aside(object, now).await
    }

    async fn empty_trash(&self, before: SystemTime) -> Result<u64, StoreError> {
        self.store.empty_trash(before).await
    }
}
