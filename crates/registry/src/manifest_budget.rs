//! Room for manifests under way: each is held in memory until it is kept, so there is one budget for all.
//!
//! ```text
//! 64 KiB at most ──> 16 MiB for small ones ┐ of either, an account has a quarter and an address a half:
//! longer ──────────> 48 MiB for large ones ┘ who wants more waits for its own, and nobody else for them
//! ```
//! Room is taken for as many bytes as were announced, before the first of them is read. So whoever was
//! admitted never waits again, and who waits holds nothing. What does not say how long it is counts as small
//! for as long as it is, and then as the longest that there may be.
//!
//! Two budgets, so that ordinary manifests, of which a thousand fit, never wait for long ones.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use portpass_protocol::{ClientAddress, manifest::MAX_LENGTH};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The memory that manifests under way may take.
#[derive(Debug)]
pub(crate) struct ManifestBudget {
    small: Pool,
    large: Pool,
}

/// Whose body it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// Empty for an anonymous caller.
    pub(crate) account: &'a str,
    /// Where the listener said so.
    pub(crate) address: Option<ClientAddress>,
}

/// Room for one body, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    length: usize,
    _held: Vec<OwnedSemaphorePermit>,
}

impl Reservation {
    /// For how many bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

/// The budget was used up for so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetExhausted {
    pub(crate) waited: Duration,
}

impl ManifestBudget {
    /// Empty.
    pub(crate) fn new() -> Self {
        Self { small: Pool::new(SMALL_ROOM), large: Pool::new(LARGE_ROOM) }
    }

    /// Room for a body of so many bytes, as soon as there is some: first come, first served among those of
    /// one account, and among accounts.
    pub(crate) async fn reserve(
        &self,
        sender: Sender<'_>,
        length: usize,
    ) -> Result<Reservation, BudgetExhausted> {
        let pool = if length <= SMALL { &self.small } else { &self.large };
        let length = length.min(MAX_LENGTH);
        let held = timeout(WAIT_TIMEOUT, pool.take(sender, length.max(LEAST))).await;
        let held = held.map_err(|_elapsed| BudgetExhausted { waited: WAIT_TIMEOUT })?;
        Ok(Reservation { length, _held: held })
    }
}

#[derive(Debug)]
struct Pool {
    room: Arc<Semaphore>,
    accounts: Shares<Box<str>>,
    networks: Shares<[u8; 8]>,
}

impl Pool {
    fn new(size: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(size)),
            accounts: Shares::new(size / 4),
            networks: Shares::new(size / 2),
        }
    }

    /// The account's own share comes first: of those who wait for what all have, each has only so many.
    async fn take(&self, sender: Sender<'_>, bytes: usize) -> Vec<OwnedSemaphorePermit> {
        let account = Some(sender.account).filter(|account| !account.is_empty());
        let account = account.map(|account| self.accounts.of(account.into()));
        let network = sender.address.map(|address| self.networks.of(address.network()));
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let mut held = Vec::with_capacity(3);
        for share in [account, network, Some(Arc::clone(&self.room))].into_iter().flatten() {
            // Nobody closes them.
            held.extend(share.acquire_many_owned(bytes).await);
        }
        held
    }
}

/// As much for each. Forgotten with the last who holds something of it or waits for it.
#[derive(Debug)]
struct Shares<K> {
    size: usize,
    of: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    shares: HashMap<K, Weak<Semaphore>>,
    /// With as many, those that nobody uses are looked for.
    full: usize,
}

impl<K: Hash + Eq> Shares<K> {
    fn new(size: usize) -> Self {
        Self { size, of: Mutex::new(Known { shares: HashMap::new(), full: FEW }) }
    }

    fn of(&self, key: K) -> Arc<Semaphore> {
        let mut known = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = known.shares.get(&key).and_then(Weak::upgrade) {
            return share;
        }
        if known.shares.len() >= known.full {
            known.shares.retain(|_, share| share.strong_count() > 0);
            known.full = FEW.max(2 * known.shares.len());
        }
        let share = Arc::new(Semaphore::new(self.size));
        known.shares.insert(key, Arc::downgrade(&share));
        share
    }
}

