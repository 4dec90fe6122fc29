//! How many files blobs may have open at once. Descriptors are the whole process's: whoever pulls and does not read, or
//! pushes and does not send, holds one for as long as he likes, and must not take those of the database and of the
//! connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::StoreError;

/// The files that a store may have open. Cheap to clone; all clones are one budget.
#[derive(Debug, Clone)]
pub struct OpenFiles {
    held: Arc<Held>,
    brief: Arc<Semaphore>,
}

#[derive(Debug)]
struct Held {
    /// How many files are held by bodies that are under way. A number, and no lock: each pull passes here.
    count: AtomicUsize,
    limit: usize,
}

impl OpenFiles {
    /// `under_way` files are for bodies that come or go as fast as a client likes: beyond it they are refused. For what
    /// is over in a moment others are kept back, [`OpenFiles::PER_BRIEF`] for each of `brief` at a time: beyond it,
    /// that waits.
    pub fn new(under_way: usize, brief: usize) -> Self {
        let held = Held { count: AtomicUsize::new(0), limit: under_way };
        Self { held: Arc::new(held), brief: Arc::new(Semaphore::new(brief)) }
    }

    /// As many as the system gives.
    pub(super) fn unlimited() -> Self {
        Self::new(usize::MAX, Semaphore::MAX_PERMITS)
    }

    /// The most that a short piece of work has open: a file, one that it is copied to, and a directory.
    pub const PER_BRIEF: usize = 3;

    /// How many are held by bodies that are under way.
    pub fn held(&self) -> usize {
        self.held.count.load(Ordering::Relaxed)
    }

    /// `files` of them, for a body that is under way.
    pub(super) fn hold(&self, files: usize) -> Result<UnderWay, StoreError> {
        let Held { count, limit } = &*self.held;
        let more = |held: usize| held.checked_add(files).filter(|held| held <= limit);
        match count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(UnderWay { held: Arc::clone(&self.held), files }),
            Err(_) => Err(StoreError::Busy { limit: *limit }),
        }
    }

    /// For reading. What is read in one piece is refused to nobody: it holds nothing for long.
    pub(super) async fn read(&self, in_one_piece: bool) -> Result<Admission, StoreError> {
        match self.hold(1) {
            Ok(held) => Ok(Admission::UnderWay(held)),
            Err(_) if in_one_piece => Ok(Admission::Brief(self.briefly().await)),
            Err(refused) => Err(refused),
        }
    }

    /// Waits for those of a short piece of work.
    pub(super) async fn briefly(&self) -> Brief {
        // Nobody closes it.
        Brief { _permit: Arc::clone(&self.brief).acquire_owned().await.ok() }
    }
}

/// Files that are held until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    held: Arc<Held>,
    files: usize,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.held.count.fetch_sub(self.files, Ordering::Relaxed);
    }
}

/// Files for a moment, until it is dropped.
#[derive(Debug)]
pub(super) struct Brief {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The leave to have a file open that is read.
#[derive(Debug)]
#[expect(dead_code, reason = "what counts is when they are dropped")]
pub(super) enum Admission {
    /// For as long as it takes.
    UnderWay(UnderWay),
    /// To be read at once, and closed.
    Brief(Brief),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back_and_never_more_than_there_is() {
        let files = OpenFiles::new(3, 1);
        let (one, two) = (files.hold(1).unwrap(), files.hold(2).unwrap());
        assert!(matches!(files.hold(1), Err(StoreError::Busy { limit: 3 })));
        drop(one);
        assert!(files.hold(2).is_err(), "one is free");
        let again = files.hold(1).unwrap();
        drop((two, again));
        assert_eq!(files.held(), 0);
    }

    #[tokio::test]
    async fn what_is_read_in_one_piece_waits_for_a_moment_and_is_not_refused() {
        let files = OpenFiles::new(0, 1);
        assert!(files.read(false).await.is_err());
        let first = files.read(true).await.unwrap();
        let (second, files) = (
            tokio::spawn({
                let files = files.clone();
                async move { files.read(true).await.is_ok() }
            }),
            files,
        );
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap());
        assert_eq!(files.held(), 0);
    }
}
