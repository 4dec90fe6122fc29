//! A fair queue of writers: one has the permit at a time, and principals take turns.
//!
//! A principal is an account, or an address without one, or the server itself. The next permit goes to the waiting
//! principal that has held it for the shortest time so far; among equals, to the one that came first. So a principal
//! with a hundred long parts makes the others wait for one of them at a time, whatever its parts cost: nobody has to
//! know that beforehand.
//!
//! A new principal begins at the virtual time: with the time of a principal that has had its share all along. Being
//! away saves nothing up, and new principals, however many come, do not keep others waiting.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    fmt, mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

/// On whose behalf something is written.
pub(crate) type Principal = Arc<str>;

/// Hands `T` to one holder at a time. Clones are the same queue.
pub(super) struct FairQueue<T: Default>(Arc<Mutex<State<T>>>);

struct State<T: Default> {
    /// `None` while somebody has it.
    value: Option<T>,
    principals: HashMap<Principal, PrincipalQueue<T>>,
    /// The first of each principal that waits: for how long the principal has had it, and when it came.
    order: BTreeSet<(Duration, u64, Principal)>,
    barriers: VecDeque<Barrier<T>>,
    arrivals: u64,
    /// How long a principal has held it that was always here: the more principals, the slower it goes.
    virtual_time: Duration,
}

/// One principal's part of the queue.
struct PrincipalQueue<T: Default> {
    had: Duration,
    waiting: VecDeque<Waiter<T>>,
}

struct Waiter<T: Default> {
    arrival: u64,
    called: oneshot::Sender<Permit<T>>,
}

/// See [`FairQueue::barrier`].
struct Barrier<T: Default> {
    behind: u64,
    due: Instant,
    called: oneshot::Sender<Permit<T>>,
}

/// The value, until this is dropped.
pub(super) struct Permit<T: Default> {
    /// `None` once it was passed on.
    queue: Option<FairQueue<T>>,
    /// `None` for a barrier: its time is charged to no principal.
    principal: Option<Principal>,
    since: Instant,
    value: T,
}

