//! From a body into a file: while one batch is hashed and written, the next arrives, and what was
//! written before goes to the disk.

use std::{
    fs::File,
    io::{self, IoSlice, Write as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    done,
    files::{Files, Tail, failed_to},
    open_files::OpenFiles,
};
use crate::{
    hashers::Hashers,
    store::{Appended, BodyStream, End, Segment, StoreError, Upload, room},
};

/// Writes `body` behind the upload's last segment, or into a file of its own, and syncs it. No file is
/// made for an empty body.
pub(super) async fn append(
    files: &Arc<Files>,
    arriving: &ActiveAppends,
    open_files: &OpenFiles,
    upload: Upload,
    mut body: BodyStream,
) -> Result<Appended, StoreError> {
    let hashers = upload.hashers()?;
    let arriving = arriving.start();
    let first = gather(&mut body, &arriving).await;
    if first.pieces.is_empty() {
        return Ok(Appended { upload, end: first.end.unwrap_or(End::Complete) });
    }
    let _open = open_files.hold(FILES)?;
    let (opener, same_upload) = (Arc::clone(files), upload.clone());
    let tail = done(spawn_blocking(move || tail_of(&opener, &same_upload)).await)?;
    let writer = Writer::new(Arc::clone(files), tail, hashers);
    let (writer, end) = fill_or_abandon(writer, first, body, &arriving).await?;
    let segment = Segment { location: writer.tail.location, length: writer.length };
    Ok(Appended { upload: upload.grown(segment, &writer.hashers), end })
}

/// Where the next body of an upload is written.
fn tail_of(files: &Files, upload: &Upload) -> Result<Tail, StoreError> {
    if let Some(tail) = upload.segments().last().and_then(|last| files.resume(last)) {
        return Ok(tail);
    }
    room(upload)?;
    files.create()
}

/// Leaves nothing behind that nobody will hear of.
async fn fill_or_abandon(
    writer: Writer,
    first: Batch,
    body: BodyStream,
    arriving: &ActiveAppend<'_>,
) -> Result<(Writer, End), StoreError> {
    let (files, tail) = (Arc::clone(&writer.files), writer.tail.clone());
    match fill(writer, first, body, arriving).await {
        Ok(filled) => Ok(filled),
        Err(error) => {
            done(spawn_blocking(move || files.abandon(&tail)).await);
            Err(error)
        }
    }
}

/// Writes all batches, and syncs the file after the last.
async fn fill(
    mut writer: Writer,
    mut batch: Batch,
    mut body: BodyStream,
    arriving: &ActiveAppend<'_>,
) -> Result<(Writer, End), StoreError> {
    loop {
        let Batch { pieces, end } = batch;
        if let Some(end) = end {
            return Ok((writer.write_last(pieces).await?, end));
        }
        let (written, next) = tokio::join!(writer.write(pieces), gather(&mut body, arriving));
        (writer, batch) = (written?, next);
    }
}

/// How many bodies are under way.
#[derive(Default)]
pub(super) struct ActiveAppends(AtomicUsize);

impl ActiveAppends {
    fn start(&self) -> ActiveAppend<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        ActiveAppend(self)
    }
}

/// One of the bodies that are under way, until it is dropped.
struct ActiveAppend<'a>(&'a ActiveAppends);

impl ActiveAppend<'_> {
    /// How many bytes are enough for a batch of this body: fewer when many are under way.
    fn share(&self) -> usize {
        // This is one of them, so there is one at least.
        (BATCHES / self.0.0.load(Ordering::Relaxed)).clamp(SMALLEST_BATCH, BATCH)
    }
}

impl Drop for ActiveAppend<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Some pieces of a body, as they came.
#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    /// `None` while more may come.
    end: Option<End>,
}

/// The next pieces, enough of them to be worth a write.
async fn gather(body: &mut BodyStream, arriving: &ActiveAppend<'_>) -> Batch {
    let mut batch = Batch::default();
    let mut length = 0;
    while length < arriving.share() && batch.pieces.len() < BATCH_PIECES {
        match body.next().await {
            Some(Ok(piece)) if piece.is_empty() => {}
            Some(Ok(piece)) => {
                length += piece.len();
                batch.pieces.push(piece);
            }
            Some(Err(broken)) => {
                batch.end = Some(End::Broken(broken));
                break;
            }
            None => {
                batch.end = Some(End::Complete);
                break;
            }
        }
    }
    batch
}

/// A file that is being written, and what the upload hashes to up to its end.
struct Writer {
    files: Arc<Files>,
    tail: Tail,
    hashers: Hashers,
    /// What was written of this body.
    length: u64,
    /// Bytes that no sync was begun for.
    unsynced: u64,
    sync: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    fn new(files: Arc<Files>, tail: Tail, hashers: Hashers) -> Self {
        Self { files, tail, hashers, length: 0, unsynced: 0, sync: None }
    }

