//! Buckets that drip: the generic cell rate algorithm, whose whole state is one time per key.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// So many failures at once, and one more each `refill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many at once; none counts as one.
    pub burst: u32,
    /// How long until there is room for one more.
    pub refill: Duration,
}

/// A keyed hash of who is counted.
pub(super) type Key = [u8; 16];

/// One bucket per key, in bounded memory.
///
/// For each key it holds when the bucket will be empty again, in milliseconds since 1970. A bucket
/// that is empty by now is as one that was never there.
pub(super) struct Buckets {
    burst: u64,
    refill: u64,
    entries: usize,
    empty_at: Mutex<HashMap<Key, u64>>,
}

impl Buckets {
    pub(super) fn new(quota: Quota, entries: usize) -> Self {
        Self {
            burst: quota.burst.max(1).into(),
            refill: milliseconds(quota.refill).max(1),
            entries: entries.max(1),
            empty_at: Mutex::default(),
        }
    }

    /// How long to wait until there is room for one more; `None` where there is.
    pub(super) fn wait(&self, key: &Key, now: SystemTime) -> Option<Duration> {
        let now = since_1970(now);
        let empty_at = *self.lock().get(key)?;
        // One more fits as long as the others are gone within the time that the burst takes but one.
        let room_at = self.bounded(empty_at, now).saturating_sub((self.burst - 1) * self.refill);
        let wait = room_at.checked_sub(now).filter(|wait| *wait > 0)?;
        Some(Duration::from_secs(wait.div_ceil(1_000)))
    }

    /// One more, whether there is room or not.
    pub(super) fn charge(&self, key: Key, now: SystemTime) {
        let now = since_1970(now);
        let mut empty_at = self.lock();
        if !empty_at.contains_key(&key) && empty_at.len() >= self.entries {
            make_room(&mut empty_at, now, self.entries);
        }
        let slot = empty_at.entry(key).or_insert(now);
        *slot = self.bounded((*slot).max(now).saturating_add(self.refill), now);
    }

    /// How many keys are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// An overdrawn bucket is paid back for no longer than [`MAX_DEBT`]; and if the clock was set
    /// back, none is waited for longer than it could have taken.
    fn bounded(&self, empty_at: u64, now: u64) -> u64 {
        let full = self.burst.saturating_mul(self.refill);
        empty_at.min(now.saturating_add(full).saturating_add(milliseconds(MAX_DEBT)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, u64>> {
        self.empty_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the empty ones; if that is not enough, the emptier half, so that many fresh keys cannot
/// push out one that has failed often.
fn make_room(empty_at: &mut HashMap<Key, u64>, now: u64, entries: usize) {
    empty_at.retain(|_, at| *at > now);
    if empty_at.len() < entries {
        return;
    }
    let mut times: Vec<u64> = empty_at.values().copied().collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    empty_at.retain(|_, at| *at > median);
}

fn since_1970(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const MAX_DEBT: Duration = Duration::from_mins(10);
