//! Rows of our own database that are held in memory, while other processes may change them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_state::StateError;
use tokio::sync::{Mutex, watch};

use super::Unavailable;
use crate::subject::SourceName;

/// Rows that are always read as a whole, under one version.
#[async_trait]
pub(super) trait Table: fmt::Debug + Send + Sync {
    /// What they are in memory.
    type Rows: fmt::Debug + Send + Sync;

    /// Changes with the rows.
    async fn version(&self) -> Result<u64, StateError>;

    /// Reads them all.
    async fn read(&self) -> Result<Self::Rows, StateError>;
}

/// A table's rows. When somebody asks, and at most once a second, one small query tells whether they have
/// changed.
#[derive(Debug)]
pub(super) struct Watched<T: Table> {
    source: SourceName,
    table: T,
    looks: watch::Sender<Looks<T::Rows>>,
    looking: Mutex<()>,
    /// How many looks have begun.
    begun: AtomicU64,
}

/// What the latest looks at the database have brought.
#[derive(Debug)]
struct Looks<R> {
    known: Option<Known<R>>,
    /// The number of a look that failed since, and why.
    failed: Option<(u64, Unavailable)>,
}

/// What is known at one moment.
#[derive(Debug)]
struct Known<R> {
    rows: Arc<R>,
    version: u64,
    looked: SystemTime,
    /// The number of the look that found it.
    look: u64,
}

impl<T: Table> Watched<T> {
    /// Reads nothing yet: a database that is away is [`Unavailable`], each time.
    pub(super) fn new(source: SourceName, table: T) -> Self {
        let looks = Looks { known: None, failed: None };
        Self {
            source,
            table,
            looks: watch::Sender::new(looks),
            looking: Mutex::new(()),
            begun: AtomicU64::new(0),
        }
    }

    /// Where they are read.
    pub(super) fn table(&self) -> &T {
        &self.table
    }

    /// The rows as they were a second ago or later.
    pub(super) async fn recent(&self, now: SystemTime) -> Result<Arc<T::Rows>, Unavailable> {
        self.known(|known| known.is_fresh(now), now).await
    }

    /// The rows as a look finds them that begins from now on.
    pub(super) async fn latest(&self, now: SystemTime) -> Result<Arc<T::Rows>, Unavailable> {
        self.known(|_| false, now).await
    }

    /// The rows as the last look found them, without another.
    pub(super) fn seen(&self) -> Option<Arc<T::Rows>> {
        self.looks.borrow().known.as_ref().map(|known| Arc::clone(&known.rows))
    }

    /// The rows as they are; keeps nothing.
    pub(super) async fn look(&self) -> Result<Arc<T::Rows>, Unavailable> {
        self.read().await.map(|(rows, _)| rows).map_err(|error| self.unavailable(&error))
    }

    /// What is known already if it is `enough`, and what the next look brings otherwise. One looks for all
    /// who wait, and when it is done they go on together: were it one by one, whoever logs in would stand in
    /// line behind all who guess names.
    async fn known(
        &self,
        enough: impl Fn(&Known<T::Rows>) -> bool,
        now: SystemTime,
    ) -> Result<Arc<T::Rows>, Unavailable> {
        let begun = self.begun.load(Ordering::SeqCst);
        let answer = |looks: &Looks<T::Rows>| looks.answer(begun, &enough);
        if let Some(answer) = answer(&self.looks.borrow()) {
            return answer;
        }
        // Rare, and large: it has no room in the future of every token.
        Box::pin(self.look_with_others(begun, enough, now)).await
    }

    async fn look_with_others(
        &self,
        begun: u64,
        enough: impl Fn(&Known<T::Rows>) -> bool,
        now: SystemTime,
    ) -> Result<Arc<T::Rows>, Unavailable> {
        let answer = |looks: &Looks<T::Rows>| looks.answer(begun, &enough);
        let mut looks = self.looks.subscribe();
        let another =
            async { answer(&*looks.wait_for(|looks| answer(looks).is_some()).await.ok()?) };
        tokio::select! {
            biased;
            Some(answer) = another => answer,
            _turn = self.looking.lock() => {
                let done = answer(&self.looks.borrow());
                match done {
                    Some(answer) => answer,
                    None => self.renew(now).await,
                }
            }
        }
    }

    /// Takes what the database says now. The caller holds the turn.
    async fn renew(&self, now: SystemTime) -> Result<Arc<T::Rows>, Unavailable> {
        let look = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let looked = self.read().await.map_err(|error| self.unavailable(&error));
        self.looks.send_modify(|looks| match &looked {
            Ok((rows, version)) => {
                let (rows, version) = (Arc::clone(rows), *version);
                let known = Known { rows, version, looked: now, look };
                *looks = Looks { known: Some(known), failed: None };
            }
            Err(error) => looks.failed = Some((look, error.clone())),
        });
        looked.map(|(rows, _)| rows)
    }

    /// The version is read first: what is read after it can only be newer than it says.
    async fn read(&self) -> Result<(Arc<T::Rows>, u64), StateError> {
        let version = self.table.version().await?;
        if let Some(known) = &self.looks.borrow().known
            && known.version == version
        {
            return Ok((Arc::clone(&known.rows), version));
        }
        Ok((Arc::new(self.table.read().await?), version))
    }

    /// How many looks at the database there were.
    #[cfg(test)]
    pub(super) fn looks_begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    pub(super) fn unavailable(&self, error: &StateError) -> Unavailable {
        Unavailable::Source { source_name: self.source.clone(), reason: error.to_string() }
    }
}

impl<R> Looks<R> {
    /// For who came when so many looks had begun.
    fn answer(
        &self,
        begun: u64,
        enough: impl Fn(&Known<R>) -> bool,
    ) -> Option<Result<Arc<R>, Unavailable>> {
        let known = self.known.as_ref().filter(|known| known.look > begun || enough(known));
        let failed = self.failed.as_ref().filter(|(look, _)| *look > begun);
        match (known, failed) {
            (Some(known), _) => Some(Ok(Arc::clone(&known.rows))),
            (None, Some((_, error))) => Some(Err(error.clone())),
            (None, None) => None,
        }
    }
}

impl<R> Known<R> {
    /// Requests bring their own `now`, so one may be a little earlier than the last look.
    fn is_fresh(&self, now: SystemTime) -> bool {
        let age = match now.duration_since(self.looked) {
            Ok(age) => age,
            Err(earlier) => earlier.duration(),
        };
        age < LOOK_EVERY
    }
}

/// What an account was found to be may be [`LOOK_EVERY`] old, and whatever changed it may have come into
/// force [`WRITTEN_WITHIN`] after its time. So a token for an account that is given up, or is about to be,
/// is said to be that much older, and ends with those from before the change. One for an account that
/// has been through the change counts from then on (`tokens_from`), without waiting for that time to pass.
pub(super) fn issue_time(tokens_from: Option<SystemTime>, now: SystemTime) -> SystemTime {
    let earliest = now - LOOK_EVERY - WRITTEN_WITHIN;
    tokens_from.map_or(earliest, |from| from.max(earliest))
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A change waits five seconds for the database, and then for the disk.
const WRITTEN_WITHIN: Duration = Duration::from_secs(9);

#[cfg(test)]
mod tests;
