//! The database: one writer, a few readers.

use std::path::Path;

use crate::StateError;

/// The database. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct Db {}

impl Db {
    /// Opens the database file, makes it (mode 0600) if there is none, and brings its tables up to
    /// date. Several processes may have it open at once.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        todo!("{path:?}")
    }

    /// A database that is gone when the last clone is.
    pub async fn in_memory() -> Result<Self, StateError> {
        todo!()
    }

    /// Answers if the database does.
    pub async fn ping(&self) -> Result<(), StateError> {
        todo!()
    }

    /// Writes out what is pending and closes all connections.
    pub async fn close(&self) {
        todo!()
    }
}
