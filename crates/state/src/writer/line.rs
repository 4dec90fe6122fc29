//! The line of those who want to write: one has its turn at a time, and parties take turns fairly.
//!
//! A party is an account, or an address without one, or the server itself. The next turn is for whoever waits
//! and whose party has had it for the shortest time so far; among equals, for who came first. So one party that
//! has a hundred long parts to do makes the others wait for one of them at a time, whatever its parts cost:
//! nobody has to know that beforehand.
//!
//! Whoever comes anew begins where a party would be that had had its share all along: having been away saves nothing
//! up, and those who are new, however many come, do not keep waiting who has had a turn.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    fmt, mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

/// Who writes.
pub(crate) type Party = Arc<str>;

/// Where all stand who want to have `T` for a while. Clones are the same line.
pub(super) struct Line<T: Default>(Arc<Mutex<State<T>>>);

struct State<T: Default> {
    /// `None` while somebody has it.
    thing: Option<T>,
    parties: HashMap<Party, Standing<T>>,
    /// The first of each party that waits: for how long the party has had it, and when it came.
    order: BTreeSet<(Duration, u64, Party)>,
    closers: VecDeque<Closer<T>>,
    arrivals: u64,
    /// For how long a party has had it that has always been here: time goes by for it as slowly as there are many.
    level: Duration,
}

/// One party's part of the line.
struct Standing<T: Default> {
    had: Duration,
    waiting: VecDeque<Waiter<T>>,
}

struct Waiter<T: Default> {
    arrival: u64,
    called: oneshot::Sender<Turn<T>>,
}

/// See [`Line::close`].
struct Closer<T: Default> {
    behind: u64,
    due: Instant,
    called: oneshot::Sender<Turn<T>>,
}

/// The thing, until this is dropped.
pub(super) struct Turn<T: Default> {
    /// `None` once it was passed on.
    line: Option<Line<T>>,
    /// Nobody pays for what a closer does.
    party: Option<Party>,
    since: Instant,
    thing: T,
}

impl<T: Default> Line<T> {
    pub(super) fn new(thing: T) -> Self {
        Self(Arc::new(Mutex::new(State {
            thing: Some(thing),
            parties: HashMap::new(),
            order: BTreeSet::new(),
            closers: VecDeque::new(),
            arrivals: 0,
            level: Duration::ZERO,
        })))
    }

    /// Waits for a turn. `None` if there is no line any more.
    pub(super) async fn turn(&self, party: &Party) -> Option<Turn<T>> {
        let called = {
            let mut state = self.state();
            match state.thing.take() {
                // Nobody waits then.
                Some(thing) => {
                    state.standing(party);
                    return Some(self.hand(Some(Arc::clone(party)), thing));
                }
                None => state.wait(party),
            }
        };
        called.await.ok()
    }

    /// A turn behind all who stand here by now, and before those who come later; before these too, if it has
    /// taken them longer than `within`.
    pub(super) fn close(&self, within: Duration) -> impl Future<Output = Option<Turn<T>>> + use<T> {
        let (called, turn) = oneshot::channel();
        let mut state = self.state();
        let closer = Closer { behind: state.arrivals, due: Instant::now() + within, called };
        state.closers.push_back(closer);
        async { turn.await.ok() }
    }

    fn hand(&self, party: Option<Party>, thing: T) -> Turn<T> {
        Turn { line: Some(self.clone()), party, since: Instant::now(), thing }
    }

    /// Gives the thing to the next who has not gone away.
    fn pass(&self, party: Option<&Party>, had: Duration, mut thing: T) {
        if let Some(party) = party {
            self.state().charge(party, had);
        }
        loop {
            let next = {
                let mut state = self.state();
                let next = state.next(Instant::now());
                if next.is_none() {
                    state.rest(mem::take(&mut thing));
                }
                next
            };
            let Some((party, called)) = next else { return };
            match called.send(self.hand(party, thing)) {
                Ok(()) => return,
                Err(mut turn) => {
                    turn.line = None;
                    thing = mem::take(&mut turn.thing);
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> State<T> {
    fn standing(&mut self, party: &Party) -> &mut Standing<T> {
        let level = self.level;
        if self.parties.len() >= MANY {
            self.parties.retain(|_, standing| !standing.waiting.is_empty() || standing.had > level);
        }
        match self.parties.entry(Arc::clone(party)) {
            Entry::Occupied(known) => {
                let standing = known.into_mut();
                if standing.waiting.is_empty() {
                    standing.had = standing.had.max(level);
                }
                standing
            }
            Entry::Vacant(new) => new.insert(Standing { had: level, waiting: VecDeque::new() }),
        }
    }

    fn wait(&mut self, party: &Party) -> oneshot::Receiver<Turn<T>> {
        let (called, turn) = oneshot::channel();
        let arrival = self.arrivals;
        self.arrivals += 1;
        let standing = self.standing(party);
        standing.waiting.push_back(Waiter { arrival, called });
        if standing.waiting.len() == 1 {
            let had = standing.had;
            self.order.insert((had, arrival, Arc::clone(party)));
        }
        turn
    }

    /// A party has had its turn for so long.
    fn charge(&mut self, party: &Party, time: Duration) {
        let waits = self.parties.get(party).is_some_and(|standing| !standing.waiting.is_empty());
        let sharers = self.order.len() + usize::from(!waits);
        self.level += time / u32::try_from(sharers).unwrap_or(u32::MAX);
        let Some(standing) = self.parties.get_mut(party) else { return };
        let before = standing.had;
        standing.had += time;
        if let Some(first) = standing.waiting.front() {
            let (had, arrival) = (standing.had, first.arrival);
            self.order.remove(&(before, arrival, Arc::clone(party)));
            self.order.insert((had, arrival, Arc::clone(party)));
        }
    }

    fn next(&mut self, now: Instant) -> Option<(Option<Party>, oneshot::Sender<Turn<T>>)> {
        let first = self.order.first();
        let is_due = |closer: &Closer<T>| {
            closer.due <= now || first.is_none_or(|(_, arrival, _)| *arrival >= closer.behind)
        };
        if self.closers.front().is_some_and(is_due) {
            return self.closers.pop_front().map(|closer| (None, closer.called));
        }
        let (had, _, party) = self.order.pop_first()?;
        self.level = self.level.max(had);
        let standing = self.parties.get_mut(&party)?;
        let waiter = standing.waiting.pop_front()?;
        if let Some(next) = standing.waiting.front() {
            self.order.insert((had, next.arrival, Arc::clone(&party)));
        }
        Some((Some(party), waiter.called))
    }

    /// Nobody waits: what has been is forgotten.
    fn rest(&mut self, thing: T) {
        self.thing = Some(thing);
        self.parties.clear();
        self.level = Duration::ZERO;
    }
}

impl<T: Default> Deref for Turn<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.thing
    }
}

impl<T: Default> DerefMut for Turn<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.thing
    }
}

impl<T: Default> Drop for Turn<T> {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            let had = self.since.elapsed();
            line.pass(self.party.as_ref(), had, mem::take(&mut self.thing));
        }
    }
}

