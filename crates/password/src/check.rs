//! One way to check a password, for every source of accounts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    cache::{CredentialCache, Lookup},
    credentials::Credentials,
    format::PasswordHash,
    pool::{Busy, CostProof, HashPool},
    verdicts::VerdictCache,
};

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The password is right.
    Accept,
    /// It is not. The refusal has cost what every refusal costs.
    Reject(CostProof),
}

/// Asks the cache first, then the pool. Cheap to clone; one for the whole process.
#[derive(Debug, Clone)]
pub struct PasswordCheck {
    pool: HashPool,
    cache: Arc<CredentialCache>,
}

impl PasswordCheck {
    /// Over the process's pool and cache.
    pub fn new(pool: HashPool, cache: Arc<CredentialCache>) -> Self {
        Self { pool, cache }
    }

    /// Whether the password is the one that is stored. The caller has made sure that the
    /// account is enabled.
    pub async fn check(
        &self,
        credentials: Credentials<'_>,
        stored: &Arc<PasswordHash>,
        now: SystemTime,
    ) -> Result<Verdict, Busy> {
        let turn = match self.cache.enter(&credentials, Some(stored), now).await {
            Lookup::Proved => return Ok(Verdict::Accept),
            Lookup::Refused(paid) => return Ok(Verdict::Reject(paid)),
            Lookup::Pending(turn) => turn,
        };
        let password = credentials.password.clone();
        match self.pool.compare(credentials.queue_class, password, Arc::clone(stored)).await? {
            Ok(matched) => {
                turn.prove(matched, now);
                Ok(Verdict::Accept)
            }
            Err(paid) => {
                turn.refuse(paid);
                Ok(Verdict::Reject(paid))
            }
        }
    }

    /// Pays for a refusal that no stored hash was compared for: a name that no source knows, an
    /// account that is disabled, a stored hash of a form that does not count.
    pub async fn refuse(
        &self,
        credentials: Credentials<'_>,
        now: SystemTime,
    ) -> Result<CostProof, Busy> {
        // Equal credentials share a refusal here as they do in `check`, lest the time tell. Their queue
        // class does not matter: the right answer to one is the answer to all.
        match self.cache.enter(&credentials, None, now).await {
            Lookup::Refused(paid) => Ok(paid),
            Lookup::Pending(turn) => {
                let paid =
                    self.pool.refuse(credentials.queue_class, credentials.password.clone()).await?;
                turn.refuse(paid);
                Ok(paid)
            }
            // Nothing is stored that could have been proved: this refusal costs what every other does.
            Lookup::Proved => {
                self.pool.refuse(credentials.queue_class, credentials.password.clone()).await
            }
        }
    }

    /// A memory for what others say of passwords, as a directory does; nothing else of this process has its
    /// key.
    pub fn verdicts<T: Clone>(&self, lifetime: Duration) -> VerdictCache<T> {
        VerdictCache::new(self.cache.key().clone(), lifetime)
    }

    /// The pool, for hashing new passwords and registering sources.
    pub fn pool(&self) -> &HashPool {
        &self.pool
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        cost::{Cost, HighestCost, Work},
        format::Formats,
        pool::{
            PoolSettings, QueueClass, SourceCosts,
            tests::{hold, until},
        },
    };

    fn check(queue: usize) -> (PasswordCheck, SourceCosts) {
        let one = NonZeroUsize::MIN;
        let pool = HashPool::new(PoolSettings { threads: one, queue });
        let source = pool.source();
        let cache =
            CredentialCache::new([1; 32], NonZeroUsize::new(10).unwrap(), Duration::from_mins(5));
        (PasswordCheck::new(pool, Arc::new(cache)), source)
    }

    fn stored() -> Arc<PasswordHash> {
        let text = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";
        Arc::new(PasswordHash::parse(text, Formats::Current).unwrap())
    }

