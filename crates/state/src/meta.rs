//! Facts about the installation, by name; and the versions that other processes watch.

use std::time::{Duration, SystemTime};

use crate::{
    Db, StateError,
    garbage::OBJECTS_KEPT_UNTIL,
    read_only::READ_ONLY,
    sql::{Connections, sql},
    writer::Write,
};

impl Db {
    /// The value under a name, if one was set.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, StateError> {
        let statement = sql("SELECT value FROM meta WHERE name = $1").bind(name);
        self.read().first(statement).await?.map(|row| row.text("value")).transpose()
    }

    /// Sets a value, whatever was there.
    pub async fn set_meta(&self, name: &str, value: &str) -> Result<(), StateError> {
        let statement = sql("INSERT INTO meta (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value");
        self.change(statement.bind(name).bind(value)).await?;
        Ok(())
    }

    /// Sets a value unless there is one, and says which counts now. Of several processes that
    /// start at once, all get the same answer.
    pub async fn meta_or_set(&self, name: &str, value: &str) -> Result<String, StateError> {
        if let Some(there) = self.meta(name).await? {
            return Ok(there);
        }
        // The assignment of a value to itself makes RETURNING answer in either case.
        let statement = sql("INSERT INTO meta (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = meta.value RETURNING value");
        let rows = self.change_rows(statement.bind(name).bind(value)).await?;
        rows.first().map_or_else(|| Err(missing()), |row| row.text("value"))
    }
}

impl Db {
    /// Since when an installation has been at work on this database; from `now` on if nobody said so before.
    pub async fn serving_since(&self, now: SystemTime) -> Result<SystemTime, StateError> {
        let text = self.meta_or_set(SERVING_SINCE, &millis(now)).await?;
        let since = text.parse().map(Duration::from_millis);
        let since = since.map_err(|_| StateError::inconsistent("value", "it is no number"))?;
        Ok(SystemTime::UNIX_EPOCH + since)
    }

    /// Begins to count anew: an installation is at work on this database, and on its store, from `now` on.
    pub async fn serving_anew(&self, now: SystemTime) -> Result<(), StateError> {
        self.set_meta(SERVING_SINCE, &millis(now)).await
    }

    /// A copy becomes an installation of its own: it gets this id, and begins at `now`. One that has begun stays what
    /// it is.
    pub async fn become_installation(&self, id: &str, now: SystemTime) -> Result<(), StateError> {
        if self.meta(SERVING_SINCE).await?.is_none() {
            self.set_meta(INSTALLATION, id).await?;
            self.serving_anew(now).await?;
        }
        Ok(())
    }

    /// What the store of this database is known by.
    pub async fn pairing(&self) -> Result<Pairing, StateError> {
        let text = self.meta(PAIRING).await?.unwrap_or_default();
        let mut words = text.split_whitespace().map(str::to_owned);
        Ok(Pairing { current: words.next(), before: words.next() })
    }

    /// From now on `current` counts; as long as the store may not have it yet, `before` does too.
    pub async fn set_pairing(&self, current: &str, before: Option<&str>) -> Result<(), StateError> {
        let text = [Some(current), before].into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.set_meta(PAIRING, &text).await
    }

    /// What the database knows itself by: `fresh` if nothing was said before.
    pub async fn installation(&self, fresh: &str) -> Result<String, StateError> {
        self.meta_or_set(INSTALLATION, fresh).await
    }
}

/// What a database and its store both have, so that no other copy of either is taken for them. A word without a space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairing {
    /// Since the last start.
    pub current: Option<String>,
    /// What the store has if that start was broken off before it could write there.
    pub before: Option<String>,
}

impl Pairing {
    /// Whether a store that has this one is that of the database.
    pub fn is_of(&self, pairing: &str) -> bool {
        [&self.current, &self.before].into_iter().flatten().any(|known| known == pairing)
    }
}

fn millis(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_millis().to_string()
}

const INSTALLATION: &str = "installation";
const SERVING_SINCE: &str = "serving_since";
const PAIRING: &str = "store_pairing";

/// What is said of this database and its store, and of no copy.
pub(crate) const INSTANCE_ONLY: [&str; 4] = [SERVING_SINCE, PAIRING, READ_ONLY, OBJECTS_KEPT_UNTIL];

/// The counters that migrations made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counter {
    Accounts,
    KeyRing,
    NotBefore,
    /// Of robots and API keys.
    Robots,
}

impl Counter {
    /// Reads it.
    pub(crate) async fn read(self, connections: &Connections) -> Result<u64, StateError> {
        let statement = sql("SELECT value FROM counter WHERE name = $1").bind(self.name());
        connections.first(statement).await?.map_or_else(|| Err(missing()), |row| row.count("value"))
    }

    /// Raises it.
    pub(crate) async fn raise(self, write: &mut Write) -> Result<(), StateError> {
        let statement = sql("UPDATE counter SET value = value + 1 WHERE name = $1");
        write.run(statement.bind(self.name())).await?;
        Ok(())
    }

    /// Raises it if it stands at `from`; says where it stands then.
    pub(crate) async fn raise_from(
        self,
        from: u64,
        write: &mut Write,
    ) -> Result<Raised, StateError> {
        let statement = sql(
            "UPDATE counter SET value = value + 1 WHERE name = $1 AND value = $2 RETURNING value",
        );
        if let Some(row) = write.first(statement.bind(self.name()).bind(from)).await? {
            return Ok(Raised::Done(row.count("value")?));
        }
        let statement = sql("SELECT value FROM counter WHERE name = $1").bind(self.name());
        match write.first(statement).await? {
            Some(row) => Ok(Raised::Elsewhere(row.count("value")?)),
            None => Err(missing()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::KeyRing => "key_ring",
            Self::NotBefore => "not_before",
            Self::Robots => "robots",
        }
    }
}

/// Where a counter stands after [`Counter::raise_from`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Raised {
    Done(u64),
    Elsewhere(u64),
}

fn missing() -> StateError {
    StateError::inconsistent("value", "a row that a migration made is gone")
}
