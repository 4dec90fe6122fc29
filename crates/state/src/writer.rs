//! Group commit: writers take turns within one transaction, and one sync makes it durable for all of them.
//!
//! ```text
//! begin ─ SAVEPOINT … RELEASE ─┐
//! begin ─ SAVEPOINT … RELEASE ─┼─ COMMIT: one sync ─ each is told that its part is on the disk
//! begin ─ SAVEPOINT … dropped ─┘  that part is rolled back, the others stay
//! ```
//! The writer that opens the transaction puts a barrier into the queue. Writers that wait by then run before it;
//! those that come while it waits for the disk run in the next transaction. So where parts are short, as most
//! are, a writer waits for two syncs at most, however many writers there are. Parts that take longer end the
//! transaction once it has lasted for [`Timeouts::group`]. The [fair queue](fair_queue) serves principals in turn:
//! one of them holds up the others for one part, and nobody waits for more of its parts to be durable. What is
//! known to take long has a transaction of its own.
//!
//! A part sees what the parts before it have done, and that is not durable yet. So a caller answers its client
//! after [`Write::commit`] or [`Write::roll_back`].

mod fair_queue;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{Sqlite, SqliteConnection, Transaction, error::ErrorKind, sqlite::SqlitePool};
use tokio::{sync::oneshot, time::timeout};

pub(crate) use self::fair_queue::Principal;
use self::fair_queue::{FairQueue, Permit};
use crate::{
    StateError,
    cache::{CommittingWrite, PendingWrite},
    sql::{Row, Statement},
};

/// The one writing connection and its queue. Cheap to clone; all clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// With one connection.
    connections: SqlitePool,
    queue: FairQueue<Option<Group>>,
    timeouts: Timeouts,
    /// Turns that were taken.
    turns: Arc<AtomicU64>,
}

/// How long writers wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// A writer waits in the queue for no longer.
    pub(crate) queue: Duration,
    /// No part joins a transaction that has lasted for longer.
    pub(crate) group: Duration,
}

/// What a writer asks the queue for.
#[derive(Debug)]
pub(crate) struct WriteRequest {
    /// On whose behalf it writes.
    pub(crate) principal: Principal,
    /// What the cache may hold of the rows that it changes.
    pub(crate) pending: Option<PendingWrite>,
}

impl Writer {
    /// For a pool of one connection.
    pub(crate) fn new(connections: SqlitePool, timeouts: Timeouts) -> Self {
        Self { connections, queue: FairQueue::new(None), timeouts, turns: Arc::default() }
    }

    /// The pool itself, for what cannot be done within a transaction.
    pub(crate) fn connections(&self) -> &SqlitePool {
        &self.connections
    }

    /// How many turns were taken.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Begins a part of a transaction; there is one part at a time.
    pub(crate) async fn begin(&self, part: WriteRequest) -> Result<Write, StateError> {
        self.begin_if(part, |group| group.failed.is_none()).await
    }

    /// As [`Writer::begin`], for what takes long: nobody who has done its part waits for it.
    pub(crate) async fn begin_own_transaction(
        &self,
        part: WriteRequest,
    ) -> Result<Write, StateError> {
        self.begin_if(part, |_| false).await
    }

    async fn begin_if(
        &self,
        WriteRequest { principal, pending }: WriteRequest,
        may_join: impl FnOnce(&Group) -> bool,
    ) -> Result<Write, StateError> {
        let permit = timeout(self.timeouts.queue, self.queue.acquire(&principal)).await;
        let permit = permit.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?;
        let mut permit = permit.ok_or(sqlx::Error::PoolClosed)?;
        self.turns.fetch_add(1, Ordering::Relaxed);
        if let Some(group) = permit.as_mut() {
            group.roll_back_open_part().await;
        }
        if let Some(group) = permit.take_if(|group| !may_join(group)) {
            // Others wait for it, so it ends even if whoever begins goes away.
            let ended = tokio::spawn(async move {
                group.commit().await;
                permit
            });
            permit = ended.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        }
        let group = match permit.take() {
            Some(group) => group,
            None => self.open().await?,
        };
        permit.insert(group).part().await?;
        Ok(Write { permit, pending })
    }

    async fn open(&self) -> Result<Group, StateError> {
        // IMMEDIATE: a transaction that reads first and writes later could fail in the middle.
        let transaction = self.connections.begin_with("BEGIN IMMEDIATE").await?;
        let last = self.queue.barrier(self.timeouts.group);
        tokio::spawn(async move {
            let Some(mut permit) = last.await else { return };
            // None, if what was opened has failed; another's, if one was opened since: it may end now.
            if let Some(group) = permit.take() {
                group.commit().await;
            }
        });
        Ok(Group { transaction, members: Vec::new(), in_part: false, failed: None })
    }
}

/// A part of a transaction. Dropped without [`Write::commit`], it changes nothing.
pub(crate) struct Write {
    permit: Permit<Option<Group>>,
    pending: Option<PendingWrite>,
}

impl Write {
    /// The only row of the answer; the statement is run to its end.
    pub(crate) async fn first(&mut self, statement: Statement) -> Result<Option<Row>, StateError> {
        Ok(self.all(statement).await?.into_iter().next())
    }

    /// The whole answer.
    pub(crate) async fn all(&mut self, statement: Statement) -> Result<Vec<Row>, StateError> {
        let group = self.group()?;
        let answered = statement.into_query().fetch_all(&mut *group.transaction).await;
        Ok(group.checked(answered)?.into_iter().map(Row).collect())
    }

