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
//! The last two would let one caller lock out another: the colleague behind the same address, the
//! account that a botnet has chosen. So whoever has logged in to an account from an address within
//! the last day is asked for the first alone, and does not stand behind all others where passwords
//! wait to be checked.
//!
//! A refresh token cannot be guessed. Unknown ones count apart, per address, for the work that they make;
//! wrong passwords from behind an address stop nobody there who has logged in before, and nothing stops
//! a token that was good within the last day.
//!
//! Failures are counted when they are known. Requests in flight at once may overdraw a bucket; that
//! is paid back before the next is admitted, but for no longer than ten minutes.

mod bucket;

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use aws_lc_rs::hmac;
use portpass_password::Standing;
use portpass_token::Random;
use quick_cache::sync::Cache;
use secrecy::ExposeSecret as _;

use self::bucket::{Buckets, Key};
use crate::subject::{Credential, Login};

pub use self::bucket::Quota;

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

/// Failures per address, per account, and per both. Cheap to ask; no I/O.
#[derive(Debug, Default)]
pub struct Limits(Option<Counters>);

impl Limits {
    /// Nobody has failed yet. `random` keys what is remembered of callers.
    pub fn new(settings: LimitSettings, random: &dyn Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        let LimitSettings { pair, address, account, entries } = settings;
        Self(Some(Counters {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            pairs: Buckets::new(pair, entries),
            addresses: Buckets::new(address, entries),
            accounts: Buckets::new(account, entries),
            halves: Cache::new(entries),
            proved: Cache::new(entries),
        }))
    }

    /// No limit at all.
    pub fn off() -> Self {
        Self::default()
    }

    /// Whether this attempt may be made now. What becomes of it is told back through the
    /// [`Admission`].
    ///
    /// One bad password arrives twice, by POST and then by GET (TP7, T8); it counts once, and where
    /// the first half was admitted the second is.
    pub fn admit(
        &self,
        address: Option<IpAddr>,
        credential: &Credential,
        now: SystemTime,
    ) -> Result<Admission<'_>, Limited> {
        let Some(counters) = &self.0 else { return Ok(Admission::free(now)) };
        let Some(attempt) = counters.attempt(address, credential) else {
            return Ok(Admission::free(now));
        };
        let standing = counters.standing(&attempt, now);
        counters.ask(&attempt, standing, now)?;
        Ok(Admission { pending: Some((counters, attempt)), standing, now })
    }
}

/// An attempt under way.
///
/// Dropped without a word it counts as a failure: hanging up must not buy a guess, or the work of a
/// hash, for nothing.
#[derive(Debug)]
#[must_use = "an attempt that is dropped counts as a failure"]
pub struct Admission<'a> {
    pending: Option<(&'a Counters, Attempt)>,
    standing: Standing,
    now: SystemTime,
}

impl Admission<'_> {
    /// Of what nobody counts.
    fn free(now: SystemTime) -> Self {
        Self { pending: None, standing: Standing::Unproved, now }
    }

    /// Whether the same account was right from the same address within the last day. Without limits nobody
    /// remembers.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The credential was right, or there was none to check.
    pub fn accepted(mut self) {
        if let Some((counters, attempt)) = self.pending.take() {
            counters.accepted(&attempt, self.now);
        }
    }

    /// The credential was wrong.
    pub fn rejected(mut self, now: SystemTime) {
        if let Some((counters, attempt)) = self.pending.take() {
            counters.rejected(&attempt, now);
        }
    }

    /// Nobody could say: a source or the pool was not available. Counts for nothing.
    pub fn withdraw(mut self) {
        self.pending = None;
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some((counters, attempt)) = self.pending.take() {
            counters.rejected(&attempt, self.now);
        }
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
    pairs: Buckets,
    addresses: Buckets,
    accounts: Buckets,
    /// Failed attempts that may come once more without counting, and until when.
    halves: Cache<Key, SystemTime>,
    /// Accounts and addresses that belong together, and refresh tokens that were good; until when.
    proved: Cache<Key, SystemTime>,
}

/// Under which an attempt counts. Keyed hashes: nothing of a caller can be read from them.
#[derive(Debug)]
struct Attempt {
    address: Option<Key>,
    account: Option<Key>,
    pair: Option<Key>,
    /// What it proves if it is right.
    proof: Option<Key>,
    whole: Key,
}

