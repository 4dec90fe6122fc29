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
    /// When the head of the next request began to come, and one more; 0 as long as none does.
    head: AtomicU64,
}

impl Activity {
    /// Of a connection that is new.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            under_way: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            rested: AtomicU64::new(0),
            // Whoever connects has something to ask.
            head: AtomicU64::new(1),
        })
    }

    /// Bytes came: where no request is under way, the first ones of the next.
    pub(crate) fn received(&self) {
        let age = self.age();
        self.moved.store(age, Ordering::Relaxed);
        if self.is_idle() && self.head.load(Ordering::Relaxed) == 0 {
            self.head.store(age.saturating_add(1), Ordering::Relaxed);
        }
    }

    /// Bytes went.
    pub(crate) fn sent_bytes(&self) {
        self.moved.store(self.age(), Ordering::Relaxed);
    }

    /// A request, until its answer is out, or its body read or given up.
    pub(crate) fn begin(self: &Arc<Self>) -> RequestGuard {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
        RequestGuard(Arc::clone(self))
    }

    /// Whether no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Since when no request has been under way; of one that is, since when nothing has moved.
    pub(crate) fn last_progress(&self) -> Instant {
        let last = if self.is_idle() { &self.rested } else { &self.moved };
        self.opened + Duration::from_millis(last.load(Ordering::Relaxed))
    }

    /// Since when the head of a request has been coming.
    pub(crate) fn head_since(&self) -> Option<Instant> {
        let after = self.head.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.opened + Duration::from_millis(after))
    }

    /// Milliseconds.
    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct RequestGuard(Arc<Activity>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.rested.store(self.0.age(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
