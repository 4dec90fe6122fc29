//! The few threads that hash, and the bounded queue in front of them.

use std::{
    num::NonZeroUsize,
    panic,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use crate::{
    cost::{Cost, HighestCost, Work},
    format::{self, Comparison, PasswordHash},
};

/// Hashes on blocking threads, as many at once as it was given. Cheap to clone; one for the whole
/// process.
///
/// First come, first served, in two queues: whoever has proved a password before finds room, and waits for no
/// more of the others than there are threads, however many there are who guess. So those have their turn too,
/// a slow one while the first queue is full.
///
/// ```text
/// Proved   ── place ───────────────────> in line for a thread ──> hashes
/// Unproved ── place ── its turn ───────> in line for a thread ──> hashes
///                      as many in line or hashing as there are threads
/// ```
///
/// Who stops waiting leaves the queue. What has begun is finished, and its thread counts as taken
/// until then: hanging up does not make room for more.
#[derive(Debug, Clone)]
pub struct HashPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// One permit for each job that waits or runs, by queue class.
    places: [Arc<Semaphore>; 2],
    /// One for each of the unproved who is in line for a thread or has one. Fair, as is the next: a
    /// semaphore's queue is first in, first out.
    turns: Arc<Semaphore>,
    /// One for everybody who hashes.
    threads: Arc<Semaphore>,
    settings: PoolSettings,
    sources: Mutex<Vec<Weak<Mutex<HighestCost>>>>,
    worked: Mutex<Work>,
}

/// How large a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Hashes at once: the number of cores.
    pub threads: NonZeroUsize,
    /// How many of each [`QueueClass`] may wait beyond those.
    pub queue: usize,
}

impl PoolSettings {
    /// For a machine of so many cores: on each, queues that bcrypt 10 works off in 3.5 s each.
    pub fn for_cores(cores: NonZeroUsize) -> Self {
        Self { threads: cores, queue: cores.get().saturating_mul(QUEUE_PER_THREAD) }
    }
}

