//! The slots of connections, and who has to leave one when there are too few.
//!
//! ```text
//! a slot is free                               ─> it is taken
//! another address holds more than a quarter    ─> the idlest of its connections goes
//! nobody does, and some connection is idle     ─> the idlest of all goes, those of trusted proxies last
//! whoever comes holds a quarter itself         ─> an idle one of its own goes
//! none of these is idle, and one stands still  ─> the one that has done so for longest goes, and none of a trusted proxy
//! else                                         ─> it waits
//! ```
//! Behind a trusted proxy all clients have one address: it may hold all slots.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portpass_protocol::ClientAddress;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;

/// Whose connections count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SlotOwner {
    /// As [`ClientAddress::network`] counts them.
    Network([u8; 8]),
    /// The proxies that are trusted.
    Proxy,
}

impl SlotOwner {
    /// The address of whoever is not a trusted proxy.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self::Network(ClientAddress(address).network())
    }
}

/// All slots of one kind.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    limit: usize,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    total: usize,
    held: HashMap<SlotOwner, HashMap<u64, Connection>>,
}

#[derive(Debug)]
struct Connection {
    activity: Arc<Activity>,
    cut: CancellationToken,
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<ConnectionSlots>,
    owner: SlotOwner,
    number: u64,
    activity: Arc<Activity>,
    cut: CancellationToken,
}

impl ConnectionSlots {
    /// So many.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, table: Mutex::default(), freed: Notify::new() }
    }

    /// A slot that is free.
    pub(crate) fn acquire_free(self: &Arc<Self>, owner: SlotOwner) -> Option<Slot> {
        let mut table = self.table();
        (table.total < self.limit).then(|| self.give(&mut table, owner))
    }

    /// A slot that is free, or that of somebody who has to go.
    pub(crate) fn acquire(self: &Arc<Self>, owner: SlotOwner) -> Option<Slot> {
        let mut table = self.table();
        if table.total >= self.limit {
            let share = (self.limit / SHARE).max(1);
            let (of, number) = table.victim(owner, share, Instant::now())?;
            if let Some(connection) = table.remove(of, number) {
                connection.cut.cancel();
            }
        }
        Some(self.give(&mut table, owner))
    }

    /// Resolves when a slot has been freed.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn give(self: &Arc<Self>, table: &mut Table, owner: SlotOwner) -> Slot {
        let (activity, cut) = (Activity::new(), CancellationToken::new());
        let number = table.next;
        table.next += 1;
        table.total += 1;
        let connection = Connection { activity: activity.clone(), cut: cut.clone() };
        table.held.entry(owner).or_default().insert(number, connection);
        Slot { slots: Arc::clone(self), owner, number, activity, cut }
    }

    /// Nothing panics while it is locked.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// What happens on the connection.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Resolves when somebody else has it.
    pub(crate) async fn evicted(&self) {
        self.cut.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.slots.table().remove(self.owner, self.number).is_some() {
            self.slots.freed.notify_one();
        }
    }
}

impl Table {
    fn remove(&mut self, owner: SlotOwner, number: u64) -> Option<Connection> {
        let of_holder = self.held.get_mut(&owner)?;
        let removed = of_holder.remove(&number)?;
        if of_holder.is_empty() {
            self.held.remove(&owner);
        }
        self.total -= 1;
        Some(removed)
    }

    /// Whose connection goes so that `owner` has a slot.
    fn victim(&self, owner: SlotOwner, share: usize, now: Instant) -> Option<(SlotOwner, u64)> {
        let own = self.held.get(&owner).map_or(0, HashMap::len);
        if matches!(owner, SlotOwner::Network(_)) && own >= share {
            return self.idle_or_stalled(|of| of == owner, now);
        }
        let networks = self.held.iter().filter(|(of, _)| **of != SlotOwner::Proxy);
        let fullest = networks.max_by_key(|(_, held)| held.len());
        match fullest {
            Some((&fullest, held)) if held.len() > share => {
                self.idlest(|of| of == fullest, |_| true)
            }
            Some(_) | None => self.idle_or_stalled(|_| true, now),
        }
    }

