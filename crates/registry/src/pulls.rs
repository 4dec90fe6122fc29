//! What was pulled since it was last written down.
//!
//! ```text
//! pull ─ note ─> one of some maps, by its digest ─ flush, once a second ─> rows
//! ```
//! A pull waits for nobody but another pull of nearly the same manifest, and that for the time of a map's entry. What was
//! noted since the last flush is lost if the process is killed.

use std::{
    collections::{HashMap, hash_map::Entry},
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use portpass_protocol::{Digest, RepositoryName, Tag};
use portpass_state::{Db, Pull, PullCount, Pulled, StateError};
use tokio::time::{self, MissedTickBehavior};

/// Pulls noted in memory, added up.
#[derive(Debug)]
pub struct PullNotes {
    shards: [Mutex<HashMap<NotedPull, PullCount>>; SHARDS],
    /// Pulls that there was no room to note.
    missed: AtomicU64,
    /// One flush at a time.
    turn: tokio::sync::Mutex<()>,
}

/// A manifest that was looked up or fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NotedPull {
    pub(crate) repository: RepositoryName,
    /// By what name; `None` for its digest.
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Digest,
    /// With its bytes.
    pub(crate) fetched: bool,
}

impl PullNotes {
    /// Nothing was pulled yet.
    pub fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            missed: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Something was pulled now.
    pub(crate) fn note(&self, pull: NotedPull, now: SystemTime) {
        self.add(pull, PullCount { pulls: 1, last: now });
    }

    /// Writes down what was noted; what cannot be written stays noted. Whoever waits for it may go away.
    pub async fn flush(self: Arc<Self>, db: Db) -> Result<(), StateError> {
        let written = tokio::spawn(async move {
            let _turn = self.turn.lock().await;
            let mut noted = self.take();
            while !noted.is_empty() {
                let part = noted.split_off(noted.len().saturating_sub(PART));
                if let Err(error) = db.note_pulls(&rows(&part)).await {
                    for (pull, count) in noted.into_iter().chain(part) {
                        self.add(pull, count);
                    }
                    return Err(error);
                }
            }
            Ok(())
        });
        // A flush that panicked has lost a second's pulls, as a crash does.
        written.await.unwrap_or(Ok(()))
    }

    /// Flushes once a second for as long as it is polled.
    pub async fn run(self: Arc<Self>, db: Db) -> Infallible {
        let mut timer = time::interval(FLUSH_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if let Err(error) = Arc::clone(&self).flush(db.clone()).await {
                tracing::debug!(
                    "cannot write down what was pulled, the server tries again: {error}"
                );
            }
            let missed = self.missed.swap(0, Relaxed);
            if missed > 0 {
                tracing::warn!(
                    missed,
                    "pulls are not counted: what was pulled cannot be written down"
                );
            }
        }
    }

    fn add(&self, pull: NotedPull, added: PullCount) {
        let shard = usize::from(pull.digest.as_bytes()[0]) % SHARDS;
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = shard.len() >= MOST / SHARDS;
        match shard.entry(pull) {
            Entry::Occupied(mut noted) => {
                let noted = noted.get_mut();
                noted.pulls += added.pulls;
                noted.last = noted.last.max(added.last);
            }
            Entry::Vacant(_) if is_full => drop(self.missed.fetch_add(added.pulls, Relaxed)),
            Entry::Vacant(vacant) => drop(vacant.insert(added)),
        }
    }

    fn take(&self) -> Vec<(NotedPull, PullCount)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            taken.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).drain());
        }
        taken
    }
}

impl Default for PullNotes {
    fn default() -> Self {
        Self::new()
    }
}

/// A pull by a tag is one of the tag, and one of the manifest if its bytes were sent.
fn rows(noted: &[(NotedPull, PullCount)]) -> Vec<Pull> {
    let mut rows = Vec::with_capacity(2 * noted.len());
    for (NotedPull { repository, tag, digest, fetched }, PullCount { pulls, last }) in noted {
        let row = |of| Pull { of, count: *pulls, last: *last };
        rows.extend(tag.as_ref().map(|tag| row(Pulled::Tag(repository.clone(), tag.clone()))));
        rows.extend(fetched.then(|| row(Pulled::Digest(repository.clone(), *digest))));
    }
    rows
}

/// What a crash may lose.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// By the first byte of a digest.
const SHARDS: usize = 32;

/// Tags and digests that are noted at once: some hundred bytes each, and more than are pulled within seconds. Only a
/// database that does not answer lets them become so many.
const MOST: usize = 64 * 1024;

/// Notes that are written in one turn: others wait for no more.
const PART: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(name: &str, tag: Option<&str>, content: &str, fetched: bool) -> NotedPull {
        NotedPull {
            repository: name.parse().unwrap(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest: Digest::sha256(content.as_bytes()),
            fetched,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn what_cannot_be_written_now_is_written_later() {
        let notes = Arc::new(PullNotes::new());
        let gone = Db::in_memory().await.unwrap();
        gone.close().await;
        for number in 0..300 {
            notes.note(pull("a/b", None, &number.to_string(), true), at(number));
        }
        notes.note(pull("a/b", None, "7", true), at(3));
        Arc::clone(&notes).flush(gone).await.unwrap_err();
        let left = notes.take();
        assert_eq!(left.len(), 300);
        let count = |content: &str| {
            let searched = pull("a/b", None, content, true);
            left.iter().find(|(pull, _)| *pull == searched).unwrap().1
        };
        assert_eq!(count("7"), PullCount { pulls: 2, last: at(7) });
        assert_eq!(count("8"), PullCount { pulls: 1, last: at(8) });
    }

    #[test]
    fn there_is_an_end_to_what_is_noted_and_what_is_known_counts_on() {
        let notes = PullNotes::new();
        let same = Digest::sha256(b"").to_string();
        let tagged = |number: usize| NotedPull {
            digest: same.parse().unwrap(),
            ..pull("a/b", Some(&format!("v{number}")), "", false)
        };
        for number in 0..MOST {
            notes.note(tagged(number), at(1));
        }
        notes.note(tagged(0), at(2));
        let left: HashMap<_, _> = notes.take().into_iter().collect();
        assert_eq!(left.len(), MOST / SHARDS);
        assert_eq!(left[&tagged(0)], PullCount { pulls: 2, last: at(2) });
        let missed = notes.missed.load(Relaxed);
        assert_eq!(missed, (MOST - MOST / SHARDS) as u64);
    }
}