    /// Hashes on one thread what is written on another.
    async fn write(mut self, pieces: Vec<Bytes>) -> Result<Self, StoreError> {
        let (mut hashers, same_pieces) = (self.hashers, pieces.clone());
        let hashing = spawn_blocking(move || {
            update(&mut hashers, &same_pieces);
            hashers
        });
        let (file, length) = (Arc::clone(&self.tail.file), total(&pieces));
        let writing = spawn_blocking(move || write_all(&file, &pieces));
        self.hashers = done(hashing.await);
        done(writing.await).map_err(failed_to("write a file"))?;
        self.length += length;
        self.unsynced += length;
        self.sync_early().await?;
        Ok(self)
    }

    /// Has what was written go to the disk while more arrives, so that little is left to wait for
    /// at the end: neither by this upload, nor by what others sync meanwhile, for that a file system
    /// may have them wait for all that is on its way. Every failure counts: the system tells each of
    /// them once.
    async fn sync_early(&mut self) -> Result<(), StoreError> {
        let busy = self.sync.as_ref().is_some_and(|sync| !sync.is_finished());
        if !is_time_to_sync(self.unsynced, busy) {
            return Ok(());
        }
        self.synced().await?;
        let file = Arc::clone(&self.tail.file);
        self.sync = Some(spawn_blocking(move || file.sync_data()));
        self.unsynced = 0;
        Ok(())
    }

    /// Waits for the sync that was begun, if one was.
    async fn synced(&mut self) -> Result<(), StoreError> {
        match self.sync.take() {
            Some(sync) => done(sync.await).map_err(failed_to("sync a file")),
            None => Ok(()),
        }
    }

    /// Hashes and writes these pieces, the last ones, and syncs the file.
    async fn write_last(mut self, pieces: Vec<Bytes>) -> Result<Self, StoreError> {
        self.synced().await?;
        let write = move || {
            update(&mut self.hashers, &pieces);
            self.length += total(&pieces);
            write_all(&self.tail.file, &pieces).map_err(failed_to("write a file"))?;
            self.files.settle(&self.tail)?;
            Ok(self)
        };
        done(spawn_blocking(write).await)
    }
}

/// Whether to begin a sync, though the one before may have to be waited for.
fn is_time_to_sync(unsynced: u64, busy: bool) -> bool {
    unsynced >= if busy { UNSYNCED } else { SYNC_EARLY }
}

fn update(hashers: &mut Hashers, pieces: &[Bytes]) {
    for piece in pieces {
        hashers.update(piece);
    }
}

fn total(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Of a body two batches are held at most, one that is written and one that arrives. Each ends with the piece that
/// makes it this long.
const BATCH: usize = 512 * 1024;
/// So long are all together that arrive, as long as there are no more than 64 bodies.
const BATCHES: usize = 8 * BATCH;
const SMALLEST_BATCH: usize = BATCH / 8;
/// What is written before it is synced while more arrives.
const SYNC_EARLY: u64 = 4 * 1024 * 1024;
/// What is written at most while an earlier sync lasts: no body comes faster than the disk takes it.
const UNSYNCED: u64 = 8 * SYNC_EARLY;
/// What a body that arrives has open: its file, and the directory of a new one while its name is synced.
const FILES: usize = 2;
/// Bodies may come a byte at a time.
const BATCH_PIECES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use portpass_protocol::DigestAlgorithm;

    use super::*;
    use crate::conformance::{keys, pieces};

    #[test]
    fn a_sync_under_way_is_waited_for_only_when_the_disk_falls_behind() {
        assert!(!is_time_to_sync(SYNC_EARLY - 1, false));
        assert!(is_time_to_sync(SYNC_EARLY, false));
        assert!(!is_time_to_sync(SYNC_EARLY, true));
        assert!(is_time_to_sync(UNSYNCED, true));
    }

    #[test]
    fn many_bodies_have_smaller_batches() {
        let arriving = ActiveAppends::default();
        let shares = |count| {
            let all: Vec<ActiveAppend<'_>> = (0..count).map(|_| arriving.start()).collect();
            all.iter().map(ActiveAppend::share).sum::<usize>()
        };
        for (count, expected) in [(1, BATCH), (8, 8 * BATCH), (64, 8 * BATCH), (128, 16 * BATCH)] {
            assert_eq!(shares(count), expected, "{count} bodies");
        }
        assert!(shares(24) <= 8 * BATCH);
        assert_eq!(arriving.0.into_inner(), 0);
    }

    /// Every write to `/dev/full` fails as it does on a full disk.
    #[tokio::test]
    async fn a_full_disk_is_named_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(Files::open(directory.path().to_owned(), keys()).unwrap());
        let arriving = ActiveAppends::default();
        for length in [8, 3 * BATCH] {
            let mut tail = files.create().unwrap();
            tail.file = Arc::new(File::options().write(true).open("/dev/full").unwrap());
            let hashers = Upload::empty(DigestAlgorithm::Sha256).hashers().unwrap();
            let writer = Writer::new(Arc::clone(&files), tail, hashers);
            let mut body = pieces(&vec![0; length], 65_536);
            let arriving = arriving.start();
            let first = gather(&mut body, &arriving).await;
            let failed = fill_or_abandon(writer, first, body, &arriving).await.map(drop);
            assert!(matches!(failed, Err(StoreError::Full { .. })), "{length} bytes");
        }
        let mut left = fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
        assert!(left.all(|entry| fs::read_dir(entry.path()).unwrap().next().is_none()));
    }
}
