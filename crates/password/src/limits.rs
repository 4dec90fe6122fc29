//! How often a caller may fail: asked before anything is hashed or looked up.
//!
//! Only failures count, so nobody is slowed down by being right. Three counters are kept, and each
//! works like a bucket that drips: so many failures at once, then one more each few seconds.
//!
//! ```text
//! this account from this address    10, then one each 20 s     somebody who guesses
//! this address                      50, then one each 3 s      somebody who guesses many accounts
//! this account                     100, then one each 6 s      many who guess one account
//! ```
//!
//! An attempt takes its place in each bucket when it is admitted, and gives it back when it was right: however
//! many passwords are tried at once, no more of them are looked at than there is room for. The same password
//! at once for the same account is one guess with one place, as clients send it that fetch many layers; if it is wrong,
//! each of them counts. An attempt whose place is only taken by others that are not decided yet waits for them.
//!
//! The last two buckets would let one caller lock out another: the colleague behind the same address, the
//! account that a botnet has chosen. So what one address adds to an account is what the first bucket has room for, and no more;
//! and whoever has logged in to an account from an address within
//! the last day is asked for the first alone, and does not stand behind all others where passwords
//! wait to be checked.
//!
//! A secret that names its own account cannot be guessed. Unknown ones count apart, per address, for the work
//! that they make; wrong passwords from behind an address stop nobody there who has logged in before, and nothing
//! stops a secret that was good within the last day.

mod bucket;
mod ledger;
mod rates;

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use aws_lc_rs::hmac;
use portpass_protocol::ClientAddress;
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Notify, Semaphore};

use self::{
    bucket::Room,
    ledger::{Keys, Ledger},
};
use crate::pool::QueueClass;

pub use self::{
    bucket::Quota,
    rates::{RateExceeded, RateSettings, RequestIdentity, RequestRates},
};

/// What each counter allows, and how many callers are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// For one account from one address.
    pub pair: Quota,
    /// For one address, or the /64 it is in: whoever has one IPv6 address has all of those.
    pub address: Quota,
    /// For one account, from anywhere.
    pub account: Quota,
    /// How many callers each counter remembers; those with the fewest failures are forgotten first.
    pub entries: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            pair: Quota { burst: 10, refill: Duration::from_secs(20) },
            address: Quota { burst: 50, refill: Duration::from_secs(3) },
            account: Quota { burst: 100, refill: Duration::from_secs(6) },
            entries: 1 << 16,
        }
    }
}

/// What somebody tries.
#[derive(Debug, Clone, Copy)]
pub enum Attempt<'a> {
    /// A password.
    Password {
        /// Who is asked: two who know the same name are told apart, except by address.
        realm: &'a str,
        /// Whose it is to be.
        account: &'a str,
        /// What was presented.
        password: &'a SecretString,
    },
    /// A secret that names its own account, such as a refresh token.
    Secret(&'a str),
}

/// Failures per address, per account, and per both. Cheap to ask; no I/O.
#[derive(Debug, Default)]
pub struct Limits(Option<Counters>);

impl Limits {
    /// Nobody has failed yet. `key` comes from the caller's source of randomness and keys what is
    /// remembered of callers.
    pub fn new(settings: LimitSettings, key: [u8; 32]) -> Self {
        Self(Some(Counters {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            ledger: Ledger::new(settings),
            halves: Cache::new(settings.entries),
            proved: Cache::new(settings.entries),
            decided: Notify::new(),
            waiting: Semaphore::new(MAX_WAITING),
        }))
    }

    /// No limit at all.
    pub fn off() -> Self {
        Self::default()
    }

    /// Whether this attempt may be made now; waits while that depends on others under way. What becomes
    /// of it is told back through the [`Admission`].
    ///
    /// One bad password arrives twice, by POST and then by GET (TP7, T8); it counts once, and where
    /// the first half was admitted the second is.
    pub async fn admit(
        &self,
        address: Option<IpAddr>,
        attempt: Attempt<'_>,
        now: SystemTime,
    ) -> Result<Admission<'_>, Limited> {
        let Some(counters) = &self.0 else { return Ok(Admission::uncounted()) };
        let keys = counters.keys(address, attempt);
        let queue_class = counters.queue_class(&keys, now);
        let half = counters.takes_second_half(&keys, now);
        if half == Half::First {
            counters.enter(&keys, queue_class, now).await?;
        }
        let pending = Pending { counters, keys, queue_class, half };
        Ok(Admission { pending: Some(pending), queue_class, now })
    }
}

/// An attempt under way.
///
/// Dropped without a word it counts as a failure: hanging up must not buy a guess, or the work of a
/// hash, for nothing.
#[derive(Debug)]
#[must_use = "an attempt that is dropped counts as a failure"]
pub struct Admission<'a> {
    pending: Option<Pending<'a>>,
    queue_class: QueueClass,
    now: SystemTime,
}

#[derive(Debug)]
struct Pending<'a> {
    counters: &'a Counters,
    keys: Keys,
    queue_class: QueueClass,
    half: Half,
}

/// Which time a client sends the same password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    /// The first, as far as is known.
    First,
    /// Once more, right after it was refused.
    Second,
}

impl Admission<'_> {
    /// Of what nobody counts.
    pub fn uncounted() -> Self {
        Self { pending: None, queue_class: QueueClass::Unproved, now: SystemTime::UNIX_EPOCH }
    }

    /// Whether the same account was right from the same address within the last day. Without limits nobody
    /// remembers.
    pub fn queue_class(&self) -> QueueClass {
        self.queue_class
    }

    /// The credential was right, or there was none to check.
    pub fn accepted(mut self) {
        if let Some(pending) = self.pending.take() {
            pending.counters.proves(&pending.keys, self.now);
            pending.leave(self.now);
        }
    }

    /// The credential was wrong.
    pub fn rejected(mut self, now: SystemTime) {
        if let Some(pending) = self.pending.take() {
            pending.fail(now);
        }
    }

    /// Nobody could say: a source or the pool was not available. Counts for nothing.
    pub fn withdraw(mut self) {
        if let Some(pending) = self.pending.take() {
            pending.leave(self.now);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            pending.fail(self.now);
        }
    }
}

