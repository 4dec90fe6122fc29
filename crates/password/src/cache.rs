//! Credentials that were proved a moment ago.

use std::{
    fmt,
    num::NonZeroUsize,
    time::{Duration, SystemTime},
};

use aws_lc_rs::hmac;
use quick_cache::sync::Cache;
use secrecy::ExposeSecret as _;

use crate::{
    credentials::Credentials,
    format::PasswordHash,
    pool::{CostProof, Matched},
    singleflight::{CheckResult, Fingerprint, InFlight, Leader, Role},
};

/// Remembers proved credentials, never refused ones, and of them only a keyed hash.
///
/// It skips the hashing alone. Everything that the answer depends on is in the key, the stored hash
/// included, so a changed password is not found; whether the account is enabled is the source's to
/// say, each time.
pub struct CredentialCache {
    key: hmac::Key,
    lifetime: Duration,
    proved: Cache<Fingerprint, SystemTime>,
    flights: InFlight,
}

impl CredentialCache {
    /// Holds so many entries at most, each until nobody has used it for `lifetime`: whoever comes all the
    /// time never has to stand in line behind those who guess. `key` comes from the caller's source of
    /// randomness and never leaves the process.
    pub fn new(key: [u8; 32], entries: NonZeroUsize, lifetime: Duration) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            lifetime,
            proved: Cache::new(entries.get()),
            flights: InFlight::default(),
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.proved.clear();
    }

    /// How many are remembered, for metrics.
    pub fn len(&self) -> usize {
        self.proved.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks the credentials up, or waits until nobody else checks the same ones: of many equal
    /// requests at once, as clients and guessers send them, one hashes for all.
    pub(crate) async fn enter(
        &self,
        credentials: &Credentials<'_>,
        stored: Option<&PasswordHash>,
        now: SystemTime,
    ) -> Lookup<'_> {
        let key = self.fingerprint(credentials, stored);
        if self.knows(key, now) {
            return Lookup::Proved;
        }
        match self.flights.join(key).await {
            // Somebody may have been told between the look and the turn.
            Role::Leader(_) if self.knows(key, now) => Lookup::Proved,
            Role::Leader(lead) => Lookup::Pending(PendingCheck { cache: self, key, lead }),
            Role::Follower(CheckResult::Proved) => Lookup::Proved,
            Role::Follower(CheckResult::Refused(paid)) => Lookup::Refused(paid),
        }
    }

    fn knows(&self, key: Fingerprint, now: SystemTime) -> bool {
        self.proved.remove_if(&key, |until| !self.valid(*until, now));
        match self.proved.get(&key) {
            Some(until) if self.valid(until, now) => {
                self.prolong(key, until, now);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Not at each use: a write makes others wait.
    fn prolong(&self, key: Fingerprint, until: SystemTime, now: SystemTime) {
        if until < now + self.lifetime / 2 {
            // An error means that it was forgotten meanwhile: then it stays so.
            let _ = self.proved.replace(key, now + self.lifetime, true);
        }
    }

    /// An entry that lies further ahead than entries live was made before the clock was set back.
    fn valid(&self, until: SystemTime, now: SystemTime) -> bool {
        until.duration_since(now).is_ok_and(|left| !left.is_zero() && left <= self.lifetime)
    }

    fn fingerprint(
        &self,
        credentials: &Credentials<'_>,
        stored: Option<&PasswordHash>,
    ) -> Fingerprint {
        fingerprint(&self.key, credentials, stored.map_or("", PasswordHash::expose))
    }

    /// What it hashes with, for what others have proved.
    pub(crate) fn key(&self) -> &hmac::Key {
        &self.key
    }
}

/// A keyed hash of some credentials and of what else the answer depends on.
pub(crate) fn fingerprint(
    key: &hmac::Key,
    credentials: &Credentials<'_>,
    stored: &str,
) -> Fingerprint {
    let mut context = hmac::Context::with_key(key);
    let password = credentials.password.expose_secret();
    for field in [credentials.source, credentials.name, password, stored] {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.sign().as_ref());
    fingerprint
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What the cache knows of some credentials.
pub(crate) enum Lookup<'a> {
    /// They were proved a moment ago.
    Proved,
    /// They were refused to another caller while this one waited.
    Refused(CostProof),
    /// The caller has to check them.
    Pending(PendingCheck<'a>),
}

/// The right to check some credentials. Dropped without a verdict, it goes to the next in line.
pub(crate) struct PendingCheck<'a> {
    cache: &'a CredentialCache,
    key: Fingerprint,
    lead: Leader<'a>,
}

impl PendingCheck<'_> {
    /// Accepts these credentials from all who wait with them, and until the entry is forgotten.
    pub(crate) fn prove(self, _proof: Matched, now: SystemTime) {
        self.cache.proved.insert(self.key, now + self.cache.lifetime);
        self.lead.publish(CheckResult::Proved);
    }

    /// Refuses all who wait with these credentials; the refusal is not remembered.
    pub(crate) fn refuse(self, paid: CostProof) {
        self.lead.publish(CheckResult::Refused(paid));
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::format::Formats;

    const LIFETIME: Duration = Duration::from_mins(5);

    fn cache(entries: usize) -> CredentialCache {
        CredentialCache::new([1; 32], NonZeroUsize::new(entries).unwrap(), LIFETIME)
    }

    fn stored(text: &str) -> PasswordHash {
        PasswordHash::parse(text, Formats::Current).unwrap()
    }

    fn bilbo() -> PasswordHash {
        stored("$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu")
    }

    async fn knows(
        cache: &CredentialCache,
        credentials: &Credentials<'_>,
        hash: &PasswordHash,
        now: SystemTime,
    ) -> bool {
        matches!(cache.enter(credentials, Some(hash), now).await, Lookup::Proved)
    }

    async fn prove(
        cache: &CredentialCache,
        credentials: &Credentials<'_>,
        hash: &PasswordHash,
        now: SystemTime,
    ) {
        let Lookup::Pending(turn) = cache.enter(credentials, Some(hash), now).await else {
            panic!("known")
        };
        turn.prove(Matched::for_test(), now);
    }

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    #[tokio::test]
    async fn a_proved_credential_is_known_until_nobody_has_used_it_for_its_lifetime() {
        let (cache, hash, password) = (cache(10), bilbo(), SecretString::from("opensesame"));
        let credentials = Credentials::unproved("bilbo", &password);
        assert!(!knows(&cache, &credentials, &hash, noon()).await);
        prove(&cache, &credentials, &hash, noon()).await;
        assert!(knows(&cache, &credentials, &hash, noon()).await);
        let last = noon() + LIFETIME - Duration::from_millis(1);
        assert!(knows(&cache, &credentials, &hash, last).await);
        assert!(
            knows(&cache, &credentials, &hash, last + LIFETIME - Duration::from_millis(1)).await
        );
        assert!(!knows(&cache, &credentials, &hash, last + 3 * LIFETIME).await);
        assert!(cache.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_used_is_forgotten_in_time() {
        let (cache, hash, password) = (cache(10), bilbo(), SecretString::from("opensesame"));
        let credentials = Credentials::unproved("bilbo", &password);
        prove(&cache, &credentials, &hash, noon()).await;
        assert!(!knows(&cache, &credentials, &hash, noon() + LIFETIME).await);
        assert!(cache.is_empty());
    }

    #[tokio::test]
    async fn an_entry_made_before_the_clock_was_set_back_does_not_count() {
        let (cache, hash, password) = (cache(10), bilbo(), SecretString::from("opensesame"));
        let credentials = Credentials::unproved("bilbo", &password);
        prove(&cache, &credentials, &hash, noon()).await;
        assert!(!knows(&cache, &credentials, &hash, noon() - Duration::from_hours(1)).await);
    }

    /// A cache key names everything the answer depends on, and where each field ends.
    #[tokio::test]
    async fn another_source_name_password_or_stored_hash_is_not_found() {
        let (cache, hash, password) = (cache(10), bilbo(), SecretString::from("opensesame"));
        let credentials = Credentials::unproved("bilbo", &password);
        prove(&cache, &credentials, &hash, noon()).await;

        let changed = stored("$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMa");
        assert!(!knows(&cache, &credentials, &changed, noon()).await);
        let (longer, empty) = (SecretString::from("opensesame "), SecretString::from(""));
        for other in [
            Credentials { source: "htpasswd", ..credentials },
            Credentials { name: "bilbob", ..credentials },
            Credentials { name: "bilb", ..credentials },
            Credentials { password: &longer, ..credentials },
            Credentials { password: &empty, ..credentials },
            Credentials { source: "localb", name: "ilbo", ..credentials },
            Credentials { name: "bilboopensesame", password: &empty, ..credentials },
        ] {
            assert!(!knows(&cache, &other, &hash, noon()).await, "{other:?}");
        }
        assert!(matches!(cache.enter(&credentials, None, noon()).await, Lookup::Pending(_)));
        assert!(knows(&cache, &credentials, &hash, noon()).await);
    }

    #[tokio::test]
    async fn it_holds_no_more_than_it_was_given() {
        let (cache, hash, password) = (cache(64), bilbo(), SecretString::from("opensesame"));
        for number in 0..1_000 {
            let name = format!("user{number}");
            let credentials = Credentials::unproved(&name, &password);
            prove(&cache, &credentials, &hash, noon()).await;
        }
        assert!((1..=128).contains(&cache.len()), "{}", cache.len());
        cache.clear();
        assert!(cache.is_empty());
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", cache(1)), "CredentialCache { len: 0, .. }");
    }
}
