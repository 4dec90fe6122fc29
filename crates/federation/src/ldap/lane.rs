//! The connections to one server for one purpose: how many there are at most, and who waits for one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::connection::Connection;

/// The connections to one server for one purpose.
///
/// A login needs a [`Slot`] before it takes or opens a connection, and a connection is kept before its slot is
/// free again. So there are never more connections, used and unused, than slots.
#[derive(Debug)]
pub(super) struct Lane {
    slots: Arc<Semaphore>,
    /// Who waits for a slot; a queue without an end would only end in time limits.
    queue: Semaphore,
    unused: Mutex<Vec<Unused>>,
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Slot(
    #[expect(dead_code, reason = "it counts until it is dropped")] OwnedSemaphorePermit,
);

/// All connections are in use, and none became free in time; or too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

#[derive(Debug)]
struct Unused {
    connection: Connection,
    since: Instant,
}

impl Lane {
    /// With so many connections at most; none is made yet.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(connections)),
            queue: Semaphore::new(connections.saturating_mul(WAITING)),
            unused: Mutex::default(),
        }
    }

    /// A slot, if one is free.
    pub(super) fn try_enter(&self) -> Option<Slot> {
        Arc::clone(&self.slots).try_acquire_owned().ok().map(Slot)
    }

    /// A slot, if one becomes free until then.
    pub(super) async fn enter(&self, until: Instant) -> Result<Slot, Busy> {
        if let Some(slot) = self.try_enter() {
            return Ok(slot);
        }
        let _place = self.queue.try_acquire().map_err(|_| Busy)?;
        let slot = timeout_at(until, Arc::clone(&self.slots).acquire_owned()).await;
        slot.map_err(|_| Busy)?.map(Slot).map_err(|_| Busy)
    }

    /// A connection that has not been unused for so long that it may be dead.
    pub(super) fn unused(&self) -> Option<Connection> {
        let mut unused = self.lock();
        let now = Instant::now();
        unused.retain_mut(|kept| now - kept.since < UNUSED && !kept.connection.is_closed());
        unused.pop().map(|kept| kept.connection)
    }

    /// Keeps a connection for the next login, and only then frees its slot.
    pub(super) fn keep(&self, connection: Connection, slot: Slot) {
        self.lock().push(Unused { connection, since: Instant::now() });
        drop(slot);
    }

    /// Ends all connections that nobody uses.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Unused>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many logins wait for each connection: a server that answers within 10 ms serves them in half a second.
const WAITING: usize = 16;
/// Firewalls forget quiet connections after a few minutes.
const UNUSED: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_waited_for_until_the_time_is_over() {
        let lane = Lane::new(1);
        let until = Instant::now() + Duration::from_secs(1);
        let slot = lane.enter(until).await.unwrap();
        assert!(lane.try_enter().is_none());
        assert_eq!(lane.enter(until).await.unwrap_err(), Busy);
        assert_eq!(Instant::now(), until);
        drop(slot);
        lane.enter(until).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_can_be_served() {
        let (lane, began) = (Lane::new(1), Instant::now());
        let until = began + Duration::from_secs(1);
        let _slot = lane.try_enter().unwrap();
        let lane = Arc::new(lane);
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let lane = Arc::clone(&lane);
                tokio::spawn(async move { lane.enter(until).await.is_err() })
            })
            .collect();
        while lane.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lane.enter(until).await.unwrap_err(), Busy);
        assert_eq!(Instant::now(), began, "the one too many waits too");
        for task in waiting {
            assert!(task.await.unwrap());
        }
        assert_eq!(lane.queue.available_permits(), WAITING);
    }
}
