//! From a body into a file: while one batch is hashed and written, the next arrives.

use std::{
    fs::File,
    io::{self, IoSlice, Write as _},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use portpass_protocol::Hasher;
use tokio::task::spawn_blocking;

use super::{
    done,
    files::{Files, Fresh, failed_to},
};
use crate::store::{Appended, BodyStream, End, Segment, StoreError, Upload};

/// Writes `body` into a file of its own and syncs it. No file is made for an empty body.
pub(super) async fn append(
    files: &Arc<Files>,
    upload: Upload,
    mut body: BodyStream,
) -> Result<Appended, StoreError> {
    let hasher = upload.hasher()?;
    let mut batch = gather(&mut body).await;
    if batch.pieces.is_empty() {
        return Ok(Appended { upload, end: batch.end.unwrap_or(End::Complete) });
    }
    let files = Arc::clone(files);
    let mut writer = done(spawn_blocking(move || Writer::start(files, hasher)).await)?;
    let end = loop {
        let Batch { pieces, end } = batch;
        if let Some(end) = end {
            writer = done(spawn_blocking(move || writer.write_last(&pieces)).await)?;
            break end;
        }
        let (written, next) = tokio::join!(writer.write(pieces), gather(&mut body));
        (writer, batch) = (written?, next);
    };
    let segment = Segment { location: writer.fresh.location, length: writer.length };
    Ok(Appended { upload: upload.grown(segment, &writer.hasher), end })
}

/// Some pieces of a body, as they came.
#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    /// `None` while more may come.
    end: Option<End>,
}

/// The next pieces, enough of them to be worth a write.
async fn gather(body: &mut BodyStream) -> Batch {
    let mut batch = Batch::default();
    let mut length = 0;
    while length < BATCH && batch.pieces.len() < BATCH_PIECES {
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

/// A file that is being written, and the hash up to its end.
struct Writer {
    files: Arc<Files>,
    fresh: Fresh,
    hasher: Hasher,
    length: u64,
}

impl Writer {
    fn start(files: Arc<Files>, hasher: Hasher) -> Result<Self, StoreError> {
        let fresh = files.create()?;
        Ok(Self { files, fresh, hasher, length: 0 })
    }

    /// Hashes on one thread what is written on another.
    async fn write(self, pieces: Vec<Bytes>) -> Result<Self, StoreError> {
        let Self { files, fresh, mut hasher, length } = self;
        let same_pieces = pieces.clone();
        let hashing = spawn_blocking(move || {
            update(&mut hasher, &same_pieces);
            hasher
        });
        let writing = spawn_blocking(move || match write_all(&fresh.file, &pieces) {
            Ok(()) => Ok((files, fresh, length + total(&pieces))),
            Err(error) => {
                files.give_up(&fresh);
                Err(failed_to("write a file")(error))
            }
        });
        let (hasher, written) = (done(hashing.await), done(writing.await));
        let (files, fresh, length) = written?;
        Ok(Self { files, fresh, hasher, length })
    }

    /// Hashes and writes these pieces, the last ones, and syncs the file.
    fn write_last(mut self, pieces: &[Bytes]) -> Result<Self, StoreError> {
        update(&mut self.hasher, pieces);
        self.length += total(pieces);
        let written = write_all(&self.fresh.file, pieces).map_err(failed_to("write a file"));
        match written.and_then(|()| self.files.settle(&self.fresh)) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.files.give_up(&self.fresh);
                Err(error)
            }
        }
    }
}

fn update(hasher: &mut Hasher, pieces: &[Bytes]) {
    for piece in pieces {
        hasher.update(piece);
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

/// What is held of a body before it is written: two batches at most.
const BATCH: usize = 512 * 1024;
/// Bodies may come a byte at a time.
const BATCH_PIECES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use portpass_protocol::DigestAlgorithm;

    use super::*;
    use crate::conformance::keys;

    /// Every write to `/dev/full` fails as it does on a full disk.
    #[tokio::test]
    async fn a_full_disk_is_named_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(Files::open(directory.path().to_owned(), keys()).unwrap());
        let on_a_full_disk = || {
            let mut writer =
                Writer::start(Arc::clone(&files), Hasher::new(DigestAlgorithm::Sha256)).unwrap();
            writer.fresh.file = File::options().write(true).open("/dev/full").unwrap();
            writer
        };
        let pieces = vec![Bytes::from_static(b"too much")];
        let last = on_a_full_disk().write_last(&pieces).map(drop);
        let first = on_a_full_disk().write(pieces).await.map(drop);
        for failed in [last, first] {
            assert!(matches!(failed, Err(StoreError::Full { .. })));
        }
        let mut left = fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
        assert!(left.all(|entry| fs::read_dir(entry.path()).unwrap().next().is_none()));
    }
}
