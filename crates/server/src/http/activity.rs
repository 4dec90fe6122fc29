//! What happens on a connection, for those who decide which of them may go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// One connection: whether a request is under way, and when bytes moved last. Written with every one of them, so it takes
/// no lock.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    under_way: AtomicUsize,
    /// When bytes moved last, in milliseconds after it was opened.
    moved: AtomicU64,
    /// When the last answer was out.
    rested: AtomicU64,
}

impl Activity {
    /// Of a connection that is new.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            under_way: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            rested: AtomicU64::new(0),
        })
    }

    /// Bytes came or went.
    pub(crate) fn moved(&self) {
        self.moved.store(self.age(), Ordering::Relaxed);
    }

    /// A request, until its answer is out.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Whether no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Since when no request has been under way; of one that is, since when nothing has moved.
    pub(crate) fn still_since(&self) -> Instant {
        let last = if self.is_idle() { &self.rested } else { &self.moved };
        self.opened + Duration::from_millis(last.load(Ordering::Relaxed))
    }

    /// Milliseconds.
    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.rested.store(self.0.age(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
