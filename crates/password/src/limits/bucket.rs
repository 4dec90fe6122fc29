//! Buckets that drip: the generic cell rate algorithm, whose state is one time per key, and beside it what
//! is under way.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::Key;

/// So many failures at once, and one more each `refill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many at once; none counts as one.
    pub burst: u32,
    /// How long until there is room for one more.
    pub refill: Duration,
}

/// When there is room for one more, where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// If one of those under way turns out to be right.
    WhenDecided,
    /// After so long, in whole seconds.
    In(Duration),
}

/// Whether there was room for what was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charged {
    Within,
    Beyond,
}

/// One bucket per key, in bounded memory.
///
/// A bucket that is empty by now, with nothing under way, is as one that was never there.
pub(super) struct Buckets {
    burst: u64,
    refill: u64,
    entries: usize,
    by_key: HashMap<Key, Bucket>,
}

struct Bucket {
    /// When it will be empty again, in milliseconds since 1970.
    empty_at: u64,
    /// Guesses that are not decided yet, each with how many make it at once. No more of them than the burst,
    /// so looking through them is cheap.
    under_way: Vec<(Key, usize)>,
}

impl Buckets {
    pub(super) fn new(quota: Quota, entries: usize) -> Self {
        Self {
            burst: quota.burst.max(1).into(),
            refill: milliseconds(quota.refill).max(1),
            entries: entries.max(1),
            by_key: HashMap::new(),
        }
    }

    /// When there is room for this guess; `None` where there is, or where it is under way already.
    pub(super) fn room(&self, key: &Key, guess: &Key, now: SystemTime) -> Option<Room> {
        let now = since_1970(now);
        let bucket = self.by_key.get(key)?;
        if bucket.is_under_way(guess) {
            return None;
        }
        let empty_at = self.bounded(bucket.empty_at, now);
        if let Some(wait) = self.wait(empty_at, now) {
            return Some(Room::In(Duration::from_secs(wait.div_ceil(1_000))));
        }
        let if_all_fail = empty_at.max(now) + bucket.under_way.len() as u64 * self.refill;
        self.wait(if_all_fail, now).map(|_| Room::WhenDecided)
    }

    /// Has a guess take its place, or join those who make the same.
    pub(super) fn enter(&mut self, key: Key, guess: Key, now: SystemTime) {
        let bucket = self.bucket(key, since_1970(now));
        match bucket.under_way.iter_mut().find(|(other, _)| *other == guess) {
            Some((_, count)) => *count += 1,
            None => bucket.under_way.push((guess, 1)),
        }
    }

    /// Gives the place back when nobody makes the guess any more.
    pub(super) fn leave(&mut self, key: &Key, guess: &Key, now: SystemTime) {
        let Some(bucket) = self.by_key.get_mut(key) else { return };
        for (_, count) in bucket.under_way.iter_mut().filter(|(other, _)| other == guess) {
            *count -= 1;
        }
        bucket.under_way.retain(|(_, count)| *count > 0);
        if bucket.is_of_no_use(since_1970(now)) {
            self.by_key.remove(key);
        }
    }

    /// One more, whether there is room or not.
    pub(super) fn charge(&mut self, key: Key, now: SystemTime) -> Charged {
        let now = since_1970(now);
        let empty_at = self.bucket(key, now).empty_at;
        let room = self.wait(self.bounded(empty_at, now), now);
        let fuller = self.bounded(empty_at.max(now).saturating_add(self.refill), now);
        self.bucket(key, now).empty_at = fuller;
        if room.is_none() { Charged::Within } else { Charged::Beyond }
    }

    /// How many keys are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many milliseconds until there is room for one more.
    fn wait(&self, empty_at: u64, now: u64) -> Option<u64> {
        // One more fits as long as the others are gone within the time that the burst takes but one.
        let room_at = empty_at.saturating_sub((self.burst - 1) * self.refill);
        room_at.checked_sub(now).filter(|wait| *wait > 0)
    }

    fn bucket(&mut self, key: Key, now: u64) -> &mut Bucket {
        if !self.by_key.contains_key(&key) && self.by_key.len() >= self.entries {
            self.make_room(now);
        }
        self.by_key.entry(key).or_insert(Bucket { empty_at: now, under_way: Vec::new() })
    }

    /// An overdrawn bucket is paid back for no longer than [`MAX_DEBT`]; and if the clock was set
    /// back, none is waited for longer than it could have taken.
    fn bounded(&self, empty_at: u64, now: u64) -> u64 {
        let full = self.burst.saturating_mul(self.refill);
        empty_at.min(now.saturating_add(full).saturating_add(milliseconds(MAX_DEBT)))
    }

    /// Forgets the empty ones; if that is not enough, the emptier half, so that many fresh keys cannot
    /// push out one that has failed often. What is under way stays.
    fn make_room(&mut self, now: u64) {
        self.by_key.retain(|_, bucket| !bucket.is_of_no_use(now));
        if self.by_key.len() < self.entries {
            return;
        }
        let mut times: Vec<u64> = self.by_key.values().map(|bucket| bucket.empty_at).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.by_key.retain(|_, bucket| bucket.empty_at > median || !bucket.under_way.is_empty());
    }
}

impl Bucket {
    fn is_under_way(&self, guess: &Key) -> bool {
        self.under_way.iter().any(|(other, _)| other == guess)
    }

    fn is_of_no_use(&self, now: u64) -> bool {
        self.empty_at <= now && self.under_way.is_empty()
    }
}

fn since_1970(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const MAX_DEBT: Duration = Duration::from_mins(10);
