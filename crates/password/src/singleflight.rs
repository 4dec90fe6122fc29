//! Of equal checks at once one is made, and all callers get its result (Go calls this singleflight).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::pool::CostProof;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckResult {
    /// The password is the one that is stored.
    Proved,
    /// It is not, or nothing is stored. The refusal has cost what every refusal costs.
    Refused(CostProof),
}

/// The checks that are under way, by what they check.
#[derive(Debug)]
pub(crate) struct InFlight<R = CheckResult>(Mutex<Flights<R>>);

type Flights<R> = HashMap<Fingerprint, watch::Receiver<Option<R>>>;

/// A keyed hash of everything that a check depends on.
pub(crate) type Fingerprint = [u8; 32];

/// The part of a caller in a check.
pub(crate) enum Role<'a, R = CheckResult> {
    /// This caller makes the check.
    Leader(Leader<'a, R>),
    /// Another caller has made it.
    Follower(R),
}

/// The duty to make a check. Dropped without a result, it goes to the next caller in line.
pub(crate) struct Leader<'a, R = CheckResult> {
    flights: &'a InFlight<R>,
    check: Fingerprint,
    told: Option<watch::Sender<Option<R>>>,
}

impl<R> Default for InFlight<R> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<R: Clone> InFlight<R> {
    /// Waits until nobody else makes this check.
    pub(crate) async fn join(&self, check: Fingerprint) -> Role<'_, R> {
        loop {
            let mut under_way = match self.lead_or_follow(check) {
                Ok(lead) => return Role::Leader(lead),
                Err(under_way) => under_way,
            };
            // An error means that whoever led gave up: then another leads.
            if let Ok(Some(found)) = under_way.wait_for(Option::is_some).await.as_deref() {
                return Role::Follower(found.clone());
            }
        }
    }

    fn lead_or_follow(
        &self,
        check: Fingerprint,
    ) -> Result<Leader<'_, R>, watch::Receiver<Option<R>>> {
        let mut flights = self.lock();
        if let Some(under_way) = flights.get(&check) {
            return Err(under_way.clone());
        }
        let (told, hears) = watch::channel(None);
        flights.insert(check, hears);
        Ok(Leader { flights: self, check, told: Some(told) })
    }
}

impl<R> InFlight<R> {
    fn lock(&self) -> MutexGuard<'_, Flights<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Leader<'_, R> {
    /// Tells all who wait. Whoever comes from now on has to have it made again.
    pub(crate) fn publish(mut self, found: R) {
        if let Some(told) = self.end() {
            told.send_replace(Some(found));
        }
    }

    fn end(&mut self) -> Option<watch::Sender<Option<R>>> {
        let told = self.told.take()?;
        self.flights.lock().remove(&self.check);
        Some(told)
    }
}

impl<R> Drop for Leader<'_, R> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    async fn lead(flights: &InFlight, check: u8) -> Leader<'_> {
        match flights.join([check; 32]).await {
            Role::Leader(lead) => lead,
            Role::Follower(found) => panic!("nobody else was there, and {found:?} was heard"),
        }
    }

    #[tokio::test]
    async fn all_who_came_meanwhile_hear_it_and_whoever_comes_later_does_not() {
        let flights = InFlight::default();
        let first = lead(&flights, 1).await;
        let others = join_all((0..3).map(|_| flights.join([1; 32])));
        let another = lead(&flights, 2).await;
        let (heard, ()) = tokio::join!(others, async { first.publish(CheckResult::Proved) });
        assert!(heard.iter().all(|seat| matches!(seat, Role::Follower(CheckResult::Proved))));
        drop(lead(&flights, 1).await);
        drop(another);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_it_to_the_next() {
        let flights = InFlight::default();
        let first = lead(&flights, 1).await;
        let mut second = Box::pin(flights.join([1; 32]));
        let mut third = Box::pin(flights.join([1; 32]));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        let Role::Leader(next) = second.await else { panic!("it was nobody's") };
        assert!(third.as_mut().now_or_never().is_none());
        next.publish(CheckResult::Proved);
        assert!(matches!(third.await, Role::Follower(CheckResult::Proved)));
        assert!(flights.lock().is_empty());
    }
}
