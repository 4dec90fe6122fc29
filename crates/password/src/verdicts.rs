//! What others say of passwords: a directory, a service of the operator's.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_lc_rs::hmac;
use quick_cache::sync::Cache;

use crate::{
    cache::fingerprint,
    credentials::Credentials,
    singleflight::{Fingerprint, InFlight, Leader, Role},
};

/// Remembers what somebody else said of some credentials, for a fixed time, and of them only a keyed hash.
///
/// Of many who ask the same at once one asks the other side, and all get the answer: eight requests of one
/// client with a wrong password are one wrong password to a directory that counts them. Using an entry does
/// not prolong it: the other side may have changed its mind.
pub struct VerdictCache<T> {
    key: hmac::Key,
    lifetime: Duration,
    kept: Cache<Fingerprint, (SystemTime, T)>,
    flights: InFlight<T>,
}

/// What is known of some credentials.
pub enum Known<'a, T> {
    /// This was said a moment ago, or to another caller while this one waited.
    Said(T),
    /// Nothing: this caller asks.
    Nothing(Question<'a, T>),
}

/// The duty to ask. Dropped without an answer, it goes to the next in line.
pub struct Question<'a, T> {
    cache: &'a VerdictCache<T>,
    key: Fingerprint,
    lead: Leader<'a, T>,
}

impl<T: Clone> VerdictCache<T> {
    pub(crate) fn new(key: hmac::Key, lifetime: Duration) -> Self {
        Self { key, lifetime, kept: Cache::new(ENTRIES), flights: InFlight::default() }
    }

    /// Looks the credentials up, or waits until nobody else asks about the same ones. An entry counts while
    /// it `holds`.
    pub async fn look_up(
        &self,
        credentials: &Credentials<'_>,
        now: SystemTime,
        holds: impl Fn(&T) -> bool,
    ) -> Known<'_, T> {
        let key = fingerprint(&self.key, credentials, "");
        let kept = || self.kept(key, now).filter(&holds);
        if let Some(said) = kept() {
            return Known::Said(said);
        }
        match self.flights.join(key).await {
            Role::Follower(said) => Known::Said(said),
            Role::Leader(lead) => match kept() {
                // Somebody may have been told between the look and the turn.
                Some(said) => Known::Said(said),
                None => Known::Nothing(Question { cache: self, key, lead }),
            },
        }
    }

    /// An entry that lies further ahead than entries live was made before the clock was set back.
    fn kept(&self, key: Fingerprint, now: SystemTime) -> Option<T> {
        let (until, said) = self.kept.get(&key)?;
        let left = until.duration_since(now).ok()?;
        (!left.is_zero() && left <= self.lifetime).then_some(said)
    }
}

impl<T: Clone> Question<'_, T> {
    /// Gives the answer to all who wait, and until its time is over to all who come.
    pub fn keep(self, said: T, now: SystemTime) {
        self.cache.kept.insert(self.key, (now + self.cache.lifetime, said.clone()));
        self.lead.publish(said);
    }

    /// Gives the answer to all who wait; whoever comes later asks again. What was kept is forgotten.
    pub fn pass_on(self, said: T) {
        self.cache.kept.remove(&self.key);
        self.lead.publish(said);
    }
}

impl<T> fmt::Debug for VerdictCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerdictCache").finish_non_exhaustive()
    }
}

/// A keyed hash and a short answer each.
const ENTRIES: usize = 10_000;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use secrecy::SecretString;

    use super::*;

    const LIFETIME: Duration = Duration::from_mins(5);

    fn cache() -> VerdictCache<u8> {
        VerdictCache::new(hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]), LIFETIME)
    }

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    async fn said(cache: &VerdictCache<u8>, password: &str, now: SystemTime) -> Option<u8> {
        let password = SecretString::from(password);
        match cache.look_up(&Credentials::unproved("ann", &password), now, |_| true).await {
            Known::Said(said) => Some(said),
            Known::Nothing(_) => None,
        }
    }

    async fn question<'a>(cache: &'a VerdictCache<u8>, password: &str) -> Question<'a, u8> {
        let password = SecretString::from(password);
        match cache.look_up(&Credentials::unproved("ann", &password), noon(), |_| false).await {
            Known::Said(said) => panic!("{said} was said"),
            Known::Nothing(question) => question,
        }
    }

    #[tokio::test]
    async fn an_answer_is_known_for_its_time_and_use_does_not_prolong_it() {
        let cache = cache();
        question(&cache, "right").await.keep(7, noon());
        let last = noon() + LIFETIME - Duration::from_millis(1);
        assert_eq!(said(&cache, "right", noon()).await, Some(7));
        assert_eq!(said(&cache, "right", last).await, Some(7));
        assert_eq!(said(&cache, "right", noon() + LIFETIME).await, None);
        assert_eq!(said(&cache, "right", noon() - Duration::from_secs(1)).await, None);
        assert_eq!(said(&cache, "righ", noon()).await, None);
    }

    #[tokio::test]
    async fn what_is_only_passed_on_or_no_longer_holds_is_asked_again() {
        let cache = cache();
        question(&cache, "right").await.pass_on(1);
        assert_eq!(said(&cache, "right", noon()).await, None);
        question(&cache, "right").await.keep(7, noon());
        question(&cache, "right").await.pass_on(0);
        assert_eq!(said(&cache, "right", noon()).await, None);
    }

    #[tokio::test]
    async fn of_many_equal_questions_at_once_one_is_asked() {
        let cache = cache();
        let first = question(&cache, "wrong").await;
        let mut second = Box::pin(said(&cache, "wrong", noon()));
        assert!(second.as_mut().now_or_never().is_none());
        first.pass_on(3);
        assert_eq!(second.await, Some(3));
        assert_eq!(said(&cache, "wrong", noon()).await, None);
    }
}