impl<T: Default> FairQueue<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(State {
            value: Some(value),
            principals: HashMap::new(),
            order: BTreeSet::new(),
            barriers: VecDeque::new(),
            arrivals: 0,
            virtual_time: Duration::ZERO,
        })))
    }

    /// Waits for a turn. `None` if there is no queue any more.
    pub(super) async fn acquire(&self, principal: &Principal) -> Option<Permit<T>> {
        let called = {
            let mut state = self.state();
            match state.value.take() {
                // Nobody waits then.
                Some(value) => {
                    state.queued(principal);
                    return Some(self.permit(Some(Arc::clone(principal)), value));
                }
                None => state.wait(principal),
            }
        };
        called.await.ok()
    }

    /// A permit behind all that wait by now, and before those that come later. After `within` it goes before
    /// all of them.
    pub(super) fn barrier(
        &self,
        within: Duration,
    ) -> impl Future<Output = Option<Permit<T>>> + use<T> {
        let (called, turn) = oneshot::channel();
        let mut state = self.state();
        let barrier = Barrier { behind: state.arrivals, due: Instant::now() + within, called };
        state.barriers.push_back(barrier);
        async { turn.await.ok() }
    }

    fn permit(&self, principal: Option<Principal>, value: T) -> Permit<T> {
        Permit { queue: Some(self.clone()), principal, since: Instant::now(), value }
    }

    /// Gives the value to the next who has not gone away.
    fn release(&self, principal: Option<&Principal>, had: Duration, mut value: T) {
        if let Some(principal) = principal {
            self.state().charge(principal, had);
        }
        loop {
            let next = {
                let mut state = self.state();
                let next = state.next(Instant::now());
                if next.is_none() {
                    state.idle(mem::take(&mut value));
                }
                next
            };
            let Some((principal, called)) = next else { return };
            match called.send(self.permit(principal, value)) {
                Ok(()) => return,
                Err(mut turn) => {
                    turn.queue = None;
                    value = mem::take(&mut turn.value);
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> State<T> {
    fn queued(&mut self, principal: &Principal) -> &mut PrincipalQueue<T> {
        let virtual_time = self.virtual_time;
        if self.principals.len() >= PRUNE_FROM {
            self.principals
                .retain(|_, queued| !queued.waiting.is_empty() || queued.had > virtual_time);
        }
        match self.principals.entry(Arc::clone(principal)) {
            Entry::Occupied(known) => {
                let queued = known.into_mut();
                if queued.waiting.is_empty() {
                    queued.had = queued.had.max(virtual_time);
                }
                queued
            }
            Entry::Vacant(new) => {
                new.insert(PrincipalQueue { had: virtual_time, waiting: VecDeque::new() })
            }
        }
    }

    fn wait(&mut self, principal: &Principal) -> oneshot::Receiver<Permit<T>> {
        let (called, turn) = oneshot::channel();
        let arrival = self.arrivals;
        self.arrivals += 1;
        let queued = self.queued(principal);
        queued.waiting.push_back(Waiter { arrival, called });
        if queued.waiting.len() == 1 {
            let had = queued.had;
            self.order.insert((had, arrival, Arc::clone(principal)));
        }
        turn
    }

    /// A principal has had its turn for so long.
    fn charge(&mut self, principal: &Principal, time: Duration) {
        let waits = self.principals.get(principal).is_some_and(|queued| !queued.waiting.is_empty());
        let sharers = self.order.len() + usize::from(!waits);
        self.virtual_time += time / u32::try_from(sharers).unwrap_or(u32::MAX);
        let Some(queued) = self.principals.get_mut(principal) else { return };
        let before = queued.had;
        queued.had += time;
        if let Some(first) = queued.waiting.front() {
            let (had, arrival) = (queued.had, first.arrival);
            self.order.remove(&(before, arrival, Arc::clone(principal)));
            self.order.insert((had, arrival, Arc::clone(principal)));
        }
    }

    fn next(&mut self, now: Instant) -> Option<(Option<Principal>, oneshot::Sender<Permit<T>>)> {
        let first = self.order.first();
        let is_due = |barrier: &Barrier<T>| {
            barrier.due <= now || first.is_none_or(|(_, arrival, _)| *arrival >= barrier.behind)
        };
        if self.barriers.front().is_some_and(is_due) {
            return self.barriers.pop_front().map(|barrier| (None, barrier.called));
        }
        let (had, _, principal) = self.order.pop_first()?;
        self.virtual_time = self.virtual_time.max(had);
        let queued = self.principals.get_mut(&principal)?;
        let waiter = queued.waiting.pop_front()?;
        if let Some(next) = queued.waiting.front() {
            self.order.insert((had, next.arrival, Arc::clone(&principal)));
        }
        Some((Some(principal), waiter.called))
    }

    /// Nobody waits: what has been is forgotten.
    fn idle(&mut self, value: T) {
        self.value = Some(value);
        self.principals.clear();
        self.virtual_time = Duration::ZERO;
    }
}

impl<T: Default> Deref for Permit<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Default> DerefMut for Permit<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Default> Drop for Permit<T> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            let had = self.since.elapsed();
            queue.release(self.principal.as_ref(), had, mem::take(&mut self.value));
        }
    }
}

impl<T: Default> Clone for FairQueue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> fmt::Debug for FairQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairQueue").finish_non_exhaustive()
    }
}