    /// The idlest connection of these that nobody misses: one that waits for a request, or else one whose request gets no
    /// further. Those of a proxy may be anybody's, and have to be idle.
    fn idle_or_stalled(
        &self,
        of: impl Fn(SlotOwner) -> bool,
        now: Instant,
    ) -> Option<(SlotOwner, u64)> {
        self.idlest(&of, |connection| is_idle(connection, now)).or_else(|| {
            let of = |owner| owner != SlotOwner::Proxy && of(owner);
            self.idlest(of, |connection| is_stalled(connection, now))
        })
    }

    /// The idlest connection of these: where no request is under way, and nothing has moved for longest.
    fn idlest(
        &self,
        of: impl Fn(SlotOwner) -> bool,
        which: impl Fn(&Connection) -> bool,
    ) -> Option<(SlotOwner, u64)> {
        let all = self.held.iter().filter(|(owner, _)| of(**owner));
        let all = all.flat_map(|(owner, held)| held.iter().map(move |one| (*owner, one)));
        let these = all.filter(|(_, (_, connection))| which(connection));
        let idlest = these.max_by_key(|(owner, (_, Connection { activity, .. }))| {
            (*owner != SlotOwner::Proxy, activity.is_idle(), Reverse(activity.last_progress()))
        });
        idlest.map(|(owner, (number, _))| (owner, *number))
    }
}

/// Whether it waits for a request, and not just for the first bytes of one.
fn is_idle(connection: &Connection, now: Instant) -> bool {
    let Connection { activity, .. } = connection;
    activity.is_idle() && now.duration_since(activity.last_progress()) >= IDLE_AFTER
}

/// Whether its request has made no progress for a while: its body does not come, or its answer is not taken.
fn is_stalled(connection: &Connection, now: Instant) -> bool {
    let Connection { activity, .. } = connection;
    !activity.is_idle() && now.duration_since(activity.last_progress()) >= STALLED_AFTER
}

/// An address has a quarter of the slots for sure, and no more when others wait.
const SHARE: usize = 4;

