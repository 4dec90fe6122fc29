//! Events: what others are told of the registry, in a queue that every endpoint reads at its own pace.
//!
//! ```text
//! unit of work ── announcer ─> event rows ── endpoint reads behind `delivered`, in order
//!   (one transaction)             │
//!                                 └ the oldest go when there are too many
//! ```
//! An event is in the queue if and only if what it tells of is in the database. An endpoint is told at least once.

mod endpoint;

use std::time::SystemTime;

use portpass_protocol::RepositoryName;

pub use self::endpoint::EventEndpoint;
use crate::{
    Announced, Db, EventId, NewEvent, StateError,
    page::capped,
    sql::{Row, sql},
    writer::Write,
};

/// An event of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Its place in the queue.
    pub sequence: i64,
    /// Its name.
    pub id: EventId,
    /// When it happened.
    pub at: SystemTime,
    /// What happened.
    pub action: String,
    /// Where.
    pub repository: RepositoryName,
    /// Of what it is about; empty where that is gone.
    pub media_type: String,
    /// All of it, as endpoints get it: a JSON object.
    pub document: String,
}

impl Db {
    /// Adds what is to be told of this to its transaction.
    pub(crate) async fn announce(
        &self,
        repository: &RepositoryName,
        what: Announced<'_>,
        write: &mut Write,
    ) -> Result<(), StateError> {
        let Some(announcer) = self.announcer() else { return Ok(()) };
        append(&announcer.events(repository, what), write).await
    }

    /// Adds events of what changes nothing.
    pub async fn append_events(&self, events: &[NewEvent]) -> Result<(), StateError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        append(events, &mut write).await?;
        write.commit().await
    }

    /// The events after a place in the queue, oldest first.
    pub async fn events_after(
        &self,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<QueuedEvent>, StateError> {
        let statement = sql("SELECT * FROM event WHERE sequence > $1 ORDER BY sequence LIMIT $2");
        let rows = self.read().all(statement.bind(sequence).bind(capped(limit))).await?;
        rows.iter().map(QueuedEvent::read).collect()
    }

    /// One of them.
    pub async fn event(&self, sequence: i64) -> Result<Option<QueuedEvent>, StateError> {
        let statement = sql("SELECT * FROM event WHERE sequence = $1").bind(sequence);
        self.read().first(statement).await?.map(|row| QueuedEvent::read(&row)).transpose()
    }

    /// The places of the first and the last event; the last counts events that went, too.
    pub async fn event_bounds(&self) -> Result<(i64, i64), StateError> {
        let first = sql("SELECT sequence FROM event ORDER BY sequence LIMIT $1").bind(1_i64);
        let first =
            self.read().first(first).await?.map(|row| row.integer("sequence")).transpose()?;
        let last = sql("SELECT seq FROM sqlite_sequence WHERE name = 'event'");
        let last = self.read().first(last).await?.map(|row| row.integer("seq")).transpose()?;
        let last = last.unwrap_or(0);
        Ok((first.unwrap_or(last + 1), last))
    }

    /// Removes the events up to a place; says how many.
    pub async fn remove_events(&self, up_to: i64) -> Result<u64, StateError> {
        self.change(sql("DELETE FROM event WHERE sequence <= $1").bind(up_to)).await
    }
}

async fn append(events: &[NewEvent], write: &mut Write) -> Result<(), StateError> {
    for event in events {
        let statement = sql("INSERT INTO event (id, at, action, repository, media_type, document)
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(event.id)
        .bind(event.at)
        .bind(event.action)
        .bind(event.repository.as_str())
        .bind(event.media_type.as_str())
        .bind(event.document.as_str());
        write.run(statement).await?;
    }
    Ok(())
}

impl QueuedEvent {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            sequence: row.integer("sequence")?,
            id: EventId::read("id", &row.bytes("id")?)?,
            at: row.time("at")?,
            action: row.text("action")?,
            repository: row.parsed("repository")?,
            media_type: row.text("media_type")?,
            document: row.text("document")?,
        })
    }
}
