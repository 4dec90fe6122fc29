//! The three counters, under one lock: an attempt has a place in all that it is asked for, or in none.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{
    Key, LimitSettings,
    bucket::{Buckets, Charged, Room},
};
use crate::pool::QueueClass;

/// Under which an attempt counts.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) address: Option<Key>,
    pub(super) account: Option<Key>,
    pub(super) pair: Option<Key>,
    /// What it proves if it is right.
    pub(super) proof: Option<Key>,
    /// What is tried, from wherever.
    pub(super) guess: Key,
    /// What is tried, from there.
    pub(super) whole: Key,
}

/// Who has failed how often, and what is under way.
pub(super) struct Ledger(Mutex<Counters>);

struct Counters {
    pairs: Buckets,
    addresses: Buckets,
    accounts: Buckets,
}

impl Ledger {
    pub(super) fn new(settings: LimitSettings) -> Self {
        let LimitSettings { pair, address, account, entries } = settings;
        Self(Mutex::new(Counters {
            pairs: Buckets::new(pair, entries),
            addresses: Buckets::new(address, entries),
            accounts: Buckets::new(account, entries),
        }))
    }

    /// Takes a place in every bucket that is asked, or says which has none and when there may be one.
    pub(super) fn enter(
        &self,
        keys: &Keys,
        queue_class: QueueClass,
        now: SystemTime,
    ) -> Result<(), (&'static str, Room)> {
        let mut counters = self.lock();
        let Counters { pairs, addresses, accounts } = &mut *counters;
        let pair = (pairs, keys.pair, "for this account from this address");
        let address = (addresses, keys.address, "from this address");
        let account = (accounts, keys.account, "for this account");
        let mut asked = match queue_class {
            QueueClass::Proved => vec![pair],
            QueueClass::Unproved => vec![pair, address, account],
        };
        let full = asked.iter().filter_map(|(buckets, key, by)| {
            let room = buckets.room(key.as_ref()?, &keys.guess, now)?;
            Some((*by, room))
        });
        if let Some(longest) = full.max_by_key(|(_, room)| *room) {
            return Err(longest);
        }
        for (buckets, key, _) in &mut asked {
            if let Some(key) = key {
                buckets.enter(*key, keys.guess, now);
            }
        }
        Ok(())
    }

    /// Gives the places back.
    pub(super) fn leave(&self, keys: &Keys, queue_class: QueueClass, now: SystemTime) {
        let mut counters = self.lock();
        if let Some(key) = &keys.pair {
            counters.pairs.leave(key, &keys.guess, now);
        }
        if queue_class == QueueClass::Unproved {
            if let Some(key) = &keys.address {
                counters.addresses.leave(key, &keys.guess, now);
            }
            if let Some(key) = &keys.account {
                counters.accounts.leave(key, &keys.guess, now);
            }
        }
    }

    /// One failure more. What the pair had no room for is the same guess over and over: that is the
    /// caller's own debt, and nobody else's who shares the address or the account.
    pub(super) fn charge(&self, keys: &Keys, now: SystemTime) {
        let mut counters = self.lock();
        let pair = keys.pair.map_or(Charged::Within, |key| counters.pairs.charge(key, now));
        if pair == Charged::Beyond {
            return;
        }
        if let Some(key) = keys.address {
            counters.addresses.charge(key, now);
        }
        if let Some(key) = keys.account {
            counters.accounts.charge(key, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Ledger {
    /// How many keys each counter remembers.
    pub(super) fn remembered(&self) -> [usize; 3] {
        let counters = self.lock();
        [counters.pairs.len(), counters.addresses.len(), counters.accounts.len()]
    }

    /// How many more failures of the account fit.
    pub(super) fn left_of_account(&self, keys: &Keys, now: SystemTime) -> usize {
        let mut counters = self.lock();
        let key = keys.account.unwrap();
        (0..1_000).take_while(|_| counters.accounts.charge(key, now) == Charged::Within).count()
    }
}
