//! The database: one writer, a few readers.

use std::{
    hash::Hash,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use portpass_protocol::RepositoryName;
use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    Announcer, StateError,
    cache::{Entries, MemorySize, PendingWrite, RepositoryCache},
    migrate::migrate,
    sql::{Connections, Row, Statement, sql},
    writer::{Principal, Timeouts, Write, WriteRequest, Writer},
};

/// The database. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct Db {
    /// Many, none of which can write.
    readers: Connections,
    /// One connection: writers wait for each other here, where waiting is fair and cheap, and meet only
    /// other processes at SQLite's lock.
    writer: Writer,
    cache: Option<Arc<RepositoryCache>>,
    /// What SQLite said of other processes' writes when it was last asked.
    foreign: Arc<AtomicI64>,
    /// Who writes through this clone.
    principal: Principal,
    /// What others are told of what is written through this clone.
    announcer: Option<Announcer>,
}

/// Whether there was something to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "there may be nothing of this name"]
pub enum Change {
    /// It is as it was asked for now.
    Done,
    /// There is nothing of this name; nothing was changed.
    Unknown,
}

impl Db {
    /// Opens the database file, makes it (mode 0600) if there is none, and brings its tables up to
    /// date. Several processes may have it open at once.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        create(path).await?;
        prepare(path).await?;
        let options = file_options(path);
        let writer = pool(1).after_release(|connection, _| Box::pin(is_at_rest(connection)));
        let writer = writer.connect_lazy_with(options.clone());
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self {
            readers: Connections(readers),
            writer: Writer::new(writer, TIMEOUTS),
            cache: None,
            foreign: Arc::default(),
            principal: SERVER.into(),
            announcer: None,
        })
    }

    /// A database that is gone when the last clone is.
    pub async fn in_memory() -> Result<Self, StateError> {
        // It lives as long as its one connection, which therefore reads and writes.
        let pool = pool(1).connect_with(options().in_memory(true)).await?;
        migrate(&mut *pool.acquire().await?).await?;
        Ok(Self {
            readers: Connections(pool.clone()),
            writer: Writer::new(pool, TIMEOUTS),
            cache: None,
            foreign: Arc::default(),
            principal: SERVER.into(),
            announcer: None,
        })
    }

    /// Keeps what it reads of repositories in memory (some megabytes), until it changes them. Other processes' changes
    /// are seen when [`Db::forget_foreign_writes`] has been called.
    #[must_use]
    pub fn with_cache(self) -> Self {
        Self { cache: Some(Arc::new(RepositoryCache::new())), ..self }
    }

    /// The same database, for what is written on behalf of somebody: an account, or an address that has none.
    /// Accounts take turns: one that writes much makes the others wait for one part of it at a time.
    #[must_use]
    pub fn on_behalf_of(&self, principal: &str) -> Self {
        Self { principal: principal.into(), ..self.clone() }
    }

    /// The same database, whose units of work put events into the queue.
    #[must_use]
    pub fn announcing(&self, announcer: Announcer) -> Self {
        Self { announcer: Some(announcer), ..self.clone() }
    }

    /// Who makes events of what this writes.
    pub(crate) fn announcer(&self) -> Option<&Announcer> {
        self.announcer.as_ref()
    }

    /// On whose behalf this writes, by the word that [`Db::on_behalf_of`] was given; empty for the server itself.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// How many turns writers of this process have taken. Whoever works in the background looks here whether others
    /// write too.
    pub fn write_turns(&self) -> u64 {
        self.writer.turns()
    }

    /// Forgets what is kept in memory if another process has written since this was called last; says whether one has.
    pub async fn forget_foreign_writes(&self) -> Result<bool, StateError> {
        // Of the writing connection: for it, this process's other writes are its own. Within its transaction nobody
        // else writes.
        let mut write = self.write().await?;
        let row = write.first(sql("PRAGMA data_version")).await?;
        let version = row.map_or(Ok(0), |row| row.integer("data_version"))?;
        write.roll_back().await?;
        if self.foreign.swap(version, Ordering::SeqCst) == version {
            return Ok(false);
        }
        drop(self.cache.as_ref().map(|cache| PendingWrite::to_any(cache).end()));
        Ok(true)
    }

    /// Answers if the database does.
    pub async fn ping(&self) -> Result<(), StateError> {
        self.readers.first(sql("SELECT version FROM schema_version WHERE version = 1")).await?;
        Ok(())
    }

    /// Writes out what is pending and closes all connections; every later call fails.
    pub async fn close(&self) {
        self.readers.0.close().await;
        self.writer.connections().close().await;
    }

    /// Where statements run that change nothing.
    pub(crate) fn read(&self) -> &Connections {
        &self.readers
    }

    /// A connection that may write, for what cannot be done within a transaction.
    pub(crate) fn outside(&self) -> Connections {
        Connections(self.writer.connections().clone())
    }

    /// Runs one statement that changes something, durable on return; how many rows it has changed.
    pub(crate) async fn change(&self, statement: Statement) -> Result<u64, StateError> {
        self.write().await?.execute_and_commit(statement).await
    }

    /// As [`Db::change`], for a statement that answers with rows.
    pub(crate) async fn change_rows(&self, statement: Statement) -> Result<Vec<Row>, StateError> {
        let mut write = self.write().await?;
        let rows = write.all(statement).await?;
        write.commit().await?;
        Ok(rows)
    }

    /// Begins to write. What is written is there, for readers and after a crash, when it is committed.
    pub(crate) async fn write(&self) -> Result<Write, StateError> {
        self.writer.begin(self.request(None)).await
    }

    /// As [`Db::write`], to rows of a repository.
    pub(crate) async fn write_to(&self, repository: &RepositoryName) -> Result<Write, StateError> {
        self.writer.begin(self.request(self.pending(repository))).await
    }

    /// As [`Db::write_to`], for what takes long: nobody who has done its part waits for it.
    pub(crate) async fn write_long_to(
        &self,
        repository: &RepositoryName,
    ) -> Result<Write, StateError> {
        self.writer.begin_own_transaction(self.request(self.pending(repository))).await
    }

    /// As [`Db::write`], for what takes long: nobody who has done its part waits for it.
    pub(crate) async fn write_long(&self) -> Result<Write, StateError> {
        self.writer.begin_own_transaction(self.request(None)).await
    }

    fn pending(&self, repository: &RepositoryName) -> Option<PendingWrite> {
        self.cache.as_ref().map(|cache| PendingWrite::to_one(cache, repository))
    }

    /// As [`Db::write`], to rows of any repositories, for as long as it takes to look through them.
    pub(crate) async fn write_to_any(&self) -> Result<Write, StateError> {
        self.writer
            .begin_own_transaction(self.request(self.cache.as_ref().map(PendingWrite::to_any)))
            .await
    }

    fn request(&self, pending: Option<PendingWrite>) -> WriteRequest {
        WriteRequest { principal: Arc::clone(&self.principal), pending }
    }

    /// What the cache holds under `key`, or what `read` finds.
    pub(crate) async fn cached<K, V>(
        &self,
        repository: &RepositoryName,
        which: impl FnOnce(&RepositoryCache) -> &Entries<K, V>,
        key: impl FnOnce() -> K,
        read: impl Future<Output = Result<Option<V>, StateError>>,
    ) -> Result<Option<V>, StateError>
    where
        K: Hash + Eq,
        V: MemorySize + Clone,
    {
        match self.cache.as_deref() {
            None => read.await,
            Some(cache) => cache.read(repository, which(cache), key(), read).await,
        }
    }
}