    /// HT8
    #[tokio::test]
    async fn the_right_password_is_accepted_and_then_known_without_the_pool() {
        let (check, _source) = check(0);
        let password = "opensesame".into();
        let credentials = Credentials::unproved("ann", &password);
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(check.check(credentials, &stored(), now).await, Ok(Verdict::Accept));

        let (held, running) = hold(&check.pool);
        until(&check.pool, 1, 0).await;
        assert_eq!(check.check(credentials, &stored(), now).await, Ok(Verdict::Accept));
        let wrong = "opensesam".into();
        let credentials = Credentials { password: &wrong, ..credentials };
        assert!(check.check(credentials, &stored(), now).await.is_err());
        assert!(check.refuse(credentials, now).await.is_err());
        held.end.send(()).unwrap();
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_wrong_password_is_rejected_each_time_and_never_remembered() {
        let (check, source) = check(0);
        source.set([Cost::Bcrypt(6)]);
        let password = "opensesam".into();
        let credentials = Credentials::unproved("ann", &password);
        for _ in 0..2 {
            let verdict =
                check.check(credentials, &stored(), SystemTime::UNIX_EPOCH).await.unwrap();
            assert!(matches!(verdict, Verdict::Reject(_)));
        }
        check.refuse(credentials, SystemTime::UNIX_EPOCH).await.unwrap();
        assert!(check.cache.is_empty());
        assert_eq!(check.pool().highest(), HighestCost::from(Cost::Bcrypt(6)));
    }

    #[tokio::test]
    async fn whoever_was_proved_before_waits_in_the_queue_for_those() {
        let (check, _source) = check(0);
        let (held, running) = hold(&check.pool);
        until(&check.pool, 1, 0).await;
        let (password, stored, now) = ("opensesame".into(), stored(), SystemTime::UNIX_EPOCH);
        let unproved = Credentials::unproved("ann", &password);
        assert!(check.check(unproved, &stored, now).await.is_err(), "no room");
        assert!(check.refuse(unproved, now).await.is_err(), "no room");
        let proved = Credentials { queue_class: QueueClass::Proved, ..unproved };
        assert!(check.refuse(proved, now).now_or_never().is_none(), "it waits");
        let waits = check.check(proved, &stored, now);
        let (answer, ended) = tokio::join!(waits, async {
            until(&check.pool, 1, 1).await;
            held.end.send(()).unwrap();
            running.await.unwrap()
        });
        assert_eq!((answer, ended), (Ok(Verdict::Accept), Ok(())));
    }

    /// A client that pulls eight layers asks eight times at once.
    #[tokio::test]
    async fn of_many_equal_requests_at_once_one_hashes() {
        // The pool has no queue: a second one that hashed would be told that it is busy.
        let (check, _source) = check(0);
        let stored = stored();
        let one = async || {
            let password = "opensesame".into();
            let credentials = Credentials::unproved("ann", &password);
            check.check(credentials, &stored, SystemTime::UNIX_EPOCH).await
        };
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        assert_eq!([a, b, c, d], [const { Ok(Verdict::Accept) }; 4]);
    }

    /// Asks three times at once: nothing is hashed until each of them stands in line.
    async fn at_once<T>(check: &PasswordCheck, ask: impl AsyncFn() -> T) -> [T; 3] {
        let (held, running) = hold(&check.pool);
        until(&check.pool, 1, 0).await;
        let (a, b, c, ()) = tokio::join!(ask(), ask(), ask(), async {
            until(&check.pool, 1, 1).await;
            held.end.send(()).unwrap();
            running.await.unwrap().unwrap();
        });
        [a, b, c]
    }

    /// HT7
    /// The work is counted, and the answers: what a clock could see is the same for both.
    #[tokio::test]
    async fn equal_refusals_share_one_hash_whether_the_name_is_known_or_not() {
        // There is a place in the queue for one: a second one that hashed would be told that it is busy.
        let (check, source) = check(1);
        source.set([Cost::Bcrypt(5)]);
        let stored = stored();
        let password = "opensesam".into();
        let credentials = Credentials::unproved("ann", &password);
        let worked = |before: Work| check.pool().work_done().since(before).bcrypt;
        let known = || check.check(credentials, &stored, SystemTime::UNIX_EPOCH);
        let before = check.pool().work_done();
        for verdict in at_once(&check, known).await {
            assert!(matches!(verdict, Ok(Verdict::Reject(_))));
        }
        assert_eq!(worked(before), 1 << 5);
        let unknown = || check.refuse(credentials, SystemTime::UNIX_EPOCH);
        let before = check.pool().work_done();
        assert!(at_once(&check, unknown).await.iter().all(Result::is_ok));
        assert_eq!(worked(before), 1 << 5);
        // One after the other each has its own.
        let before = check.pool().work_done();
        assert!(known().await.is_ok() && unknown().await.is_ok());
        assert_eq!(worked(before), 2 << 5);
    }
}