impl HashPool {
    /// A pool that has nothing to do yet.
    pub fn new(settings: PoolSettings) -> Self {
        let threads = settings.threads.get().min(Semaphore::MAX_PERMITS);
        let places = threads.saturating_add(settings.queue).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            places: [(); 2].map(|()| Arc::new(Semaphore::new(places))),
            turns: Arc::new(Semaphore::new(threads)),
            threads: Arc::new(Semaphore::new(threads)),
            settings,
            sources: Mutex::default(),
            worked: Mutex::default(),
        }))
    }

    /// Registers a source of accounts: what its entries cost counts for every refusal of the
    /// process until the source is dropped.
    pub fn source(&self) -> SourceCosts {
        let costs = SourceCosts(Arc::default());
        let mut sources = self.0.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|source| source.strong_count() > 0);
        sources.push(Arc::downgrade(&costs.0));
        costs
    }

    /// The costliest hash of each algorithm among all sources: what a refusal costs.
    pub fn highest(&self) -> HighestCost {
        let sources = self.0.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let live = sources.iter().filter_map(Weak::upgrade);
        live.map(|source| *source.lock().unwrap_or_else(PoisonError::into_inner))
            .fold(HighestCost::default(), HighestCost::or)
    }

    /// Hashes a new password with argon2id; `salt` comes from the caller's source of randomness.
    pub async fn hash(
        &self,
        password: SecretString,
        salt: [u8; 16],
    ) -> Result<Arc<PasswordHash>, Busy> {
        self.run(QueueClass::Unproved, move || {
            Arc::new(PasswordHash::argon2id(password.expose_secret().as_bytes(), salt))
        })
        .await
    }

    /// Who hashes and who waits at this moment, for metrics.
    pub fn load(&self) -> Load {
        let PoolSettings { threads, queue } = self.0.settings;
        let hashing = threads.get().saturating_sub(self.0.threads.available_permits());
        let inside = |places: &Arc<Semaphore>| {
            (threads.get() + queue).saturating_sub(places.available_permits())
        };
        let inside: usize = self.0.places.iter().map(inside).sum();
        Load { hashing, waiting: inside.saturating_sub(hashing) }
    }

    /// What comparisons and refusals have worked since the start. Two refusals that differ in it can be
    /// told apart by the time they take.
    pub fn work_done(&self) -> Work {
        *self.0.worked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_work(&self, work: Work) {
        *self.0.worked.lock().unwrap_or_else(PoisonError::into_inner) += work;
    }

    /// Compares, and on a mismatch does what is missing to the highest cost, in the same turn:
    /// every refusal waits once and works the same.
    pub(crate) async fn compare(
        &self,
        queue_class: QueueClass,
        password: SecretString,
        stored: Arc<PasswordHash>,
    ) -> Result<Result<Matched, CostProof>, Busy> {
        let pool = self.clone();
        self.run(queue_class, move || {
            let password = password.expose_secret().as_bytes();
            let compared = stored.verify(password);
            pool.add_work(stored.cost().into());
            match compared {
                Comparison::Match => Ok(Matched(())),
                Comparison::Mismatch => Err(pool.pay(stored.cost(), password)),
            }
        })
        .await
    }

    /// Does the work of a refusal where there is nothing to compare with.
    pub(crate) async fn refuse(
        &self,
        queue_class: QueueClass,
        password: SecretString,
    ) -> Result<CostProof, Busy> {
        let pool = self.clone();
        let pay = move || pool.pay(Cost::Nothing, password.expose_secret().as_bytes());
        self.run(queue_class, pay).await
    }

    fn pay(&self, spent: Cost, password: &[u8]) -> CostProof {
        self.add_work(format::top_up(self.highest(), spent, password));
        CostProof(())
    }

    async fn run<T: Send + 'static>(
        &self,
        queue_class: QueueClass,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let Inner { places, turns, threads, .. } = &*self.0;
        let place = Arc::clone(&places[queue_class as usize]);
        let place = place.try_acquire_owned().map_err(|_| Busy::NOW)?;
        let turn = match queue_class {
            QueueClass::Proved => None,
            QueueClass::Unproved => Some(one_of(turns).await?),
        };
        let thread = one_of(threads).await?;
        let done = task::spawn_blocking(move || {
            let result = job();
            drop((thread, turn, place));
            result
        });
        match done.await {
            Ok(result) => Ok(result),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                // The runtime is shutting down.
                Err(_) => Err(Busy::NOW),
            },
        }
    }
}

async fn one_of(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Busy> {
    Arc::clone(permits).acquire_owned().await.map_err(|_| Busy::NOW)
}

/// The queue that a password waits in. It is chosen before the password is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueClass {
    /// Of a caller of whom nothing is known.
    #[default]
    Unproved,
    /// Of a caller who has proved the same account from the same address not long ago.
    Proved,
}

/// One source's share in what refusals cost.
#[derive(Debug)]
pub struct SourceCosts(Arc<Mutex<HighestCost>>);

impl SourceCosts {
    /// Replaces what this source's entries cost.
    pub fn set(&self, costs: impl IntoIterator<Item = Cost>) {
        let highest = costs.into_iter().collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = highest;
    }

    /// Adds an entry whose cost shows only when it is read.
    pub fn add(&self, cost: Cost) {
        let mut highest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *highest = highest.or(cost.into());
    }
}

/// Proof that a refusal did the work that every refusal does. Only the pool makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostProof(());

/// Proof that a password is the one that was hashed. Only the pool makes one.
#[derive(Debug)]
pub(crate) struct Matched(());

#[cfg(test)]
impl Matched {
    pub(crate) fn for_test() -> Self {
        Self(())
    }
}

/// Who is in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// On the threads.
    pub hashing: usize,
    /// In the queue.
    pub waiting: usize,
}

