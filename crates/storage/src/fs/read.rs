//! From a file to whoever asked: what is in memory at once; from the first piece on that is not, each is read by a
//! thread while the one before is sent.

#[cfg(target_os = "linux")]
use std::io::IoSliceMut;
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
#[cfg(target_os = "linux")]
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking, yield_now};

use super::{
    buffers::Buffers,
    done,
    files::{Files, failed_to},
    open_files::Admission,
};
use crate::store::{BodyError, Content, Location, StoreError};

/// Opens a file, and reads it at once if it is small.
pub(super) fn open(
    files: &Files,
    buffers: &Arc<Buffers>,
    location: &Location,
    length: u64,
    range: Range<u64>,
    admission: Admission,
) -> Result<Content, StoreError> {
    let file = files.read(location)?;
    if file.metadata().map_err(failed_to("read a file"))?.len() != length {
        return Err(StoreError::Lost { location: location.clone() });
    }
    if range.start > range.end || range.end > length {
        return Err(StoreError::OutOfRange { start: range.start, end: range.end, length });
    }
    if is_one_piece(&range) {
        return read_at(&file, range).map(Content::Whole).map_err(failed_to("read a file"));
    }
    let length = range.end - range.start;
    let open = Open { file, _admission: admission };
    Ok(Content::Stream { length, stream: Box::pin(pieces(open, range, buffers)) })
}

/// Whether it is read at once, and the file closed.
pub(super) fn is_one_piece(range: &Range<u64>) -> bool {
    range.end.saturating_sub(range.start) <= Buffers::LENGTH as u64
}

/// A file, and the leave to have it open.
struct Open {
    file: File,
    _admission: Admission,
}

/// No thread is held while the receiver is slow, and none is needed for a file that the system has in memory.
fn pieces(
    open: Open,
    range: Range<u64>,
    buffers: &Arc<Buffers>,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    let buffers = Arc::clone(buffers);
    let reader = Reader { open: Arc::new(open), left: range, ahead: None, turn: 0, buffers };
    stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|piece| (piece, reader)))
    })
}

struct Reader {
    open: Arc<Open>,
    /// What was neither read nor is a thread at.
    left: Range<u64>,
    /// The next piece, once there was one that was not in memory. Threads read all that is left then: pieces that
    /// are in memory by chance would be small ones.
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
    /// How many pieces were copied here.
    turn: u64,
    buffers: Arc<Buffers>,
}

impl Reader {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.ahead.is_none() {
            if self.left.is_empty() {
                return Ok(None);
            }
            if let Some(piece) = self.read_cached() {
                self.turn += 1;
                if self.turn.is_multiple_of(TURN) {
                    yield_now().await;
                }
                return Ok(Some(piece));
            }
            self.ahead = self.read_ahead();
        }
        let Some(ahead) = self.ahead.take() else { return Ok(None) };
        let piece = done(ahead.await)?;
        self.ahead = self.read_ahead();
        Ok(Some(piece))
    }

    /// As much of the next piece as is in memory. Whatever is the matter otherwise, a thread finds it out.
    fn read_cached(&mut self) -> Option<Bytes> {
        let mut buffer = self.buffers.take();
        let read =
            read_in_memory(&self.open.file, buffer.first(self.next_length()), self.left.start)?;
        self.left.start += read as u64;
        buffer.first(read);
        Some(buffer.into_bytes())
    }

    /// Has a thread read the next piece, if there is one.
    fn read_ahead(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let (start, length) = (self.left.start, self.next_length());
        if length == 0 {
            return None;
        }
        self.left.start += length as u64;
        let (open, buffers) = (Arc::clone(&self.open), Arc::clone(&self.buffers));
        Some(spawn_blocking(move || {
            let mut buffer = buffers.take();
            open.file.read_exact_at(buffer.first(length), start)?;
            Ok(buffer.into_bytes())
        }))
    }

    fn next_length(&self) -> usize {
        let left = self.left.end - self.left.start;
        usize::try_from(left).map_or(Buffers::LENGTH, |left| left.min(Buffers::LENGTH))
    }
}

/// Reads what can be had without waiting for a disk, if there is any; see `RWF_NOWAIT` in preadv2(2).
#[cfg(target_os = "linux")]
fn read_in_memory(file: &File, bytes: &mut [u8], start: u64) -> Option<usize> {
    let mut slices = [IoSliceMut::new(bytes)];
    let read = preadv2(file, &mut slices, start, ReadWriteFlags::NOWAIT);
    read.ok().filter(|read| *read > 0)
}

/// Nobody can tell.
#[cfg(not(target_os = "linux"))]
fn read_in_memory(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
    None
}

fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

/// How many pieces are copied before others have their turn: a fast receiver never makes us wait.
const TURN: u64 = 4;