impl<T: Default> Clone for Line<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> fmt::Debug for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

/// As many are remembered though they may wait for nothing, before it is asked which of them still matter.
const MANY: usize = 1024;

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

    fn stands(line: &Line<()>, served: &Served, party: &str, milliseconds: u64) {
        let (line, served, name) = (line.clone(), served.clone(), party.to_owned());
        tokio::spawn(async move {
            let turn = line.turn(&Party::from(&*name)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            served.note(&name);
            drop(turn);
        });
    }

    async fn closes(line: &Line<()>, served: &Served, within: u64) {
        let closing = line.close(Duration::from_millis(within));
        let served = served.clone();
        tokio::spawn(async move {
            let turn = closing.await;
            served.note("|");
            drop(turn);
        });
        tokio::task::yield_now().await;
    }

    /// All who stand there, in the order of their turns; somebody holds them up until all stand.
    async fn order(stand: impl AsyncFnOnce(&Line<()>, &Served)) -> String {
        let (line, served) = (Line::new(()), Served::default());
        let before = line.turn(&Party::from("")).await.unwrap();
        stand(&line, &served).await;
        tokio::task::yield_now().await;
        drop(before);
        tokio::time::sleep(Duration::from_mins(1)).await;
        served.all()
    }

    #[tokio::test(start_paused = true)]
    async fn among_equals_who_came_first_is_served_first() {
        let came = order(async |line, served| {
            for party in ["d", "c", "b", "a"] {
                stands(line, served, party, 1);
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(came.await, "dcba");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_much_to_do_makes_others_wait_for_one_part_at_a_time() {
        let came = order(async |line, served| {
            for _ in 0..6 {
                stands(line, served, "A", 100);
            }
            tokio::task::yield_now().await;
            for _ in 0..6 {
                stands(line, served, "b", 30);
            }
            tokio::task::yield_now().await;
            stands(line, served, "c", 1);
        });
        assert_eq!(came.await, "AbcbbbAbbAAAA");
    }

    #[tokio::test(start_paused = true)]
    async fn being_away_saves_nothing_up() {
        let (line, served) = (Line::new(()), Served::default());
        for _ in 0..6 {
            stands(&line, &served, "A", 100);
        }
        tokio::time::sleep(Duration::from_millis(350)).await;
        for _ in 0..3 {
            stands(&line, &served, "b", 100);
        }
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(served.all(), "AAAAbAbAb");
    }

    /// As many addresses as somebody has, or as many accounts as there are jobs.
    #[tokio::test(start_paused = true)]
    async fn those_who_are_new_do_not_keep_waiting_who_was_there() {
        let (line, served) = (Line::new(()), Served::default());
        for number in 0..40 {
            // Three of them wait at any time.
            stands(&line, &served, &char::from(b'0' + number).to_string(), 100);
            if number == 0 || number == 3 {
                stands(&line, &served, "v", 100);
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
        let came = order(async |line, served| {
            stands(line, served, "a", 1);
            stands(line, served, "a", 1);
            tokio::task::yield_now().await;
            closes(line, served, 1000).await;
            stands(line, served, "a", 1);
        });
        assert_eq!(came.await, "aa|a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closer_waits_no_longer_than_it_was_told() {
        let came = order(async |line, served| {
            for _ in 0..4 {
                stands(line, served, "a", 100);
            }
            tokio::task::yield_now().await;
            closes(line, served, 150).await;
        });
        assert_eq!(came.await, "aa|aa");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_holds_nobody_up() {
        let line = Line::new(());
        let party = Party::from("a");
        let held = line.turn(&party).await.unwrap();
        for _ in 0..3 {
            let waits = tokio::time::timeout(Duration::from_secs(1), line.turn(&party));
            assert!(waits.await.is_err());
        }
        // One who is called, and is gone before it hears of it.
        let mut called = Box::pin(line.turn(&party));
        tokio::select! {
            biased;
            _ = &mut called => panic!("somebody else has it"),
            () = async {} => {}
        }
        drop(held);
        drop(called);
        let turn = tokio::time::timeout(Duration::from_secs(1), line.turn(&party)).await;
        drop(turn.unwrap());
        let state = line.state();
        assert!(state.thing.is_some() && state.parties.is_empty() && state.order.is_empty());
    }
}
