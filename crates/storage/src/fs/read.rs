//! From a file to whoever asked: while one piece is sent, the next is read.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    done,
    files::{Files, failed_to},
};
use crate::store::{BodyError, Content, Location, StoreError};

/// Opens a file, and reads it at once if it is small.
pub(super) fn open(
    files: &Files,
    location: &Location,
    range: Option<Range<u64>>,
) -> Result<Content, StoreError> {
    let file = files.read(location)?;
    let length = file.metadata().map_err(failed_to("read a file"))?.len();
    let range = range.unwrap_or(0..length);
    if range.start > range.end || range.end > length {
        return Err(StoreError::OutOfRange { start: range.start, end: range.end, length });
    }
    let length = range.end - range.start;
    if length <= PIECE {
        return read_at(&file, range).map(Content::Whole).map_err(failed_to("read a file"));
    }
    Ok(Content::Stream { length, stream: Box::pin(pieces(file, range)) })
}

/// No thread is held while the receiver is slow: each piece is a task of its own, one ahead.
fn pieces(file: File, range: Range<u64>) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    let reader = Reader { file: Arc::new(file), left: range, ahead: None };
    stream::try_unfold(reader, |mut reader| async move {
        let ahead = reader.ahead.take().or_else(|| reader.read_next());
        let Some(ahead) = ahead else { return Ok(None) };
        let piece = done(ahead.await)?;
        reader.ahead = reader.read_next();
        Ok(Some((piece, reader)))
    })
}

struct Reader {
    file: Arc<File>,
    /// What no task was started for.
    left: Range<u64>,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reader {
    fn read_next(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        if self.left.is_empty() {
            return None;
        }
        let end = self.left.end.min(self.left.start + PIECE);
        let range = self.left.start..end;
        self.left.start = end;
        let file = Arc::clone(&self.file);
        // Made here, and not by the thread that reads: there are hundreds of those, and the allocator
        // keeps buffers for each of them when many pull at once.
        let buffer = usize::try_from(end - range.start).map(|length| vec![0; length]);
        Some(spawn_blocking(move || fill(buffer.map_err(io::Error::other)?, &file, range.start)))
    }
}

fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    fill(vec![0; length], file, range.start)
}

fn fill(mut buffer: Vec<u8>, file: &File, start: u64) -> io::Result<Bytes> {
    file.read_exact_at(&mut buffer, start)?;
    Ok(buffer.into())
}

/// What is read at once; two pieces are held for each receiver.
const PIECE: u64 = 256 * 1024;
