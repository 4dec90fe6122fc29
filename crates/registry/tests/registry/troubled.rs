//! A store with the troubles that stores have.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use portpass_protocol::{Digest, DigestAlgorithm};
use portpass_storage::{
    Appended, BlobStore, BodyStream, CommitError, Committed, Content, Cursor, Inventory, Listing,
    Location, MemoryStore, StoreError, Upload,
};
use tokio::sync::RwLock;

use crate::harness::keys;

/// A store that can be full, and that can be halted after a commit.
#[derive(Debug)]
pub(crate) struct Troubled {
    store: MemoryStore,
    /// While this is set, nothing can be written.
    pub(crate) full: AtomicBool,
    /// While this is held for writing, no commit returns.
    pub(crate) gate: RwLock<()>,
    /// Whether something was committed, if it has not returned.
    pub(crate) committed: AtomicBool,
}

impl Troubled {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryStore::new(keys(), Arc::new(|| SystemTime::UNIX_EPOCH)),
            full: AtomicBool::new(false),
            gate: RwLock::new(()),
            committed: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl Inventory for Troubled {
    async fn list(&self, cursor: Option<Cursor>) -> Result<Listing, StoreError> {
        self.store.list(cursor).await
    }
}

#[async_trait]
impl BlobStore for Troubled {
    async fn begin(&self, algorithm: DigestAlgorithm) -> Result<Upload, StoreError> {
        self.store.begin(algorithm).await
    }

    async fn append(&self, upload: Upload, body: BodyStream) -> Result<Appended, StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Full { source: std::io::ErrorKind::StorageFull.into() });
        }
        self.store.append(upload, body).await
    }

    async fn commit(&self, upload: &Upload, expected: &Digest) -> Result<Committed, CommitError> {
        let committed = self.store.commit(upload, expected).await;
        self.committed.store(true, Ordering::Relaxed);
        drop(self.gate.read().await);
        committed
    }

    async fn discard(&self, upload: Upload, keep: Option<&Upload>) -> Result<(), StoreError> {
        self.store.discard(upload, keep).await
    }

    async fn open(
        &self,
        blob: &Location,
        range: Option<Range<u64>>,
    ) -> Result<Content, StoreError> {
        self.store.open(blob, range).await
    }

    async fn delete(&self, blob: &Location) -> Result<(), StoreError> {
        self.store.delete(blob).await
    }
}