/// As many are remembered though they may wait for nothing, before it is asked which of them still matter.
const PRUNE_FROM: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Who had a turn, in order.
    #[derive(Clone, Default)]
    struct Served(Arc<Mutex<String>>);

    impl Served {
        fn note(&self, who: &str) {
            self.0.lock().unwrap().push_str(who);
        }

        fn all(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    fn stands(queue: &FairQueue<()>, served: &Served, principal: &str, milliseconds: u64) {
        let (queue, served, name) = (queue.clone(), served.clone(), principal.to_owned());
        tokio::spawn(async move {
            let turn = queue.acquire(&Principal::from(&*name)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            served.note(&name);
            drop(turn);
        });
    }

    async fn closes(queue: &FairQueue<()>, served: &Served, within: u64) {
        let closing = queue.barrier(Duration::from_millis(within));
        let served = served.clone();
        tokio::spawn(async move {
            let turn = closing.await;
            served.note("|");
            drop(turn);
        });
        tokio::task::yield_now().await;
    }

    /// All who stand there, in the order of their turns; somebody holds them up until all stand.
    async fn order(stand: impl AsyncFnOnce(&FairQueue<()>, &Served)) -> String {
        let (queue, served) = (FairQueue::new(()), Served::default());
        let before = queue.acquire(&Principal::from("")).await.unwrap();
        stand(&queue, &served).await;
        tokio::task::yield_now().await;
        drop(before);
        tokio::time::sleep(Duration::from_mins(1)).await;
        served.all()
    }

    #[tokio::test(start_paused = true)]
    async fn among_equals_who_came_first_is_served_first() {
        let came = order(async |queue, served| {
            for principal in ["d", "c", "b", "a"] {
                stands(queue, served, principal, 1);
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(came.await, "dcba");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_much_to_do_makes_others_wait_for_one_part_at_a_time() {
        let came = order(async |queue, served| {
            for _ in 0..6 {
                stands(queue, served, "A", 100);
            }
            tokio::task::yield_now().await;
            for _ in 0..6 {
                stands(queue, served, "b", 30);
            }
            tokio::task::yield_now().await;
            stands(queue, served, "c", 1);
        });
        assert_eq!(came.await, "AbcbbbAbbAAAA");
    }

    #[tokio::test(start_paused = true)]
    async fn being_away_saves_nothing_up() {
        let (queue, served) = (FairQueue::new(()), Served::default());
        for _ in 0..6 {
            stands(&queue, &served, "A", 100);
        }
        tokio::time::sleep(Duration::from_millis(350)).await;
        for _ in 0..3 {
            stands(&queue, &served, "b", 100);
        }
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(served.all(), "AAAAbAbAb");
    }

    /// As many addresses as somebody has, or as many accounts as there are jobs.
    #[tokio::test(start_paused = true)]
    async fn those_who_are_new_do_not_keep_waiting_who_was_there() {
        let (queue, served) = (FairQueue::new(()), Served::default());
        for number in 0..40 {
            // Three of them wait at any time.
            stands(&queue, &served, &char::from(b'0' + number).to_string(), 100);
            if number == 0 || number == 3 {
                stands(&queue, &served, "v", 100);
            }
            if number > 2 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        tokio::time::sleep(Duration::from_mins(1)).await;
        let all = served.all();
        assert_eq!(all.matches('v').count(), 2, "{all}");
        assert!(all.rfind('v').unwrap() < 12, "{all}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closer_comes_behind_all_who_stand_there_and_before_who_comes_later() {
        let came = order(async |queue, served| {
            stands(queue, served, "a", 1);
            stands(queue, served, "a", 1);
            tokio::task::yield_now().await;
            closes(queue, served, 1000).await;
            stands(queue, served, "a", 1);
        });
        assert_eq!(came.await, "aa|a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closer_waits_no_longer_than_it_was_told() {
        let came = order(async |queue, served| {
            for _ in 0..4 {
                stands(queue, served, "a", 100);
            }
            tokio::task::yield_now().await;
            closes(queue, served, 150).await;
        });
        assert_eq!(came.await, "aa|aa");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_holds_nobody_up() {
        let queue = FairQueue::new(());
        let principal = Principal::from("a");
        let held = queue.acquire(&principal).await.unwrap();
        for _ in 0..3 {
            let waits = tokio::time::timeout(Duration::from_secs(1), queue.acquire(&principal));
            assert!(waits.await.is_err());
        }
        // One who is called, and is gone before it hears of it.
        let mut called = Box::pin(queue.acquire(&principal));
        tokio::select! {
            biased;
            _ = &mut called => panic!("somebody else has it"),
            () = async {} => {}
        }
        drop(held);
        drop(called);
        let turn = tokio::time::timeout(Duration::from_secs(1), queue.acquire(&principal)).await;
        drop(turn.unwrap());
        let state = queue.state();
        assert!(state.value.is_some() && state.principals.is_empty() && state.order.is_empty());
    }
}
