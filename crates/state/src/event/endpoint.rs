//! Endpoints: who is told of events, and how far each has come.

use crate::{
    Change, Db, StateError,
    page::capped,
    sql::{Row, sql},
};

/// How far an endpoint has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEndpoint {
    /// What the configuration calls it.
    pub name: String,
    /// Up to where it was told, or need not be.
    pub delivered: i64,
    /// Events that went before it could be told.
    pub lost: u64,
    /// Attempts that failed since the last that did not.
    pub failures: u64,
    /// Why the last of them did.
    pub failure: Option<String>,
}

impl Db {
    /// An endpoint as it stands. One that is new is told what happens from now on.
    pub async fn event_endpoint(&self, name: &str) -> Result<EventEndpoint, StateError> {
        let statement = sql("INSERT INTO event_endpoint (name, delivered, lost, failures)
             VALUES ($1, COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0), 0, 0)
             ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING *");
        let rows = self.change_rows(statement.bind(name)).await?;
        rows.first().map_or_else(
            || Err(StateError::inconsistent("name", "an endpoint was made without a row")),
            EventEndpoint::read,
        )
    }

    /// All of them, by name.
    pub async fn event_endpoints(&self) -> Result<Vec<EventEndpoint>, StateError> {
        let rows = self.read().all(sql("SELECT * FROM event_endpoint ORDER BY name")).await?;
        rows.iter().map(EventEndpoint::read).collect()
    }

    /// Writes down how far an endpoint has come, and whether it answers.
    pub async fn save_event_endpoint(&self, endpoint: &EventEndpoint) -> Result<(), StateError> {
        let statement = sql("UPDATE event_endpoint
             SET delivered = $2, lost = $3, failures = $4, failure = $5 WHERE name = $1")
        .bind(endpoint.name.as_str())
        .bind(endpoint.delivered)
        .bind(endpoint.lost)
        .bind(endpoint.failures)
        .bind(endpoint.failure.as_deref());
        self.change(statement).await?;
        Ok(())
    }

    /// Forgets an endpoint that nobody names any more.
    pub async fn remove_event_endpoint(&self, name: &str) -> Result<(), StateError> {
        self.change(sql("DELETE FROM event_endpoint WHERE name = $1").bind(name)).await?;
        Ok(())
    }

    /// Has an endpoint told of an event once more; `Unknown` where there is no such endpoint or event.
    pub async fn redeliver(&self, endpoint: &str, event: i64) -> Result<Change, StateError> {
        let statement = sql("INSERT INTO event_redelivery (endpoint, event)
             SELECT n.name, e.sequence FROM event_endpoint n JOIN event e ON e.sequence = $2
             WHERE n.name = $1
             ON CONFLICT (endpoint, event) DO UPDATE SET event = excluded.event");
        let changed = self.change(statement.bind(endpoint).bind(event)).await?;
        Ok(if changed == 0 { Change::Unknown } else { Change::Done })
    }

    /// The places of what an endpoint is to be told once more, oldest first.
    pub async fn redeliveries(&self, endpoint: &str, limit: usize) -> Result<Vec<i64>, StateError> {
        let statement = sql("SELECT event FROM event_redelivery
             WHERE endpoint = $1 ORDER BY event LIMIT $2");
        let rows = self.read().all(statement.bind(endpoint).bind(capped(limit))).await?;
        rows.iter().map(|row| row.integer("event")).collect()
    }

    /// It was told.
    pub async fn redelivered(&self, endpoint: &str, event: i64) -> Result<(), StateError> {
        let statement = sql("DELETE FROM event_redelivery WHERE endpoint = $1 AND event = $2");
        self.change(statement.bind(endpoint).bind(event)).await?;
        Ok(())
    }
}

impl EventEndpoint {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            name: row.text("name")?,
            delivered: row.integer("delivered")?,
            lost: row.count("lost")?,
            failures: row.count("failures")?,
            failure: row.optional_text("failure")?,
        })
    }
}
