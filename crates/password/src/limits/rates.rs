//! How often tokens may be asked for, also by those who are right. Off unless the configuration asks for it.
//!
//! An address counts before anybody is looked up, an account once its credential was right: a stranger cannot use
//! up the requests of an account.

use std::{
    fmt,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_lc_rs::hmac;
use portpass_protocol::ClientAddress;
use quick_cache::sync::Cache;

use super::{
    Key, Quota, SECOND_HALF_WITHIN,
    bucket::{Buckets, Room},
    holds, keyed,
};

/// What may be asked for; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateSettings {
    /// By one account, from anywhere.
    pub account: Option<Quota>,
    /// From one address, or the /64 it is in.
    pub address: Option<Quota>,
}

/// Token requests per address and per account. Cheap to ask; no I/O.
#[derive(Debug)]
pub struct RequestRates {
    settings: RateSettings,
    counters: Option<Counters>,
}

struct Counters {
    key: hmac::Key,
    accounts: Option<Mutex<Buckets>>,
    addresses: Option<Mutex<Buckets>>,
    /// Refused requests that may come once more by the other method, and until when.
    halves: Cache<Key, SystemTime>,
}

/// One request, as both of its halves have it: containerd asks by POST, and after a refusal by GET.
#[derive(Debug, Clone, Copy)]
pub struct RequestIdentity<'a> {
    /// Where it comes from; without an address nothing counts for one.
    pub address: Option<IpAddr>,
    /// Whom it names, the registry and the resources: whatever is equal in both halves.
    pub fields: &'a [&'a [u8]],
}

/// Too many requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many token requests {by}; try again in {} s", retry_after.as_secs())]
pub struct RateExceeded {
    /// What ran out: `from this address`, `for this account`.
    pub by: &'static str,
    /// When to come back, in whole seconds and at least one.
    pub retry_after: Duration,
}

impl RequestRates {
    /// Nobody has asked yet. `key` comes from the caller's source of randomness and keys what is remembered of
    /// callers.
    pub fn new(settings: RateSettings, key: [u8; 32]) -> Self {
        let buckets = |quota: Quota| Mutex::new(Buckets::new(quota, ENTRIES));
        let is_limited = settings != RateSettings::default();
        let counters = is_limited.then(|| Counters {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            accounts: settings.account.map(buckets),
            addresses: settings.address.map(buckets),
            halves: Cache::new(ENTRIES),
        });
        Self { settings, counters }
    }

    /// No limit at all.
    pub fn off() -> Self {
        Self { settings: RateSettings::default(), counters: None }
    }

    /// Whether nothing counts.
    pub fn are_off(&self) -> bool {
        self.counters.is_none()
    }

    /// What it was made with.
    pub fn settings(&self) -> RateSettings {
        self.settings
    }

    /// Counts a request for its address. The second half of one that [`refused`](Self::refused) was told of
    /// counts for nothing.
    pub fn admit(&self, request: RequestIdentity<'_>, now: SystemTime) -> Result<(), RateExceeded> {
        let Some(counters) = &self.counters else { return Ok(()) };
        let (Some(addresses), Some(address)) = (&counters.addresses, request.address) else {
            return Ok(());
        };
        let whole = counters.whole(request);
        if holds(counters.halves.get(&whole), now, SECOND_HALF_WITHIN)
            && counters.halves.remove(&whole).is_some()
        {
            return Ok(());
        }
        let network = ClientAddress(address).network();
        let key = keyed(&counters.key, b"request-address", &[&network]);
        take(addresses, key, now)
            .map_err(|retry_after| RateExceeded { by: "from this address", retry_after })
    }

    /// Counts a request for the account that it has proved to be.
    pub fn admit_account(&self, account: &[&[u8]], now: SystemTime) -> Result<(), RateExceeded> {
        let Some(counters) = &self.counters else { return Ok(()) };
        let Some(accounts) = &counters.accounts else { return Ok(()) };
        let key = keyed(&counters.key, b"request-account", account);
        take(accounts, key, now)
            .map_err(|retry_after| RateExceeded { by: "for this account", retry_after })
    }

    /// The first half of a request was refused for another reason: its client may ask again by GET.
    pub fn refused(&self, request: RequestIdentity<'_>, now: SystemTime) {
        if let Some(counters) = self.counters.as_ref().filter(|c| c.addresses.is_some()) {
            counters.halves.insert(counters.whole(request), now + SECOND_HALF_WITHIN);
        }
    }
}