/// Whoever has just connected, or just had an answer, may still be sending.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Whoever is served, or waits for a turn, is hardly ever silent for so long.
const STALLED_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const LIMIT: usize = 8;

    fn network(text: &str) -> SlotOwner {
        SlotOwner::of(text.parse().unwrap())
    }

    fn is_evicted(slot: &Slot) -> bool {
        slot.cut.is_cancelled()
    }

    /// Fills all slots, each a while after the one before.
    async fn filled(slots: &Arc<ConnectionSlots>, owner: SlotOwner) -> Vec<Slot> {
        let mut held = Vec::new();
        while let Some(slot) = slots.acquire_free(owner) {
            held.push(slot);
            advance(Duration::from_secs(10)).await;
        }
        held
    }

    #[test]
    fn an_address_of_ipv6_stands_for_its_network() {
        let of = network("2001:db8:1:2::7");
        assert_eq!(of, network("2001:db8:1:2:ffff::1"));
        assert_ne!(of, network("2001:db8:1:3::7"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.8"), network("192.0.2.7"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_more_than_a_quarter_gives_way_though_all_of_it_is_busy() {
        let slots = Arc::new(ConnectionSlots::new(LIMIT));
        let held = filled(&slots, network("192.0.2.1")).await;
        let busy: Vec<_> = held.iter().map(|slot| slot.activity.begin()).collect();
        held[0].activity.sent_bytes();
        assert!(slots.acquire_free(network("192.0.2.2")).is_none());
        let mut others = Vec::new();
        for _ in 0..LIMIT / 4 {
            others.push(slots.acquire(network("192.0.2.2")).expect("a quarter is everybody's"));
        }
        assert!(is_evicted(&held[1]) && is_evicted(&held[2]), "they stood still for longest");
        assert!(!is_evicted(&held[0]));
        assert!(slots.acquire(network("192.0.2.2")).is_none(), "it has its quarter, and uses it");
        for last in 3..=6 {
            let address = format!("192.0.2.{last}");
            let more = slots.acquire(network(&address));
            assert!(more.is_some());
            others.extend(more);
        }
        let left: Vec<_> = held.iter().filter(|slot| !is_evicted(slot)).collect();
        assert_eq!(left.len(), LIMIT / 4);
        for slot in left {
            slot.activity.sent_bytes();
        }
        assert!(slots.acquire(network("192.0.2.9")).is_none(), "nobody has more than a quarter");
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn the_idlest_goes_first_and_nobody_who_has_just_come() {
        let slots = Arc::new(ConnectionSlots::new(4));
        let of = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(network);
        let mut held = Vec::new();
        for owner in of {
            held.push(slots.acquire_free(owner).unwrap());
            advance(Duration::from_secs(10)).await;
        }
        let _busy = held[0].activity.begin();
        drop(held[1].activity.begin());
        advance(Duration::from_millis(1)).await;
        let newest = slots.acquire(network("192.0.2.5")).unwrap();
        assert_eq!(held.iter().map(is_evicted).collect::<Vec<_>>(), [false, false, true, false]);
        let next = slots.acquire(network("192.0.2.6")).unwrap();
        assert!(is_evicted(&held[3]) && !is_evicted(&held[1]), "it had an answer last");
        held[0].activity.sent_bytes();
        assert!(slots.acquire(network("192.0.2.7")).is_none(), "they have just come");
        advance(IDLE_AFTER).await;
        assert!(slots.acquire(network("192.0.2.7")).is_some());
        assert!(is_evicted(&held[1]));
        drop((newest, next));
    }

    /// A few addresses that have their quarter each hold all slots, with requests whose bodies do not come.
    #[tokio::test(start_paused = true)]
    async fn among_those_who_have_their_share_the_one_that_stands_still_gives_way() {
        let slots = Arc::new(ConnectionSlots::new(4));
        let of = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(network);
        let held = of.map(|owner| slots.acquire_free(owner).unwrap());
        let _busy = held.each_ref().map(|slot| slot.activity.begin());
        advance(STALLED_AFTER / 2).await;
        held[0].activity.sent_bytes();
        held[1].activity.received();
        assert!(slots.acquire(network("192.0.2.5")).is_none(), "all may yet go on");
        advance(STALLED_AFTER / 2).await;
        held[3].activity.received();
        assert!(slots.acquire(network("192.0.2.4")).is_none(), "it has its share, which is in use");
        let pending = slots.acquire(network("192.0.2.5")).unwrap();
        assert_eq!(held.each_ref().map(is_evicted), [false, false, true, false]);
        let _asks = pending.activity.begin();
        assert!(slots.acquire(network("192.0.2.6")).is_none(), "something moves on all of them");
        advance(STALLED_AFTER / 2).await;
        assert!(slots.acquire(network("192.0.2.1")).is_some(), "in place of its own");
        assert!(is_evicted(&held[0]) && !is_evicted(&held[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trusted_proxy_may_hold_all_places_and_loses_idle_ones_last() {
        let slots = Arc::new(ConnectionSlots::new(4));
        let of_proxy = filled(&slots, SlotOwner::Proxy).await;
        let busy: Vec<_> = of_proxy.iter().map(|slot| slot.activity.begin()).collect();
        assert!(slots.acquire(network("192.0.2.1")).is_none(), "none of its own is cut off");
        for request in busy {
            drop(request);
            advance(IDLE_AFTER).await;
        }
        let other = slots.acquire(network("192.0.2.1")).unwrap();
        assert!(is_evicted(&of_proxy[0]));
        advance(IDLE_AFTER).await;
        let again = slots.acquire(SlotOwner::Proxy).unwrap();
        assert!(is_evicted(&other), "before another of the proxy");
        assert_eq!(of_proxy.iter().filter(|slot| is_evicted(slot)).count(), 1);
        drop(again);
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_a_quarter_has_its_own_idle_ones_replaced() {
        let slots = Arc::new(ConnectionSlots::new(4));
        let held = filled(&slots, network("192.0.2.1")).await;
        let busy = [held[0].activity.begin(), held[1].activity.begin()];
        let more = slots.acquire(network("192.0.2.1"));
        assert!(more.is_some() && is_evicted(&held[2]));
        drop(busy);
    }

    /// A slot that was lost is not given back twice.
    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_there_are_places() {
        let slots = Arc::new(ConnectionSlots::new(2));
        let held = filled(&slots, network("192.0.2.1")).await;
        let other = slots.acquire(network("192.0.2.2")).unwrap();
        drop(held);
        assert_eq!(slots.table().total, 1);
        drop(other);
        assert_eq!(slots.table().total, 0);
        assert!(slots.table().held.is_empty());
    }
}
