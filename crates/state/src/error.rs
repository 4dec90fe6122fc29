//! What can go wrong between us and the rows.

use std::{path::PathBuf, sync::Arc};

use sqlx::error::DatabaseError;

/// Why the database did not do what it was asked.
///
/// None of these says anything about the caller's request: an unknown account or a missing blob is
/// an answer, not an error. The list is closed: the services' tables of answers name each of them.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database file or its directory cannot be used.
    #[error("cannot open the database {}: {source}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is there, but SQLite cannot use it.
    #[error("cannot use {} as a database: {source}", path.display())]
    Unusable {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// The file is a database, but not one of ours.
    #[error("the database has tables but none of portpass's: it belongs to another program")]
    Foreign,
    /// A newer program has changed the tables in ways this one does not know.
    #[error(
        "the database has schema version {found}, this program supports versions up to {known}: it was \
         written by a newer portpass; start that one, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A migration that was applied is not the one this program carries.
    #[error(
        "migration {version} of the database was applied with another text than this program has: the database was changed by hand or by a build from other sources"
    )]
    Altered {
        /// The migration's number.
        version: i64,
    },
    /// A row that is in none of its possible states.
    #[error("inconsistent row: {column}: {reason}")]
    Inconsistent {
        /// The column, or the columns that contradict each other.
        column: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// The database did not answer, or answered with an error: nobody's fault who asked.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
}

impl StateError {
    /// Whether there was no room to write.
    pub fn is_disk_full(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        // https://sqlite.org/rescode.html#full
        error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "13")
    }

    pub(crate) fn inconsistent(column: &'static str, reason: impl Into<String>) -> Self {
        Self::Inconsistent { column, reason: reason.into() }
    }
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        Arc::new(error).into()
    }
}

/// One error may be that of many who waited for the same transaction.
impl From<Arc<sqlx::Error>> for StateError {
    fn from(error: Arc<sqlx::Error>) -> Self {
        Self::Unavailable(error)
    }
}