impl Counters {
    fn whole(&self, request: RequestIdentity<'_>) -> Key {
        let network = request.address.map(|address| ClientAddress(address).network());
        let place = network.as_ref().map_or(&[][..], |network| network);
        let fields: Vec<&[u8]> =
            std::iter::once(place).chain(request.fields.iter().copied()).collect();
        keyed(&self.key, b"request", &fields)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

/// Takes one request's place, or says when there is one. A refusal counts for nothing: the wait that was told holds.
fn take(buckets: &Mutex<Buckets>, key: Key, now: SystemTime) -> Result<(), Duration> {
    let mut buckets: MutexGuard<'_, Buckets> =
        buckets.lock().unwrap_or_else(PoisonError::into_inner);
    match buckets.room(&key, &NO_GUESS, now) {
        Some(Room::In(wait)) => Err(wait),
        Some(Room::WhenDecided) | None => {
            buckets.charge(key, now);
            Ok(())
        }
    }
}

/// Requests are counted when they come: none is under way.
const NO_GUESS: Key = [0; 16];
/// How many callers each counter remembers.
const ENTRIES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_secs(seconds)
    }

    fn rates() -> RequestRates {
        let quota = |burst, refill| Some(Quota { burst, refill: Duration::from_secs(refill) });
        RequestRates::new(RateSettings { account: quota(2, 30), address: quota(3, 10) }, [1; 32])
    }

    fn from<'a>(address: &str, fields: &'a [&'a [u8]]) -> RequestIdentity<'a> {
        RequestIdentity { address: Some(address.parse().unwrap()), fields }
    }

    #[test]
    fn an_address_has_its_burst_and_then_one_each_refill() {
        let rates = rates();
        let request = from("192.0.2.1", &[b"ann"]);
        for _ in 0..3 {
            assert_eq!(rates.admit(request, at(0)), Ok(()));
        }
        let refused = rates.admit(request, at(0)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "too many token requests from this address; try again in 10 s"
        );
        // Who asks too early does not wait longer for it.
        assert_eq!(rates.admit(request, at(4)).unwrap_err().retry_after.as_secs(), 6);
        assert_eq!(rates.admit(request, at(10)), Ok(()));
        assert!(rates.admit(request, at(10)).is_err());
        assert_eq!(rates.admit(from("192.0.2.2", &[b"ann"]), at(10)), Ok(()));
        assert_eq!(rates.admit(RequestIdentity { address: None, ..request }, at(10)), Ok(()));
    }

    #[test]
    fn an_account_counts_from_everywhere_and_by_its_source() {
        let rates = rates();
        let ann: [&[u8]; 2] = [b"local", b"1"];
        assert_eq!(
            (rates.admit_account(&ann, at(0)), rates.admit_account(&ann, at(0))),
            (Ok(()), Ok(()))
        );
        let refused = rates.admit_account(&ann, at(0)).unwrap_err();
        assert_eq!((refused.by, refused.retry_after.as_secs()), ("for this account", 30));
        assert_eq!(rates.admit_account(&[b"ldap", b"1"], at(0)), Ok(()));
        assert_eq!(rates.admit_account(&ann, at(30)), Ok(()));
    }

    /// TP7: containerd asks by POST, is refused, and asks by GET.
    #[test]
    fn a_refused_request_and_its_second_half_count_once() {
        let rates = rates();
        let request = from("192.0.2.1", &[b"ann", b"registry", b"repository:a:pull"]);
        for turn in 0..3 {
            assert_eq!(rates.admit(request, at(turn)), Ok(()), "POST");
            rates.refused(request, at(turn));
            assert_eq!(rates.admit(request, at(turn)), Ok(()), "GET");
        }
        assert!(rates.admit(request, at(3)).is_err(), "three halves are three requests");

        let rates = self::rates();
        assert_eq!(rates.admit(request, at(0)), Ok(()));
        rates.refused(request, at(0));
        let other = from("192.0.2.1", &[b"ann", b"registry", b"repository:b:pull"]);
        assert_eq!(rates.admit(other, at(0)), Ok(()), "another request is no second half");
        assert_eq!(rates.admit(request, at(31)), Ok(()), "too late, but refilled");
        assert_eq!(rates.admit(request, at(31)), Ok(()));
        assert_eq!(rates.admit(request, at(31)), Ok(()));
        assert!(rates.admit(request, at(31)).is_err());
    }

    #[test]
    fn without_settings_nothing_counts() {
        for rates in [RequestRates::off(), RequestRates::new(RateSettings::default(), [1; 32])] {
            let request = from("192.0.2.1", &[b"ann"]);
            assert!((0..1000).all(|_| rates.admit(request, at(0)).is_ok()));
            assert!((0..1000).all(|_| rates.admit_account(&[b"ann"], at(0)).is_ok()));
        }
    }
}