impl Pending<'_> {
    fn leave(self, now: SystemTime) {
        if self.half == Half::First {
            self.counters.ledger.leave(&self.keys, self.queue_class, now);
            self.counters.decided.notify_waiters();
        }
    }

    fn fail(self, now: SystemTime) {
        if self.half == Half::First {
            self.counters.halves.insert(self.keys.whole, now + SECOND_HALF_WITHIN);
            self.counters.ledger.charge(&self.keys, now);
        }
        self.leave(now);
    }
}

/// Too many failures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts {by}; try again in {} s", retry_after.as_secs())]
pub struct Limited {
    /// What ran out: `from this address`, `for this account`.
    pub by: &'static str,
    /// When to come back, in whole seconds and at least one.
    pub retry_after: Duration,
}

struct Counters {
    key: hmac::Key,
    ledger: Ledger,
    /// Failed attempts that may come once more without counting, and until when.
    halves: Cache<Key, SystemTime>,
    /// Accounts and addresses that belong together, and secrets that were good; until when.
    proved: Cache<Key, SystemTime>,
    /// Wakes those who wait for others to be decided.
    decided: Notify,
    /// How many more may wait.
    waiting: Semaphore,
}

/// A keyed hash of who is counted: nothing of a caller can be read from it.
type Key = [u8; 16];

impl Counters {
    fn keys(&self, address: Option<IpAddr>, attempt: Attempt<'_>) -> Keys {
        let network = address.map(|address| ClientAddress(address).network());
        let place = network.as_ref().map_or(&[][..], |network| network);
        let at = |kind: &[u8]| network.as_ref().map(|network| self.keyed(kind, &[network]));
        match attempt {
            Attempt::Secret(secret) => {
                let whole = self.keyed(b"secret", &[place, secret.as_bytes()]);
                let address = at(b"secret-address");
                let (account, pair, proof) = (None, None, Some(whole));
                Keys { address, account, pair, proof, guess: whole, whole }
            }
            Attempt::Password { realm, account, password } => {
                let (realm, name) = (realm.as_bytes(), account.as_bytes());
                let password = password.expose_secret().as_bytes();
                let pair = network.map(|network| self.keyed(b"pair", &[&network, realm, name]));
                Keys {
                    address: at(b"address"),
                    account: Some(self.keyed(b"account", &[realm, name])),
                    pair,
                    proof: pair,
                    guess: self.keyed(b"guess", &[realm, name, password]),
                    whole: self.keyed(b"password", &[place, realm, name, password]),
                }
            }
        }
    }

    async fn enter(
        &self,
        keys: &Keys,
        queue_class: QueueClass,
        now: SystemTime,
    ) -> Result<(), Limited> {
        let mut waits = None;
        loop {
            let decided = self.decided.notified();
            tokio::pin!(decided);
            // From here on nobody is decided without waking this one.
            decided.as_mut().enable();
            let (by, room) = match self.ledger.enter(keys, queue_class, now) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            match room {
                Room::In(retry_after) => return Err(Limited { by, retry_after }),
                Room::WhenDecided if waits.is_none() => {
                    let place = self.waiting.try_acquire();
                    let retry_after = Duration::from_secs(1);
                    waits = Some(place.map_err(|_| Limited { by, retry_after })?);
                }
                Room::WhenDecided => {}
            }
            decided.await;
        }
    }

    fn proves(&self, keys: &Keys, now: SystemTime) {
        if let Some(proof) = keys.proof {
            self.proved.insert(proof, now + PROVED_FOR);
        }
    }

    /// Whether this is the second half of an attempt that failed, and the only one.
    fn takes_second_half(&self, keys: &Keys, now: SystemTime) -> Half {
        let until = self.halves.get(&keys.whole);
        if holds(until, now, SECOND_HALF_WITHIN) && self.halves.remove(&keys.whole).is_some() {
            Half::Second
        } else {
            Half::First
        }
    }

    fn queue_class(&self, keys: &Keys, now: SystemTime) -> QueueClass {
        let proved = |proof| holds(self.proved.get(&proof), now, PROVED_FOR);
        if keys.proof.is_some_and(proved) { QueueClass::Proved } else { QueueClass::Unproved }
    }

    fn keyed(&self, kind: &[u8], fields: &[&[u8]]) -> Key {
        keyed(&self.key, kind, fields)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

fn keyed(key: &hmac::Key, kind: &[u8], fields: &[&[u8]]) -> Key {
    let mut context = hmac::Context::with_key(key);
    for field in [&kind].into_iter().chain(fields) {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&context.sign().as_ref()[..16]);
    key
}

/// What lies further ahead than it can was noted before the clock was set back.
fn holds(until: Option<SystemTime>, now: SystemTime, at_most: Duration) -> bool {
    let left = until.and_then(|until| until.duration_since(now).ok());
    left.is_some_and(|left| !left.is_zero() && left <= at_most)
}

const PROVED_FOR: Duration = Duration::from_hours(24);
const SECOND_HALF_WITHIN: Duration = Duration::from_secs(30);
/// How many attempts may wait for others at once; whoever finds no place comes back in a second.
const MAX_WAITING: usize = 1_024;

#[cfg(test)]
mod tests;