    /// How many rows were changed.
    pub(crate) async fn run(&mut self, statement: Statement) -> Result<u64, StateError> {
        let group = self.group()?;
        let answered = statement.into_query().execute(&mut *group.transaction).await;
        Ok(group.checked(answered)?.rows_affected())
    }

    /// Runs one statement, and makes it so; how many rows it has changed.
    pub(crate) async fn execute_and_commit(
        mut self,
        statement: Statement,
    ) -> Result<u64, StateError> {
        let changed = self.run(statement).await?;
        self.commit().await?;
        Ok(changed)
    }

    /// Makes it so; on return it is on the disk. Whoever waits for that may go away: it is made so all
    /// the same, and what is remembered is forgotten when it is.
    pub(crate) async fn commit(mut self) -> Result<(), StateError> {
        let ending = self.pending.take().map(PendingWrite::end);
        let told = self.group()?.join(ending).await?;
        drop(self);
        outcome(told).await
    }

    /// Takes back whatever was done; on return, what was seen meanwhile is on the disk. For answers that
    /// rest on it.
    pub(crate) async fn roll_back(mut self) -> Result<(), StateError> {
        let group = self.group()?;
        group.roll_back_open_part().await;
        let told = group.wait(None);
        drop(self);
        outcome(told).await
    }

    /// There is one for as long as a part of it is held. Where it has failed, a statement would be a
    /// transaction by itself.
    fn group(&mut self) -> Result<&mut Group, StateError> {
        let group = self.permit.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        match &group.failed {
            Some(failed) => Err(Arc::clone(failed).into()),
            None => Ok(group),
        }
    }
}

/// Told when the transaction has ended.
type Told = oneshot::Receiver<Result<(), Arc<sqlx::Error>>>;

async fn outcome(told: Told) -> Result<(), StateError> {
    match told.await {
        Ok(committed) => Ok(committed?),
        // The process ends, and nobody can say whether it was made so.
        Err(_) => Err(sqlx::Error::WorkerCrashed.into()),
    }
}

/// A transaction, and all who wait for its end.
struct Group {
    transaction: Transaction<'static, Sqlite>,
    members: Vec<Member>,
    /// A part has begun that was neither ended nor rolled back.
    in_part: bool,
    /// SQLite may have ended the transaction by itself: nothing more can become of it.
    failed: Option<Arc<sqlx::Error>>,
}

/// Who has done its part.
struct Member {
    ending: Option<CommittingWrite>,
    told: oneshot::Sender<Result<(), Arc<sqlx::Error>>>,
}

// A statement that was sent is run by SQLite's thread even if whoever waits for it goes away; the marks
// below are set so that what they say is true then.
impl Group {
    async fn part(&mut self) -> Result<(), StateError> {
        self.in_part = true;
        self.do_now("SAVEPOINT part").await
    }

    /// Ends the part. What it has done is there when the transaction is.
    async fn join(&mut self, ending: Option<CommittingWrite>) -> Result<Told, StateError> {
        let told = self.wait(ending);
        self.in_part = false;
        self.do_now("RELEASE part").await?;
        Ok(told)
    }

    fn wait(&mut self, ending: Option<CommittingWrite>) -> Told {
        let (told, outcome) = oneshot::channel();
        self.members.push(Member { ending, told });
        outcome
    }

    /// Takes back what somebody began and went away from.
    async fn roll_back_open_part(&mut self) {
        let open = self.in_part && self.failed.is_none();
        if open && self.do_now("ROLLBACK TO part").await.is_ok() {
            self.in_part = false;
            // If it fails, that is kept.
            let _ = self.do_now("RELEASE part").await;
        }
    }

    /// Ends the transaction, and tells everybody.
    async fn commit(mut self) {
        self.roll_back_open_part().await;
        let committed = match self.failed {
            // Whatever of it is left is rolled back.
            Some(error) => {
                drop(self.transaction);
                Err(error)
            }
            None => self.transaction.commit().await.map_err(Arc::new),
        };
        for Member { ending, told } in self.members {
            drop(ending);
            // Some have gone away.
            let _ = told.send(committed.clone());
        }
    }

    async fn do_now(&mut self, statement: &'static str) -> Result<(), StateError> {
        let connection: &mut SqliteConnection = &mut self.transaction;
        let done = sqlx::query(statement).execute(connection).await;
        self.checked(done)?;
        Ok(())
    }

    /// A constraint undoes only its own statement. After other errors SQLite may have rolled back the
    /// whole transaction, with the parts of those who wait for its end.
    fn checked<T>(&mut self, done: sqlx::Result<T>) -> Result<T, StateError> {
        done.map_err(|error| {
            let error = Arc::new(error);
            if !is_constraint(&error) {
                self.failed.get_or_insert_with(|| Arc::clone(&error));
            }
            error.into()
        })
    }
}

fn is_constraint(error: &sqlx::Error) -> bool {
    let kind = error.as_database_error().map(sqlx::error::DatabaseError::kind);
    kind.is_some_and(|kind| !matches!(kind, ErrorKind::Other))
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { members, in_part, failed, .. } = self;
        let mut shown = f.debug_struct("Group");
        shown.field("members", &members.len()).field("in_part", in_part).field("failed", failed);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
