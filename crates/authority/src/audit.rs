//! The trail: who got which token, who was refused and why, and who changed what in the registry.
//!
//! ```text
//! Event ─ anonymous: counted, one entry a minute ─┐
//!   └──── queue, bounded in bytes ─ batch ────────┴─ Writer ─► rows, chained (portpass_state::audit)
//! ```
//! What belongs to a refresh token, an account or a key commits in its row's transaction. Everything else
//! goes through one writer, which adds what came within [`FLUSH_EVERY`] in one transaction: a crash loses at
//! most that much, and a caller never waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use portpass_state::{AuditRecord, Db};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior},
};

mod anonymous;
mod batch;
mod event;
#[cfg(test)]
mod tests;

pub use self::event::{Event, EventKind};
use self::{anonymous::AnonymousEvents, batch::Batch};
pub use crate::audit_action::{Action, Object, UnknownAction};

/// Where events go. Cheap to clone; when the last clone is dropped, the [`Writer`] finishes.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    queue: mpsc::Sender<Queued>,
    shared: Arc<Shared>,
}

/// What both ends of the queue know.
#[derive(Debug, Default)]
struct Shared {
    strangers: AnonymousEvents,
    /// What the events in the queue hold of the memory.
    held: AtomicUsize,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Queued {
    event: Event,
    weight: usize,
}

impl AuditTrail {
    /// A trail, and the writer that whoever composes the process has to run.
    pub fn new(db: Db) -> (Self, Writer) {
        let (queue, events) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer { db, events, shared: Arc::clone(&shared), minute: MINUTE };
        (Self { queue, shared }, writer)
    }

    /// Hands an event to the writer. Never waits: if the database has been gone for so long that
    /// the queue is full, the event is counted as lost, and the trail will say how many were.
    pub fn record(&self, event: Event) {
        let Some(event) = self.shared.strangers.sift(event) else { return };
        let weight = event.weight();
        let held = self.shared.held.fetch_add(weight, Ordering::Relaxed);
        let queued =
            held + weight <= QUEUE_BYTES && self.queue.try_send(Queued { event, weight }).is_ok();
        if !queued {
            self.shared.held.fetch_sub(weight, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes what a [`AuditTrail`] was given.
#[derive(Debug)]
pub struct Writer {
    db: Db,
    events: mpsc::Receiver<Queued>,
    shared: Arc<Shared>,
    /// How long callers without an account are counted before it is written.
    minute: Duration,
}

impl Writer {
    /// Runs until every [`AuditTrail`] is gone and all that they were given is written.
    pub async fn run(mut self) {
        let mut minute = every(self.minute);
        loop {
            let first = tokio::select! {
                event = self.events.recv() => event,
                _ = minute.tick() => {
                    self.close_minute().await;
                    continue;
                }
            };
            let Some(first) = first else { break };
            self.flush(first).await;
        }
        self.close_minute().await;
    }

    async fn close_minute(&self) {
        let records: Vec<_> = self.shared.strangers.close().into_iter().collect();
        self.write(&records).await;
    }

    async fn flush(&mut self, first: Queued) {
        let at = first.event.at;
        let (batch, weight) = self.gather(first).await;
        let mut records = batch.close();
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            records.push(gap(lost, at));
        }
        self.write(&records).await;
        self.shared.held.fetch_sub(weight, Ordering::Relaxed);
    }

    /// What comes within one flush, with equal events counted instead of repeated, and its weight.
    async fn gather(&mut self, first: Queued) -> (Batch, usize) {
        let (mut batch, mut weight) = (Batch::default(), first.weight);
        batch.add(first.event);
        for _ in 0..LOOKS {
            // Asleep rather than waiting: at thousands of events a second nobody has to wake us
            // for each.
            tokio::time::sleep(FLUSH_EVERY / LOOKS).await;
            while batch.len() < BATCH
                && let Ok(queued) = self.events.try_recv()
            {
                weight += queued.weight;
                batch.add(queued.event);
            }
            if self.events.is_closed() || batch.len() == BATCH {
                break;
            }
        }
        (batch, weight)
    }

    /// Tries until the database takes it. Once nobody is left to record anything, the process is
    /// about to end, and a database that stays away is not waited for.
    async fn write(&self, records: &[AuditRecord]) {
        // In parts that are short: those who write beside us wait for them.
        for records in records.chunks(PART) {
            let mut patience = LAST_TRIES;
            while let Err(error) = self.db.append_audit(records).await {
                tracing::error!(%error, records = records.len(), "the audit trail cannot be written");
                if self.events.is_closed() {
                    patience -= 1;
                }
                if patience == 0 {
                    return;
                }
                tokio::time::sleep(RETRY_EVERY).await;
            }
        }
    }
}

/// The first tick is after one period.
fn every(period: Duration) -> Interval {
    let mut timer = tokio::time::interval(period);
    timer.reset();
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

/// What is written in place of events that found the queue full.
fn gap(lost: u64, at: SystemTime) -> AuditRecord {
    AuditRecord {
        at,
        action: Action::AuditGap.as_str().to_owned(),
        actor: None,
        object: None,
        address: None,
        request: None,
        detail: json!({ "lost": lost }),
    }
}

/// How much of the trail a crash may lose.
pub const FLUSH_EVERY: Duration = Duration::from_millis(500);
const RETRY_EVERY: Duration = Duration::from_secs(1);
const LAST_TRIES: u32 = 3;
const QUEUE: usize = 16 * 1024;
/// What all that is in the queue may hold.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;
const BATCH: usize = 1024;
/// Records that are added in one turn: some two milliseconds.
const PART: usize = 64;
/// How often the queue is emptied before it is written: between two looks it must not overflow.
const LOOKS: u32 = 5;
const MINUTE: Duration = Duration::from_mins(1);
