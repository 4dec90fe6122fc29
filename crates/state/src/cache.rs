//! What was read of repositories lately, for as long as no write can have changed it.
//!
//! ```text
//! read    slot of the repository: version 7, no write ends  ─> what was read at version 7 counts
//! write   … ends: nothing counts ─ ended: version 8         ─> what was read at version 7 never counts again
//! ```
//! Repositories share slots by their hash, so a write may make more be read again than it changes, never
//! less. What is kept is bounded in bytes; only what was found is kept.

use std::{
    fmt,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use portpass_protocol::{Digest, Reference, RepositoryName, Tag};
use quick_cache::{Weighter, sync::Cache};

use crate::{Blob, Manifest, Page, StateError};

/// What this process holds in memory. What other processes change has to be looked for.
pub(crate) struct RepositoryCache {
    slots: [Slot; SLOTS],
    pub(crate) blobs: Entries<(RepositoryName, Digest), Blob>,
    pub(crate) manifests: Entries<(RepositoryName, Reference), Manifest>,
    pub(crate) tags: Entries<(RepositoryName, String, usize), Arc<Page<Tag>>>,
}

/// Cached values of one kind, each with the version of its repository that it was read at.
pub(crate) struct Entries<K, V>(Cache<K, (u64, V), BySize>);

/// Some repositories' state.
#[derive(Debug, Default)]
struct Slot {
    /// Writes that are being ended: whether they count already, nobody can say.
    ending: AtomicU64,
    /// Writes that have ended.
    version: AtomicU64,
}

impl RepositoryCache {
    pub(crate) fn new() -> Self {
        Self {
            slots: std::array::from_fn(|_| Slot::default()),
            blobs: Entries::of(BLOBS),
            manifests: Entries::of(MANIFESTS),
            tags: Entries::of(TAGS),
        }
    }

    /// What is kept under `key`, or what `read` finds, which is kept for the next.
    pub(crate) async fn read<K, V>(
        &self,
        repository: &RepositoryName,
        kept: &Entries<K, V>,
        key: K,
        read: impl Future<Output = Result<Option<V>, StateError>>,
    ) -> Result<Option<V>, StateError>
    where
        K: Hash + Eq,
        V: MemorySize + Clone,
    {
        let slot = &self.slots[slot_of(repository)];
        let Some(version) = slot.version() else { return read.await };
        if let Some((at, value)) = kept.0.get(&key)
            && at == version
        {
            return Ok(Some(value));
        }
        let found = read.await?;
        if let Some(value) = &found {
            kept.0.insert(key, (version, value.clone()));
        }
        Ok(found)
    }

    fn of(&self, repositories: Changed) -> &[Slot] {
        match repositories {
            Changed::Slot(slot) => &self.slots[slot..=slot],
            Changed::All => &self.slots,
        }
    }
}

impl Slot {
    /// `None` while a write is being ended.
    fn version(&self) -> Option<u64> {
        // The version first: a write that begins to end behind this line raises it when it has.
        let version = self.version.load(SeqCst);
        (self.ending.load(SeqCst) == 0).then_some(version)
    }
}

/// Which repositories a write may change.
#[derive(Debug, Clone, Copy)]
enum Changed {
    All,
    Slot(usize),
}

/// A write to repositories that has not begun to end.
#[derive(Debug, Clone)]
pub(crate) struct PendingWrite {
    cache: Arc<RepositoryCache>,
    repositories: Changed,
}

impl PendingWrite {
    /// One that may change this repository.
    pub(crate) fn to_one(cache: &Arc<RepositoryCache>, repository: &RepositoryName) -> Self {
        let repositories = Changed::Slot(slot_of(repository));
        Self { cache: Arc::clone(cache), repositories }
    }

    /// One that may change any.
    pub(crate) fn to_any(cache: &Arc<RepositoryCache>) -> Self {
        Self { cache: Arc::clone(cache), repositories: Changed::All }
    }

    /// It is being ended from now on, until the answer is dropped.
    pub(crate) fn end(self) -> CommittingWrite {
        for slot in self.cache.of(self.repositories) {
            slot.ending.fetch_add(1, SeqCst);
        }
        CommittingWrite(self)
    }
}

/// A write that is being ended. Kept until it has, whatever becomes of whoever began it.
#[derive(Debug)]
#[must_use = "the write has ended when this is dropped"]
pub(crate) struct CommittingWrite(PendingWrite);

impl Drop for CommittingWrite {
    fn drop(&mut self) {
        for slot in self.0.cache.of(self.0.repositories) {
            // The version first, for the same reason as in `Slot::version`.
            slot.version.fetch_add(1, SeqCst);
            slot.ending.fetch_sub(1, SeqCst);
        }
    }
}

impl fmt::Debug for RepositoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (blobs, manifests) = (self.blobs.0.len(), self.manifests.0.len());
        write!(f, "RepositoryCache({blobs} blobs, {manifests} manifests)")
    }
}