/// Readers at a time. Each is a thread with a page cache; SQLite answers in microseconds.
const READERS: u32 = 4;

/// How long a call waits for another process's transaction before the database counts as unavailable.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TIMEOUTS: Timeouts = Timeouts {
    queue: Duration::from_secs(10),
    // A hundred short parts and more; one of the longest.
    group: Duration::from_millis(30),
};

/// The principal of what the server writes by itself.
const SERVER: &str = "";

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // More than there are statements: none is prepared twice.
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

fn file_options(path: &Path) -> SqliteConnectOptions {
    options().filename(path)
}

/// Connections that stay: reopening one costs more than keeping it, and the one of a database in
/// memory is the database.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(2 * BUSY_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Whether a connection can be used again. Where a write or a sync fails, SQLite ends the transaction by
/// itself; there is nothing to roll back then, sqlx counts it as open for good, and would refuse every
/// later one. Such a connection is closed, and the next writer opens another.
async fn is_at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A roll back that was asked for is done before this is answered.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Makes the file, for its owner alone, if there is none. SQLite gives its other files
/// (`-wal`, `-shm`) the same mode.
async fn create(path: &Path) -> Result<(), StateError> {
    let mut options = tokio::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path).await {
        Ok(_) => Ok(()),
        Err(source) => Err(StateError::Open { path: path.to_owned(), source }),
    }
}

/// Write-ahead log on, tables up to date.
async fn prepare(path: &Path) -> Result<(), StateError> {
    let unusable = |source| StateError::Unusable { path: path.to_owned(), source };
    let mut connection = file_options(path).connect().await.map_err(unusable)?;
    let outcome = match write_ahead(&mut connection).await {
        Ok(()) => migrate(&mut connection).await,
        Err(source) => Err(unusable(source)),
    };
    connection.close().await.map_err(unusable)?;
    outcome
}

/// Switches the write-ahead log on, once in the file's life. The switch needs the file for itself
/// and SQLite does not wait for that by itself, so two first starts at once meet here.
async fn write_ahead(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
            Err(sqlx::Error::Database(error)) if is_busy(&*error) && waited < BUSY_TIMEOUT => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            outcome => return outcome.map(drop),
        }
    }
}

/// `SQLITE_BUSY` and its kin: the low byte of the extended code is 5.
fn is_busy(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

#[cfg(test)]
mod tests;
