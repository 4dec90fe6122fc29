//! Bytes that lie in a file, as a stream: read on threads that may wait.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::transfer::{Content, Error, LayoutError};

/// A stretch of a file that is open.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) file: Arc<File>,
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Extent {
    /// All of it, if it is no longer than `limit`.
    pub(super) fn all(&self, limit: u64) -> io::Result<Option<Bytes>> {
        let Some(length) = usize::try_from(self.length).ok().filter(|_| self.length <= limit)
        else {
            return Ok(None);
        };
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.start)?;
        Ok(Some(Bytes::from(bytes)))
    }

    /// Its digest.
    #[cfg(feature = "archive")]
    pub(super) fn digest(
        &self,
        mut hasher: portpass_protocol::Hasher,
    ) -> io::Result<portpass_protocol::Digest> {
        let mut at = 0;
        while at < self.length {
            let piece = self.piece(at)?;
            hasher.update(&piece);
            at += length(&piece);
        }
        Ok(hasher.finish())
    }

    /// Its bytes from `from` on. The reader checks whether they are the right ones: a
    /// folder and a registry both hash what comes, and keep nothing else.
    pub(super) fn stream(self, from: u64) -> Content {
        let (pieces, arriving) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut at = from;
            while at < self.length {
                let piece = self.piece(at);
                at += piece.as_ref().map_or(0, length);
                let ended = piece.is_err();
                // Nobody listens any more: the transfer has ended.
                if pieces.blocking_send(piece).is_err() || ended {
                    return;
                }
            }
        });
        stream::unfold(arriving, async |mut arriving| {
            arriving.recv().await.map(|piece| (piece, arriving))
        })
        .boxed()
    }

    fn piece(&self, at: u64) -> io::Result<Bytes> {
        let wanted = usize::try_from(self.length - at).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; wanted];
        self.file.read_exact_at(&mut piece, self.start + at)?;
        Ok(Bytes::from(piece))
    }
}

/// Opens a regular file without following a link in its last component.
pub(super) fn open_regular(path: &Path) -> Result<File, LayoutError> {
    use rustix::fs::{Mode, OFlags};
    // A pipe must not keep us waiting for its writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            return Err(LayoutError::NotRegular { path: path.to_owned() });
        }
        Err(error) => return Err(LayoutError::io(path)(error.into())),
    };
    if file.metadata().map_err(LayoutError::io(path))?.is_file() {
        Ok(file)
    } else {
        Err(LayoutError::NotRegular { path: path.to_owned() })
    }
}

/// Runs what may wait for a disk where waiting is allowed.
pub(super) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Error>
where
    T: Send + 'static,
    E: Send + 'static,
    Error: From<E>,
{
    Ok(joined(tokio::task::spawn_blocking(work)).await?)
}

/// What a thread found; its panic is ours.
pub(super) async fn joined<T>(thread: JoinHandle<T>) -> T {
    match thread.await {
        Ok(found) => found,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The whole program is ending, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn length(piece: &Bytes) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}

/// Bytes that are read at once: few system calls, and still in the processor's cache when they are hashed and sent.
const PIECE: usize = 128 * 1024;
/// Pieces that are read before they are asked for.
const AHEAD: usize = 1;
