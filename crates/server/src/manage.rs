//! Database and configuration of an installation, for management commands beside a running server.

use portpass_state::Db;

use crate::config::{ConfigError, Environment, Sources};

/// An installation opened for management. A server may run on it at the same time.
#[derive(Debug)]
pub struct Management {
    db: Db,
}

impl Management {
    /// The database: accounts, refresh tokens, keys, audit.
    pub fn db(&self) -> &Db {
        &self.db
    }
}

/// Opens what `sources` and `environment` name. Makes nothing: without a database it fails and says so.
pub async fn open(
    _sources: &Sources,
    _environment: &Environment,
) -> Result<Management, ManageError> {
    todo!()
}

/// Why an installation could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}
