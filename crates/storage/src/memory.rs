//! Blobs in memory: for tests and for trying things out.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use portpass_protocol::{Digest, DigestAlgorithm, Hasher};

use crate::store::{
    Appended, BlobStore, BodyStream, CommitError, Committed, Content, Cursor, End, Inventory, Keys,
    Listing, Location, Object, Segment, StoreError, Upload, matching, room,
};

/// Keeps every object in memory, and nothing beyond the life of the process.
pub struct MemoryStore {
    keys: Keys,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    objects: Mutex<BTreeMap<Location, Held>>,
    trash: Mutex<BTreeMap<Location, SystemTime>>,
}

#[derive(Clone)]
struct Held {
    bytes: Bytes,
    written: SystemTime,
}

impl MemoryStore {
    /// An empty store, whose objects are dated by `clock`.
    pub fn new(keys: Keys, clock: Arc<dyn Fn() -> SystemTime + Send + Sync>) -> Self {
        Self { keys, clock, objects: Mutex::default(), trash: Mutex::default() }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Location, Held>> {
        // Every change is one call on the map: a panic elsewhere cannot have left it half done.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, bytes: Bytes) -> Result<Location, StoreError> {
        let location = Location::from(format!("{:032x}", (self.keys)()));
        let mut objects = self.objects();
        if objects.contains_key(&location) {
            return Err(StoreError::NoFreshName);
        }
        objects.insert(location.clone(), Held { bytes, written: (self.clock)() });
        Ok(location)
    }

    fn get(&self, location: &Location) -> Result<Bytes, StoreError> {
        let objects = self.objects();
        let held = objects.get(location);
        let held = held.ok_or_else(|| StoreError::Lost { location: location.clone() })?;
        Ok(held.bytes.clone())
    }

    /// The bytes of all segments.
    fn segments(&self, upload: &Upload) -> Result<Vec<Bytes>, StoreError> {
        upload.segments().iter().map(|segment| self.segment(segment)).collect()
    }

    /// The bytes of a segment, all that the row says.
    fn segment(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let bytes = self.get(&segment.location)?;
        if bytes.len() as u64 == segment.length {
            Ok(bytes)
        } else {
            Err(StoreError::Lost { location: segment.location.clone() })
        }
    }
}

#[async_trait]
impl Inventory for MemoryStore {
    async fn list(&self, _: Option<Cursor>) -> Result<Listing, StoreError> {
        let objects = self.objects();
        let objects = objects.iter().map(|(location, held)| Object {
            location: location.clone(),
            length: held.bytes.len() as u64,
            written: held.written,
        });
        Ok(Listing { objects: objects.collect(), next: None })
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn begin(&self, algorithm: DigestAlgorithm) -> Result<Upload, StoreError> {
        Ok(Upload::empty(algorithm))
    }

    async fn append(&self, upload: Upload, mut body: BodyStream) -> Result<Appended, StoreError> {
        room(&upload)?;
        let mut bytes = BytesMut::new();
        let end = loop {
            match body.next().await {
                Some(Ok(piece)) => bytes.extend_from_slice(&piece),
                Some(Err(broken)) => break End::Broken(broken),
                None => break End::Complete,
            }
        };
        if bytes.is_empty() {
            return Ok(Appended { upload, end });
        }
        let mut hashers = upload.hashers()?;
        hashers.update(&bytes);
        let length = bytes.len() as u64;
        let segment = Segment { location: self.put(bytes.freeze())?, length };
        Ok(Appended { upload: upload.grown(segment, &hashers), end })
    }

    async fn hashed_with(
        &self,
        upload: Upload,
        algorithm: DigestAlgorithm,
    ) -> Result<Upload, StoreError> {
        if upload.is_hashed_with(algorithm) {
            return Ok(upload);
        }
        let hasher = hash(&self.segments(&upload)?, algorithm);
        Ok(upload.also_hashed(&hasher))
    }

    async fn commit(&self, upload: &Upload, expected: &Digest) -> Result<Committed, CommitError> {
        let segments = self.segments(upload)?;
        let algorithm = expected.algorithm();
        let computed =
            upload.digest(algorithm)?.unwrap_or_else(|| hash(&segments, algorithm).finish());
        matching(computed, expected)?;
        if let [only] = upload.segments() {
            let rest = Upload::empty(upload.algorithm());
            return Ok(Committed { location: only.location.clone(), rest });
        }
        let location = self.put(segments.concat().into())?;
        Ok(Committed { location, rest: upload.clone() })
    }

    async fn discard(&self, upload: Upload, keep: Option<&Upload>) -> Result<(), StoreError> {
        let mut objects = self.objects();
        for location in upload.without(keep) {
            objects.remove(&location);
        }
        Ok(())
    }

    async fn lengths(&self, objects: Vec<Location>) -> Result<Vec<Option<u64>>, StoreError> {
        let there = self.objects();
        let length = |object| there.get(&object).map(|held| held.bytes.len() as u64);
        Ok(objects.into_iter().map(length).collect())
    }

    async fn open(
        &self,
        blob: &Location,
        length: u64,
        range: Range<u64>,
    ) -> Result<Content, StoreError> {
        let bytes = self.get(blob)?;
        if bytes.len() as u64 != length {
            return Err(StoreError::Lost { location: blob.clone() });
        }
        let out_of_range = || StoreError::OutOfRange { start: range.start, end: range.end, length };
        let at = |offset: u64| usize::try_from(offset).map_err(|_| out_of_range());
        let (start, end) = (at(range.start)?, at(range.end)?);
        if start > end || end > bytes.len() {
            return Err(out_of_range());
        }
        let bytes = bytes.slice(start..end);
        if bytes.len() <= WHOLE {
            return Ok(Content::Whole(bytes));
        }
        let length = bytes.len() as u64;
        Ok(Content::Stream { length, stream: Box::pin(stream::iter([Ok(bytes)])) })
    }

    async fn delete(&self, blob: &Location) -> Result<(), StoreError> {
        self.objects().remove(blob);
        Ok(())
    }

    /// Nobody can get bytes back from memory by hand: only the name is kept.
    async fn set_aside(&self, object: &Location, now: SystemTime) -> Result<(), StoreError> {
        self.objects().remove(object);
        self.trash.lock().unwrap_or_else(PoisonError::into_inner).insert(object.clone(), now);
        Ok(())
    }

    async fn empty_trash(&self, before: SystemTime) -> Result<u64, StoreError> {
        let mut trash = self.trash.lock().unwrap_or_else(PoisonError::into_inner);
        let there = trash.len();
        trash.retain(|_, since| *since >= before);
        Ok((there - trash.len()) as u64)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} objects)", self.objects().len())
    }
}

fn hash(segments: &[Bytes], algorithm: DigestAlgorithm) -> Hasher {
    let mut hasher = Hasher::new(algorithm);
    for bytes in segments {
        hasher.update(bytes);
    }
    hasher
}

/// Above this many bytes, a blob is given as a stream, as by the other stores.
const WHOLE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    fn store() -> (MemoryStore, ()) {
        (MemoryStore::new(conformance::keys(), conformance::clock()), ())
    }

    conformance::suite!(store);
}
