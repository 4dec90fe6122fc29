//! How long a refused password takes, so that a name that nobody has takes as long.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The times of the latest refused binds. Who has no such name waits for as long as one of them took: by the
/// clock alone nobody finds out which names a directory has.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<VecDeque<Duration>>);

impl Pace {
    /// A bind was refused after so long.
    pub(super) fn note(&self, took: Duration) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == LATEST {
            latest.pop_front();
        }
        latest.push_back(took);
    }

    /// Waits for as long as one of them took, each in its turn.
    pub(super) async fn keep(&self) {
        if let Some(wait) = self.next() {
            tokio::time::sleep(wait).await;
        }
    }

    fn next(&self) -> Option<Duration> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = latest.pop_front()?;
        latest.push_back(next);
        Some(next)
    }
}

const LATEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_times_come_round_in_turn() {
        let pace = Pace::default();
        assert_eq!(pace.next(), None);
        let millis = Duration::from_millis;
        for time in 0..40 {
            pace.note(millis(time));
        }
        let all: Vec<_> = (0..33).filter_map(|_| pace.next()).collect();
        assert_eq!((all[0], all[31], all[32]), (millis(8), millis(39), millis(8)));
    }
}
