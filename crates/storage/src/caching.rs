//! A store that keeps in memory what it has read of small blobs: configs, attestations, signatures.

use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use portpass_protocol::{Digest, DigestAlgorithm};
use quick_cache::{Weighter, sync::Cache};

use crate::store::{
    Appended, BlobStore, BodyStream, CommitError, Committed, Content, Cursor, Inventory, Listing,
    Location, StoreError, Upload,
};

/// Another store, and what was read from it lately. Blobs never change, so what was read once is right
/// for as long as the object is there.
pub struct CachingStore {
    inner: Arc<dyn BlobStore>,
    recent: Cache<Location, (Range<u64>, Bytes), ByLength>,
}

impl CachingStore {
    /// Keeps some megabytes of what `inner` gives.
    pub fn new(inner: Arc<dyn BlobStore>) -> Self {
        let entries = usize::try_from(MEMORY / TYPICAL).unwrap_or(usize::MAX);
        Self { inner, recent: Cache::with_weighter(entries, MEMORY, ByLength) }
    }
}

#[async_trait]
impl Inventory for CachingStore {
    async fn list(&self, cursor: Option<Cursor>) -> Result<Listing, StoreError> {
        self.inner.list(cursor).await
    }
}

#[async_trait]
impl BlobStore for CachingStore {
    async fn begin(&self, algorithm: DigestAlgorithm) -> Result<Upload, StoreError> {
        self.inner.begin(algorithm).await
    }

    async fn append(&self, upload: Upload, body: BodyStream) -> Result<Appended, StoreError> {
        self.inner.append(upload, body).await
    }

    async fn hashed_with(
        &self,
        upload: Upload,
        algorithm: DigestAlgorithm,
    ) -> Result<Upload, StoreError> {
        self.inner.hashed_with(upload, algorithm).await
    }

    async fn commit(&self, upload: &Upload, expected: &Digest) -> Result<Committed, CommitError> {
        self.inner.commit(upload, expected).await
    }

    async fn discard(&self, upload: Upload, keep: Option<&Upload>) -> Result<(), StoreError> {
        self.inner.discard(upload, keep).await
    }

    /// The store itself is asked: what is remembered may be gone.
    async fn lengths(&self, objects: Vec<Location>) -> Result<Vec<Option<u64>>, StoreError> {
        self.inner.lengths(objects).await
    }

    async fn open(
        &self,
        blob: &Location,
        length: u64,
        range: Range<u64>,
    ) -> Result<Content, StoreError> {
        if let Some((kept, bytes)) = self.recent.get(blob)
            && kept == range
        {
            return Ok(Content::Whole(bytes));
        }
        let content = self.inner.open(blob, length, range.clone()).await?;
        if let Content::Whole(bytes) = &content
            && bytes.len() <= SMALL
        {
            self.recent.insert(blob.clone(), (range, bytes.clone()));
        }
        Ok(content)
    }

    async fn delete(&self, blob: &Location) -> Result<(), StoreError> {
        let deleted = self.inner.delete(blob).await;
        self.recent.remove(blob);
        deleted
    }

    async fn set_aside(&self, object: &Location, now: SystemTime) -> Result<(), StoreError> {
        let set_aside = self.inner.set_aside(object, now).await;
        self.recent.remove(object);
        set_aside
    }

    async fn empty_trash(&self, before: SystemTime) -> Result<u64, StoreError> {
        self.inner.empty_trash(before).await
    }
}

impl fmt::Debug for CachingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CachingStore({:?})", self.inner)
    }
}

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<Location, (Range<u64>, Bytes)> for ByLength {
    fn weight(&self, location: &Location, (_, bytes): &(Range<u64>, Bytes)) -> u64 {
        KEY + (location.as_str().len() + bytes.len()) as u64
    }
}

/// Bytes that are kept, at most.
const MEMORY: u64 = 8 * 1024 * 1024;
/// Longer pieces are not kept: the system reads them as fast as they are sent.
const SMALL: usize = 64 * 1024;
/// Of what is kept under one name; a first guess at how much there will be.
const TYPICAL: u64 = 4 * 1024;
/// What the cache's own book-keeping takes for a name.
const KEY: u64 = 150;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conformance::{clock, keys, pieces, suite},
        memory::MemoryStore,
    };

    fn store() -> (CachingStore, ()) {
        (CachingStore::new(Arc::new(MemoryStore::new(keys(), clock()))), ())
    }

    suite!(store);

    #[tokio::test]
    async fn what_was_read_is_not_asked_for_again() {
        let inner = Arc::new(MemoryStore::new(keys(), clock()));
        let store = CachingStore::new(inner.clone());
        let upload = store.begin(DigestAlgorithm::Sha256).await.unwrap();
        let upload = store.append(upload, pieces(b"config", 3)).await.unwrap().upload;
        let blob = store.commit(&upload, &Digest::sha256(b"config")).await.unwrap().location;
        let read = async |range| match store.open(&blob, 6, range).await {
            Ok(Content::Whole(bytes)) => Some(bytes),
            _ => None,
        };
        assert_eq!(read(0..6).await.as_deref(), Some(&b"config"[..]));
        inner.delete(&blob).await.unwrap();
        assert_eq!(read(0..6).await.as_deref(), Some(&b"config"[..]), "it is remembered");
        assert_eq!(read(0..3).await, None, "another part of it is not");
        store.delete(&blob).await.unwrap();
        assert_eq!(read(0..6).await, None, "what was deleted is forgotten");
    }
}