/// The queue is full: answer 503 and ask to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be checked; try again in {} s", retry_after.as_secs())]
pub struct Busy {
    /// For `Retry-After`.
    pub retry_after: Duration,
}

impl Busy {
    const NOW: Self = Self { retry_after: Duration::from_secs(2) };
}

const QUEUE_PER_THREAD: usize = 64;

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc;

    use super::*;

    fn pool(threads: usize, queue: usize) -> HashPool {
        HashPool::new(PoolSettings { threads: NonZeroUsize::new(threads).unwrap(), queue })
    }

    /// A job that says when it starts and ends when told to.
    pub(crate) struct Held {
        started: mpsc::Receiver<()>,
        pub(crate) end: mpsc::Sender<()>,
    }

    pub(crate) fn hold(pool: &HashPool) -> (Held, task::JoinHandle<Result<(), Busy>>) {
        hold_as(QueueClass::Unproved, pool)
    }

    fn hold_as(
        queue_class: QueueClass,
        pool: &HashPool,
    ) -> (Held, task::JoinHandle<Result<(), Busy>>) {
        let (start, started) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let pool = pool.clone();
        let running = tokio::spawn(async move {
            pool.run(queue_class, move || {
                start.send(()).unwrap();
                ended.recv().unwrap();
            })
            .await
        });
        (Held { started, end }, running)
    }

    /// Lets other tasks run until the pool looks as it should.
    pub(crate) async fn until(pool: &HashPool, hashing: usize, waiting: usize) {
        while pool.load() != (Load { hashing, waiting }) {
            task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_says_when_to_come_back() {
        let pool = pool(1, 1);
        let (first, first_running) = hold(&pool);
        until(&pool, 1, 0).await;
        let (second, second_running) = hold(&pool);
        until(&pool, 1, 1).await;

        let busy = pool.run(QueueClass::Unproved, || ()).await.unwrap_err();
        assert!(busy.retry_after >= Duration::from_secs(1));

        first.end.send(()).unwrap();
        first_running.await.unwrap().unwrap();
        second.end.send(()).unwrap();
        second_running.await.unwrap().unwrap();
        assert_eq!(pool.load(), Load { hashing: 0, waiting: 0 });
        pool.run(QueueClass::Unproved, || ()).await.unwrap();
    }

    #[tokio::test]
    async fn no_more_hash_at_once_than_there_are_threads_and_they_take_turns() {
        let pool = pool(2, 8);
        let jobs: Vec<_> = (0..3).map(|_| hold(&pool)).collect();
        until(&pool, 2, 1).await;
        let [(a, a_running), (b, b_running), (c, c_running)] = jobs.try_into().ok().unwrap();
        a.started.recv().unwrap();
        b.started.recv().unwrap();
        assert!(c.started.try_recv().is_err());
        b.end.send(()).unwrap();
        b_running.await.unwrap().unwrap();
        until(&pool, 2, 0).await;
        a.end.send(()).unwrap();
        c.end.send(()).unwrap();
        a_running.await.unwrap().unwrap();
        c_running.await.unwrap().unwrap();
    }

    /// The order in which those are served who come in turn while one hashes.
    async fn order(first: QueueClass, others: &[QueueClass]) -> Vec<usize> {
        let pool = pool(1, 8);
        let (first, first_running) = hold_as(first, &pool);
        until(&pool, 1, 0).await;
        let (tell, told) = mpsc::channel();
        let mut running = Vec::new();
        for (number, queue_class) in others.iter().copied().enumerate() {
            let (waiting, tell) = (pool.clone(), tell.clone());
            let job =
                async move { waiting.run(queue_class, move || tell.send(number).unwrap()).await };
            running.push(tokio::spawn(job));
            until(&pool, 1, number + 1).await;
        }
        first.end.send(()).unwrap();
        first_running.await.unwrap().unwrap();
        for job in running {
            job.await.unwrap().unwrap();
        }
        told.try_iter().collect()
    }

    #[tokio::test]
    async fn the_first_that_comes_is_the_first_that_is_served() {
        let served = order(QueueClass::Unproved, &[QueueClass::Unproved; 8]).await;
        assert_eq!(served, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[tokio::test]
    async fn who_was_proved_before_finds_room_and_stands_behind_none_who_waits_to_guess() {
        let pool = pool(1, 2);
        let (first, first_running) = hold(&pool);
        until(&pool, 1, 0).await;
        let (tell, told) = mpsc::channel();
        let say = |queue_class, what: &'static str| {
            let (pool, tell) = (pool.clone(), tell.clone());
            tokio::spawn(
                async move { pool.run(queue_class, move || tell.send(what).unwrap()).await },
            )
        };
        let guesses = [say(QueueClass::Unproved, "guess"), say(QueueClass::Unproved, "guess")];
        until(&pool, 1, 2).await;
        assert!(pool.run(QueueClass::Unproved, || ()).await.is_err(), "that queue is full");
        let proved = say(QueueClass::Proved, "proved");
        until(&pool, 1, 3).await;
        first.end.send(()).unwrap();
        first_running.await.unwrap().unwrap();
        for job in [proved].into_iter().chain(guesses) {
            job.await.unwrap().unwrap();
        }
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["proved", "guess", "guess"]);
        assert_eq!(pool.load(), Load { hashing: 0, waiting: 0 });
    }

    #[tokio::test]
    async fn who_was_never_proved_has_a_turn_however_many_were() {
        let others =
            [QueueClass::Proved, QueueClass::Unproved, QueueClass::Unproved, QueueClass::Proved];
        assert_eq!(order(QueueClass::Proved, &others).await, [0, 1, 3, 2]);
    }

    #[tokio::test]
    async fn who_hangs_up_leaves_the_queue_but_frees_no_thread() {
        let pool = pool(1, 1);
        let (first, first_running) = hold(&pool);
        until(&pool, 1, 0).await;
        let (_second, second_running) = hold(&pool);
        until(&pool, 1, 1).await;
        second_running.abort();
        until(&pool, 1, 0).await;
        first_running.abort();
        assert!(first_running.await.unwrap_err().is_cancelled());
        assert_eq!(pool.load(), Load { hashing: 1, waiting: 0 });
        first.end.send(()).unwrap();
        until(&pool, 0, 0).await;
    }

    #[tokio::test]
    #[should_panic(expected = "from within")]
    async fn a_panic_in_a_job_is_the_callers_and_frees_its_thread() {
        let pool = pool(1, 0);
        let caller = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(QueueClass::Unproved, || panic!("from within")).await }
        });
        let error = caller.await.unwrap_err();
        pool.run(QueueClass::Unproved, || ()).await.unwrap();
        panic::resume_unwind(error.into_panic());
    }

    #[tokio::test]
    async fn a_new_password_is_hashed_with_argon2id() {
        let hash = pool(1, 0).hash("opensesame".into(), [3; 16]).await.unwrap();
        assert_eq!(hash.verify(b"opensesame"), Comparison::Match);
    }

    #[test]
    fn what_refusals_cost_is_the_highest_of_all_live_sources() {
        let pool = pool(1, 0);
        let (a, b) = (pool.source(), pool.source());
        a.set([Cost::Bcrypt(5), Cost::Bcrypt(12)]);
        b.set([Cost::Bcrypt(10)]);
        assert_eq!(pool.highest(), Cost::Bcrypt(12).into());
        a.set([Cost::Bcrypt(4)]);
        assert_eq!(pool.highest(), Cost::Bcrypt(10).into());
        a.add(Cost::Bcrypt(11));
        assert_eq!(pool.highest(), Cost::Bcrypt(11).into());
        drop(a);
        assert_eq!(pool.highest(), Cost::Bcrypt(10).into());
    }
}
