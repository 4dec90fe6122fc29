//! Copies images between registries, folders and archives.
//!
//! ```text
//! Source ── root ──> VerifiedManifest ── an index? every image below it, or the one for a platform
//!                       |
//!            for each image: blobs (in parallel, each once) ──> its manifest
//!                       |       offer ── Present, Mounted ──> nothing is sent
//!                       |             └─ Missing(BlobWriter) ──> gets the source's bytes
//!            the index after its images, the name last ──> Target
//! ```
//!
//! A target gets only what it does not have. An interrupted transfer leaves complete content, and
//! partial blobs that the next run resumes.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    mem,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use portpass_protocol::{Digest, MediaType, manifest::Descriptor};
use tokio::sync::{OnceCell, Semaphore};

mod endpoint;
mod error;
mod known;
mod monitor;
mod platform;
mod progress;
mod registry;
mod selection;
#[cfg(test)]
mod tests;
mod verified;

pub use endpoint::{
    BlobOffer, BlobWriter, Companion, Content, NameChange, Presence, Source, Target,
};
pub use error::{Error, LayoutError, MemberFault};
pub use known::KnownBlobs;
pub use platform::{Platform, PlatformError};
pub use progress::{NoProgress, Progress, Step};
pub use registry::RemoteImage;
pub use selection::Selection;
pub use verified::VerifiedManifest;

use monitor::ContentMonitor;

/// Copies one image or index from a source to a target.
#[derive(Debug)]
pub struct Transfer<'a> {
    /// Where the image comes from.
    pub source: &'a dyn Source,
    /// Where the image goes.
    pub target: &'a dyn Target,
    /// Which images of an index.
    pub selection: Selection,
    /// Whether signatures and other manifests about the images come along.
    pub companions: Companions,
    /// How many blobs are copied at the same time.
    pub jobs: NonZeroUsize,
    /// The wait before an interrupted blob is retried; longer each time.
    pub pause: Duration,
    /// Gets the events of the transfer.
    pub progress: Arc<dyn Progress>,
}

/// Whether manifests about the copied images are copied with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companions {
    /// All that the source has about an image, and about that in turn.
    Copied,
    /// None.
    LeftOut,
}

/// The result of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Digest of the copied image or index.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Whether the name changed.
    pub named: NameChange,
    /// How many manifests and indexes were written.
    pub manifests: u64,
    /// The blobs.
    pub blobs: Blobs,
}

/// How many blobs were copied, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blobs {
    /// Blobs that were sent.
    pub transferred: u64,
    /// Blobs that the target had.
    pub held: u64,
    /// Blobs that were mounted from another repository.
    pub mounted: u64,
    /// Bytes sent, including those of interrupted attempts.
    pub bytes: u64,
}

impl<'a> Transfer<'a> {
    /// Copies everything, without progress events, with [`JOBS`] blobs at a time.
    pub fn new(source: &'a dyn Source, target: &'a dyn Target) -> Self {
        Self {
            source,
            target,
            selection: Selection::Everything,
            companions: Companions::LeftOut,
            jobs: JOBS,
            pause: PAUSE,
            progress: Arc::new(NoProgress),
        }
    }

    /// Runs the transfer.
    ///
    /// # Errors
    /// The source or the target fails, or content is not what its descriptor says. The target's name
    /// then is as it was.
    pub async fn run(&self) -> Result<Transferred, Error> {
        let root = self.selection.root(self.source).await?;
        self.target.accepts(&root)?;
        let run = Run {
            transfer: self,
            kept: self.selection.kept(&root)?,
            outermost: *root.digest(),
            jobs: Semaphore::new(self.jobs.get()),
            blobs: Once::default(),
            images: Once::default(),
            subjects: Mutex::new(vec![*root.digest()]),
            tally: Mutex::default(),
            bytes: Arc::default(),
        };
        run.copy_children(&root, 0).await?;
        run.copy_companions().await?;
        let named = self.target.name(&root).await.map_err(|error| self.explained(error))?;
        if named == NameChange::Updated {
            self.progress.manifest(&root.descriptor());
            run.count(|tally| tally.manifests += 1);
        }
        let Tally { manifests, mut blobs } = run.tally();
        blobs.bytes = run.bytes.load(Ordering::Relaxed);
        let (digest, media_type) = (*root.digest(), root.media_type());
        Ok(Transferred { digest, media_type, named, manifests, blobs })
    }