impl<K: Hash + Eq, V: MemorySize + Clone> Entries<K, V> {
    fn of(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(entries, bytes, BySize))
    }
}

#[derive(Debug, Clone)]
struct BySize;

impl<K, V: MemorySize> Weighter<K, (u64, V)> for BySize {
    fn weight(&self, _key: &K, (_, value): &(u64, V)) -> u64 {
        KEY + value.memory_size()
    }
}

/// What a thing takes in memory, in bytes, roughly.
pub(crate) trait MemorySize {
    fn memory_size(&self) -> u64;
}

impl MemorySize for Blob {
    fn memory_size(&self) -> u64 {
        (size_of::<Self>() + self.location.len() + self.media_type.len()) as u64
    }
}

impl MemorySize for Manifest {
    fn memory_size(&self) -> u64 {
        (size_of::<Self>() + self.media_type.len() + self.bytes.len()) as u64
    }
}

impl MemorySize for Arc<Page<Tag>> {
    fn memory_size(&self) -> u64 {
        let items = self.items.iter().map(|tag| size_of::<Tag>() + tag.as_str().len());
        items.sum::<usize>() as u64
    }
}

fn slot_of(repository: &RepositoryName) -> usize {
    let mut hasher = DefaultHasher::new();
    repository.hash(&mut hasher);
    // Fewer slots than a byte has values would be the same.
    usize::from(hasher.finish().to_be_bytes()[0])
}

const SLOTS: usize = 256;

/// Bytes of what is kept, at most.
const BLOBS: u64 = 2 * 1024 * 1024;
const MANIFESTS: u64 = 6 * 1024 * 1024;
const TAGS: u64 = 2 * 1024 * 1024;

/// What the key and the cache's own book-keeping take beside a thing.
const KEY: u64 = 200;
/// Of a thing with its key; a first guess at how many there will be.
const TYPICAL: u64 = 1024;

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn blob(size: u64) -> Blob {
        Blob { location: "ab".to_owned(), size, media_type: "a/b".to_owned() }
    }

    /// Reads a blob whose row has this size now; says which size was seen.
    async fn seen(cache: &RepositoryCache, repository: &RepositoryName, size: u64) -> u64 {
        let key = (repository.clone(), Digest::sha256(b"blob"));
        let read = ready(Ok(Some(blob(size))));
        cache.read(repository, &cache.blobs, key, read).await.unwrap().unwrap().size
    }

    fn setting() -> (Arc<RepositoryCache>, RepositoryName) {
        (Arc::new(RepositoryCache::new()), "team/app".parse().unwrap())
    }

    #[tokio::test]
    async fn what_was_read_counts_until_a_write_begins_to_end() {
        let (cache, name) = setting();
        assert_eq!(seen(&cache, &name, 1).await, 1);
        assert_eq!(seen(&cache, &name, 2).await, 1);
        let pending = PendingWrite::to_one(&cache, &name);
        assert_eq!(seen(&cache, &name, 2).await, 1, "nothing has changed yet");
        let ending = pending.end();
        assert_eq!(seen(&cache, &name, 2).await, 2, "nobody knows, so the row is read");
        assert_eq!(seen(&cache, &name, 3).await, 3, "and what was read is not kept");
        drop(ending);
        assert_eq!(seen(&cache, &name, 4).await, 4);
        assert_eq!(seen(&cache, &name, 5).await, 4);
    }

    /// The row is read before a write, and kept after it: it must not count.
    #[tokio::test]
    async fn what_was_read_before_a_write_is_not_believed_after_it() {
        let (cache, name) = setting();
        let key = (name.clone(), Digest::sha256(b"blob"));
        let read = async {
            drop(PendingWrite::to_one(&cache, &name).end());
            Ok(Some(blob(1)))
        };
        let read = cache.read(&name, &cache.blobs, key, read).await.unwrap().unwrap();
        assert_eq!(read.size, 1);
        assert_eq!(seen(&cache, &name, 2).await, 2);
    }

    #[tokio::test]
    async fn writes_to_all_are_writes_to_each() {
        let (cache, name) = setting();
        assert_eq!(seen(&cache, &name, 1).await, 1);
        drop(PendingWrite::to_any(&cache).end());
        assert_eq!(seen(&cache, &name, 2).await, 2);
        // Another repository, of another slot, changes nothing here.
        let others = (0..).map(|n| format!("other{n}").parse::<RepositoryName>().unwrap());
        let mut others = others.filter(|other| slot_of(other) != slot_of(&name));
        drop(PendingWrite::to_one(&cache, &others.next().unwrap()).end());
        assert_eq!(seen(&cache, &name, 3).await, 2);
    }
}
