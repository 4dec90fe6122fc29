//! From a file to whoever asked: while one piece is sent, the next is read.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    buffers::Buffers,
    done,
    files::{Files, failed_to},
};
use crate::store::{BodyError, Content, Location, StoreError};

/// Opens a file, and reads it at once if it is small.
pub(super) fn open(
    files: &Files,
    buffers: &Arc<Buffers>,
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
    Ok(Content::Stream { length, stream: Box::pin(pieces(file, range, buffers)) })
}

/// No thread is held while the receiver is slow: each piece is a task of its own, one ahead.
fn pieces(
    file: File,
    range: Range<u64>,
    buffers: &Arc<Buffers>,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    let buffers = Arc::clone(buffers);
    let reader = Reader { file: Arc::new(file), left: range, ahead: None, buffers };
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
    buffers: Arc<Buffers>,
}

impl Reader {
    fn read_next(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        if self.left.is_empty() {
            return None;
        }
        let start = self.left.start;
        self.left.start = self.left.end.min(start + PIECE);
        let length = self.left.start - start;
        let (file, buffers) = (Arc::clone(&self.file), Arc::clone(&self.buffers));
        Some(spawn_blocking(move || {
            let length = usize::try_from(length).map_err(io::Error::other)?;
            let mut buffer = buffers.take();
            file.read_exact_at(buffer.first(length), start)?;
            Ok(buffer.into_bytes())
        }))
    }
}

fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

/// What is read at once. Two pieces are held for each receiver: one is sent, one is ahead.
const PIECE: u64 = Buffers::LENGTH as u64;