    /// A registry that looks for all images of an index says of one that is missing, not why it is.
    fn explained(&self, error: Error) -> Error {
        match (&self.selection, error) {
            (Selection::Sparse(_), Error::Registry(error))
                if error.status().is_some_and(|status| status.is_client_error()) =>
            {
                Error::Sparse { error }
            }
            (_, error) => error,
        }
    }
}

/// A transfer while it runs.
struct Run<'a> {
    transfer: &'a Transfer<'a>,
    /// Which images of the outermost index are copied; all if nothing is said.
    kept: Option<HashSet<Digest>>,
    outermost: Digest,
    jobs: Semaphore,
    /// Two images of an index may have the same layer; it goes once. One of another length is
    /// another one, which nobody has.
    blobs: Once<(Digest, u64)>,
    /// Indexes may name the same image, and each other's; it is looked at once. Else a few short
    /// indexes that name one image a thousand times each would keep us busy for ever.
    images: Once<Digest>,
    /// What was looked at, and has not been asked about yet: others may be about it.
    subjects: Mutex<Vec<Digest>>,
    tally: Mutex<Tally>,
    bytes: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    manifests: u64,
    blobs: Blobs,
}

impl Run<'_> {
    /// Everything that a manifest points at, so that it can be written itself.
    fn copy_children<'r>(
        &'r self,
        manifest: &'r VerifiedManifest,
        depth: usize,
    ) -> BoxFuture<'r, Result<(), Error>> {
        Box::pin(async move {
            let links = manifest.links();
            if depth > MAX_DEPTH {
                return Err(Error::LimitExceeded { digest: self.outermost, limit: DEPTH });
            }
            if links.manifests.len() > MAX_MANIFESTS {
                return Err(Error::LimitExceeded { digest: *manifest.digest(), limit: LENGTH });
            }
            if depth == 0 && !manifest.media_type().is_index() {
                let held = self.transfer.target.presence(&manifest.descriptor()).await?;
                if held == Presence::Complete {
                    self.count_present(links.blobs());
                    return Ok(());
                }
            }
            let jobs = self.transfer.jobs.get();
            let kept = |image: &&Descriptor| match &self.kept {
                Some(kept) if depth == 0 => kept.contains(&image.digest),
                _ => true,
            };
            let images = links.manifests.iter().filter(kept);
            let images = images.map(|image| self.image(image, depth + 1));
            run_all(images, jobs).await?;
            // More wait for a job than there are jobs, so that none is ever idle.
            run_all(links.blobs().map(|blob| self.blob(blob)), jobs * 2).await
        })
    }

    /// One image of an index, unless it is on its way already; then waits for that.
    fn image<'r>(
        &'r self,
        image: &'r Descriptor,
        depth: usize,
    ) -> BoxFuture<'r, Result<(), Error>> {
        Box::pin(async move {
            // No digest can be below itself, so nobody waits for who waits for them.
            let Some(once) = self.images.of(image.digest, MAX_IMAGES) else {
                return Err(Error::LimitExceeded { digest: self.outermost, limit: NUMBER });
            };
            once.get_or_try_init(|| self.copy_image(image, depth)).await.copied()
        })
    }

    /// One image of an index, with all that it points at.
    async fn copy_image(&self, image: &Descriptor, depth: usize) -> Result<(), Error> {
        let Transfer { source, target, progress, .. } = self.transfer;
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner).push(image.digest);
        let held = target.presence(image).await?;
        if held == Presence::Complete {
            return Ok(());
        }
        let manifest = source.manifest(image).await?;
        self.copy_children(&manifest, depth).await?;
        if held == Presence::Absent {
            target.put(&manifest).await?;
            progress.manifest(image);
            self.count(|tally| tally.manifests += 1);
        }
        Ok(())
    }

    /// Everything that is about what was copied, and about that in turn. It comes before the name, for
    /// who pulls by the name may want to see a signature.
    ///
    /// One round after the other: what is about an image may point at it as well, and must not wait
    /// for itself.
    async fn copy_companions(&self) -> Result<(), Error> {
        if self.transfer.companions == Companions::LeftOut {
            return Ok(());
        }
        let mut asked = HashSet::new();
        loop {
            let mut subjects =
                mem::take(&mut *self.subjects.lock().unwrap_or_else(PoisonError::into_inner));
            subjects.retain(|subject| asked.insert(*subject));
            if subjects.is_empty() {
                return Ok(());
            }
            let about = subjects.iter().map(|subject| self.copy_companions_of(subject));
            run_all(about, self.transfer.jobs.get()).await?;
        }
    }

    /// What is about one manifest, one after the other: a list may have to be written for each.
    fn copy_companions_of<'r>(&'r self, subject: &'r Digest) -> BoxFuture<'r, Result<(), Error>> {
        Box::pin(async move {
            let Transfer { source, target, .. } = self.transfer;
            for companion in source.companions(subject).await? {
                let descriptor = companion.descriptor();
                self.image(descriptor, 1).await?;
                let manifest = source.manifest(descriptor).await?;
                target.attach(&companion, &manifest).await?;
            }
            Ok(())
        })
    }

    /// One blob, unless it is on its way already; then waits for that.
    fn blob<'r>(&'r self, blob: &'r Descriptor) -> BoxFuture<'r, Result<(), Error>> {
        Box::pin(async move {
            let Some(once) = self.blobs.of((blob.digest, blob.size), MAX_BLOBS) else {
                return Err(Error::LimitExceeded { digest: self.outermost, limit: BLOBS });
            };
            let moved = once.get_or_try_init(async || {
                // Only working tasks count as a job, not waiting ones.
                let _job = self.jobs.acquire().await.ok();
                self.copy_blob(blob).await
            });
            moved.await.copied()
        })
    }

    /// Offers a blob until it has arrived, or too often.
    async fn copy_blob(&self, blob: &Descriptor) -> Result<(), Error> {
        let Transfer { target, progress, pause, .. } = self.transfer;
        let mut tries = 1;
        loop {
            match self.offer_blob(blob).await {
                Err(error) if error.is_transient() && tries < target.max_attempts() => {
                    progress.blob(blob, Step::Interrupted { error: &error });
                    // What lasted for a moment is over at once; what lasts longer wants patience.
                    let pause = pause.saturating_mul(tries - 1).max(error.retry_after());
                    tokio::time::sleep(pause).await;
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }

    async fn offer_blob(&self, blob: &Descriptor) -> Result<(), Error> {
        let Transfer { source, target, progress, .. } = self.transfer;
        let writer = match target.offer(blob).await? {
            BlobOffer::Present => {
                self.count_present([blob]);
                return Ok(());
            }
            BlobOffer::Mounted => {
                progress.blob(blob, Step::Mounted);
                self.count(|tally| tally.blobs.mounted += 1);
                return Ok(());
            }
            BlobOffer::Missing(writer) => writer,
        };
        progress.blob(blob, Step::Started { from: writer.offset() });
        let content = source.blob(blob, writer.offset()).await?;
        let monitor = ContentMonitor::new(blob, Arc::clone(progress), Arc::clone(&self.bytes));
        let filled = writer.write_all(monitor.wrap(content)).await;
        // The target only saw that nothing came any more; the source knows why.
        filled.map_err(|error| monitor.broken().unwrap_or(error))?;
        progress.blob(blob, Step::Done);
        self.count(|tally| tally.blobs.transferred += 1);
        Ok(())
    }

    fn count_present<'b>(&self, blobs: impl IntoIterator<Item = &'b Descriptor>) {
        for blob in blobs {
            self.transfer.progress.blob(blob, Step::AlreadyPresent);
            self.count(|tally| tally.blobs.held += 1);
        }
    }

    fn count(&self, add: impl FnOnce(&mut Tally)) {
        add(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is done once, however many ask for it.
#[derive(Debug)]
struct Once<K>(Mutex<HashMap<K, Arc<OnceCell<()>>>>);

impl<K> Default for Once<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Once<K> {
    /// Where those who ask for the same meet; `None` if there are too many different ones.
    fn of(&self, key: K, limit: usize) -> Option<Arc<OnceCell<()>>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limit && !known.contains_key(&key) {
            return None;
        }
        Some(Arc::clone(known.entry(key).or_default()))
    }
}

/// Runs them all, some at once; the first that fails ends the others.
async fn run_all<'r>(
    work: impl Iterator<Item = BoxFuture<'r, Result<(), Error>>>,
    at_once: usize,
) -> Result<(), Error> {
    let work: Vec<_> = work.collect();
    stream::iter(work).buffer_unordered(at_once).try_collect().await
}

/// Blobs at a time by default.
pub const JOBS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
const PAUSE: Duration = Duration::from_secs(1);
/// Indexes below an index that are followed.
const MAX_DEPTH: usize = 4;
const DEPTH: &str = "four nested indexes";
/// Images of one index.
const MAX_MANIFESTS: usize = 1024;
const LENGTH: &str = "1024 images of one index";
/// Images and indexes of one transfer.
const MAX_IMAGES: usize = 16_384;
const NUMBER: &str = "16384 images in all";
/// Blobs of one transfer.
const MAX_BLOBS: usize = 262_144;
const BLOBS: &str = "262144 blobs in all";