impl Counters {
    /// `None`: there is nothing that could be wrong.
    fn attempt(&self, address: Option<IpAddr>, credential: &Credential) -> Option<Attempt> {
        let network = address.map(network);
        let place = network.as_ref().map_or(&[][..], |network| network);
        let network_as =
            |kind: &[u8]| network.as_ref().map(|network| self.keyed(kind, [network, b"", b""]));
        match credential {
            Credential::Anonymous => None,
            Credential::Refresh(secret) => {
                let whole = self.keyed(b"refresh", [place, b"", secret.expose().as_bytes()]);
                let address = network_as(b"refresh-address");
                Some(Attempt { address, account: None, pair: None, proof: Some(whole), whole })
            }
            Credential::Password(Login { account, password }) => {
                let name = account.as_str().as_bytes();
                let password = password.expose_secret().as_bytes();
                let pair = network.map(|network| self.keyed(b"pair", [&network, name, b""]));
                Some(Attempt {
                    address: network_as(b"address"),
                    account: Some(self.keyed(b"account", [b"", name, b""])),
                    pair,
                    proof: pair,
                    whole: self.keyed(b"password", [place, name, password]),
                })
            }
        }
    }

    fn ask(&self, attempt: &Attempt, standing: Standing, now: SystemTime) -> Result<(), Limited> {
        if self.is_second_half(attempt, now) {
            return Ok(());
        }
        let pair = (&self.pairs, attempt.pair, "for this account from this address");
        let address = (&self.addresses, attempt.address, "from this address");
        let account = (&self.accounts, attempt.account, "for this account");
        let asked = match standing {
            Standing::Proved => &[pair][..],
            Standing::Unproved => &[pair, address, account],
        };
        let waits = asked.iter().filter_map(|(buckets, key, by)| {
            let retry_after = buckets.wait(&(*key)?, now)?;
            Some(Limited { by, retry_after })
        });
        waits.max_by_key(|limited| limited.retry_after).map_or(Ok(()), Err)
    }

    fn accepted(&self, attempt: &Attempt, now: SystemTime) {
        if let Some(proof) = attempt.proof {
            self.proved.insert(proof, now + PROVED_FOR);
        }
    }

    fn rejected(&self, attempt: &Attempt, now: SystemTime) {
        if self.is_second_half(attempt, now) && self.halves.remove(&attempt.whole).is_some() {
            return;
        }
        self.halves.insert(attempt.whole, now + SECOND_HALF_WITHIN);
        for (buckets, key) in [
            (&self.pairs, attempt.pair),
            (&self.addresses, attempt.address),
            (&self.accounts, attempt.account),
        ] {
            if let Some(key) = key {
                buckets.charge(key, now);
            }
        }
    }

    fn is_second_half(&self, attempt: &Attempt, now: SystemTime) -> bool {
        holds(self.halves.get(&attempt.whole), now, SECOND_HALF_WITHIN)
    }

    fn standing(&self, attempt: &Attempt, now: SystemTime) -> Standing {
        let proved = |proof| holds(self.proved.get(&proof), now, PROVED_FOR);
        if attempt.proof.is_some_and(proved) { Standing::Proved } else { Standing::Unproved }
    }

    fn keyed(&self, kind: &[u8], fields: [&[u8]; 3]) -> Key {
        let mut context = hmac::Context::with_key(&self.key);
        for field in [kind].into_iter().chain(fields) {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&context.sign().as_ref()[..16]);
        key
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

/// What lies further ahead than it can was noted before the clock was set back.
fn holds(until: Option<SystemTime>, now: SystemTime, at_most: Duration) -> bool {
    let left = until.and_then(|until| until.duration_since(now).ok());
    left.is_some_and(|left| !left.is_zero() && left <= at_most)
}

/// An IPv4 address, also one written as IPv6, or the /64 that an IPv6 address is in.
fn network(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            // No /64 that is routed looks like this.
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let mut network = [0; 8];
            network.copy_from_slice(&address.octets()[..8]);
            network
        }
    }
}

const PROVED_FOR: Duration = Duration::from_hours(24);
const SECOND_HALF_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
