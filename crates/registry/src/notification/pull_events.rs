//! Events of pulls, on their way into the queue: a pull waits for no write.

use std::{
    collections::VecDeque,
    convert::Infallible,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use portpass_state::{Db, NewEvent, StateError};
use tokio::{
    sync::watch,
    time::{self, MissedTickBehavior},
};

/// A buffer that is written once a second, and a bell for whoever reads the queue. What is in it is lost if the process
/// is killed.
#[derive(Debug)]
pub struct PullEvents {
    waiting: Mutex<Waiting>,
    /// Events that there was no room for.
    missed: AtomicU64,
    bell: watch::Sender<()>,
    /// One flush at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<NewEvent>,
    /// In their documents.
    bytes: usize,
}

impl PullEvents {
    /// With nothing in it.
    pub fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            missed: AtomicU64::new(0),
            bell: watch::Sender::new(()),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Rings when there may be something new in the queue.
    pub fn bell(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    pub(super) fn ring(&self) {
        self.bell.send_replace(());
    }

    pub(super) fn add(&self, event: NewEvent) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes + event.document.len() > MOST {
            self.missed.fetch_add(1, Relaxed);
            return;
        }
        waiting.bytes += event.document.len();
        waiting.events.push_back(event);
    }

    /// Writes what is in it; what cannot be written stays. Whoever waits for it may go away.
    pub async fn flush(self: Arc<Self>, db: Db) -> Result<(), StateError> {
        let written = tokio::spawn(async move {
            let _turn = self.turn.lock().await;
            let mut taken = self.take();
            while !taken.is_empty() {
                let part: Vec<_> = taken.drain(..taken.len().min(PART)).collect();
                if let Err(error) = db.append_events(&part).await {
                    self.put_back(part.into_iter().chain(taken).collect());
                    return Err(error);
                }
                self.ring();
            }
            Ok(())
        });
        // A flush that panicked has lost a second's events, as a crash does.
        written.await.unwrap_or(Ok(()))
    }

    /// Flushes once a second for as long as it is polled.
    pub async fn run(self: Arc<Self>, db: Db) -> Infallible {
        let mut timer = time::interval(FLUSH_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if let Err(error) = Arc::clone(&self).flush(db.clone()).await {
                tracing::debug!("cannot write events of pulls, the server tries again: {error}");
            }
            let missed = self.missed.swap(0, Relaxed);
            if missed > 0 {
                tracing::warn!(
                    missed,
                    "nobody is notified of some pulls: their events cannot be written fast enough"
                );
            }
        }
    }

    fn take(&self) -> VecDeque<NewEvent> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *waiting).events
    }

    /// In front of what came meanwhile, as far as there is room.
    fn put_back(&self, events: VecDeque<NewEvent>) {
        let newer = mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for event in events.into_iter().chain(newer.events) {
            self.add(event);
        }
    }
}

impl Default for PullEvents {
    fn default() -> Self {
        Self::new()
    }
}

/// What a crash may lose.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Events that are written in one turn: others wait for no more.
const PART: usize = 64;

/// Bytes that wait at most. Only a database that does not answer lets them become so many.
const MOST: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use portpass_state::EventId;

    use super::*;

    fn event(document: String) -> NewEvent {
        NewEvent {
            id: EventId::from_random([0; 16]),
            at: SystemTime::UNIX_EPOCH,
            action: "pull",
            repository: "a/b".parse().unwrap(),
            media_type: String::new(),
            document,
        }
    }

    async fn written(db: &Db) -> Vec<String> {
        let events = db.events_after(0, 500).await.unwrap();
        events.into_iter().map(|event| event.document).collect()
    }

    #[tokio::test]
    async fn what_cannot_be_written_now_is_written_later_and_in_order() {
        let buffer = Arc::new(PullEvents::new());
        let gone = Db::in_memory().await.unwrap();
        gone.close().await;
        for number in 0..100 {
            buffer.add(event(number.to_string()));
        }
        Arc::clone(&buffer).flush(gone).await.unwrap_err();
        buffer.add(event("100".to_owned()));
        let (db, mut bell) = (Db::in_memory().await.unwrap(), buffer.bell());
        Arc::clone(&buffer).flush(db.clone()).await.unwrap();
        let expected: Vec<_> = (0..=100).map(|number: u32| number.to_string()).collect();
        assert_eq!(written(&db).await, expected);
        assert!(bell.has_changed().unwrap());
        bell.mark_unchanged();
        Arc::clone(&buffer).flush(db).await.unwrap();
        assert!(!bell.has_changed().unwrap(), "there was nothing");
    }

    #[test]
    fn there_is_an_end_to_what_waits() {
        let buffer = PullEvents::new();
        for _ in 0..20 {
            buffer.add(event("x".repeat(1 << 20)));
        }
        assert_eq!(buffer.take().len(), MOST >> 20);
        assert_eq!(buffer.missed.load(Relaxed), 4);
        buffer.add(event(String::new()));
        assert_eq!(buffer.take().len(), 1);
    }
}