/// No manifest of an image is longer; indexes of hundreds of images and those with much in annotations are.
pub(crate) const SMALL: usize = 64 * 1024;

const SMALL_ROOM: usize = 16 * 1024 * 1024;
const LARGE_ROOM: usize = 48 * 1024 * 1024;

/// What a request costs besides its body.
const LEAST: usize = 4 * 1024;

/// Longer than it takes others to send and keep theirs, shorter than clients wait for an answer.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn sender(account: &str, address: [u8; 4]) -> Sender<'_> {
        Sender { account, address: Some(ClientAddress(address.into())) }
    }

    const HOME: [u8; 4] = [192, 0, 2, 1];

    /// Takes until there is no more.
    async fn all(budget: &ManifestBudget, sender: Sender<'_>, length: usize) -> Vec<Reservation> {
        let mut held = Vec::new();
        while let Ok(room) = budget.reserve(sender, length).await {
            held.push(room);
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_holds_a_quarter_and_the_others_never_wait_for_it() {
        let budget = ManifestBudget::new();
        let anns = all(&budget, sender("ann", HOME), 4 * MIB).await;
        assert_eq!(anns.len(), 3);
        let elsewhere = budget.reserve(sender("ann", [192, 0, 2, 9]), 4 * MIB).await;
        assert_eq!(elsewhere.unwrap_err().waited, WAIT_TIMEOUT);
        budget.reserve(sender("bob", HOME), 4 * MIB).await.unwrap();
        drop(anns);
        budget.reserve(sender("ann", HOME), 4 * MIB).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_holds_a_half_whatever_accounts_it_has() {
        let budget = ManifestBudget::new();
        let mut held = Vec::new();
        for account in ["", "ann", "bob", "cid"] {
            held.extend(all(&budget, sender(account, HOME), 4 * MIB).await);
        }
        assert_eq!(held.len(), 6);
        budget.reserve(sender("dan", [192, 0, 2, 2]), 4 * MIB).await.unwrap();
    }

    /// Whoever holds what there is for the long ones.
    #[tokio::test(start_paused = true)]
    async fn what_is_small_does_not_wait_for_what_is_large() {
        let budget = ManifestBudget::new();
        let mut held = Vec::new();
        for (account, address) in [("a", 1), ("b", 1), ("c", 2), ("d", 2), ("e", 3)] {
            held.extend(all(&budget, sender(account, [192, 0, 2, address]), 4 * MIB).await);
        }
        assert_eq!(held.iter().map(Reservation::length).sum::<usize>(), LARGE_ROOM);
        budget.reserve(sender("ann", HOME), SMALL).await.unwrap();
        budget.reserve(sender("ann", HOME), SMALL + 1).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn small_ones_have_an_end_too() {
        let budget = ManifestBudget::new();
        assert_eq!(all(&budget, sender("ann", HOME), 0).await.len(), SMALL_ROOM / 4 / LEAST);
    }

    /// Nobody waits for others of its account who came later.
    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_in_order() {
        let budget = ManifestBudget::new();
        let mut held = all(&budget, sender("ann", HOME), 4 * MIB).await;
        let (first, second) = (
            budget.reserve(sender("ann", HOME), 4 * MIB),
            budget.reserve(sender("ann", HOME), 4 * MIB),
        );
        let freed = async { drop(held.pop()) };
        let (first, second, ()) = tokio::join!(biased; first, second, freed);
        assert!(first.is_ok() && second.is_err());
    }

    #[tokio::test]
    async fn who_has_gone_is_forgotten() {
        let budget = ManifestBudget::new();
        for number in 0..10 * FEW {
            budget.reserve(sender(&number.to_string(), HOME), 1).await.unwrap();
        }
        let known = budget.small.accounts.of.lock().unwrap();
        assert!(known.shares.len() <= FEW, "{}", known.shares.len());
    }
}
