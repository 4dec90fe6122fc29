//! Database and configuration of an installation, for management commands beside a running server.

use std::{path::PathBuf, sync::Arc};

use portpass_authority::{
    keyring::{KeyRing, KeyRingError},
    policy::RuleSet,
};
use portpass_state::{Db, StateError};

use crate::{
    config::{Config, ConfigError, Environment, Signing, Sources},
    parts::{StartError, blocking, open_ring},
    system::System,
};

/// An installation opened for management. A server may run on it at the same time.
#[derive(Debug)]
pub struct Management {
    config: Config,
    db: Db,
    system: System,
}

/// Opens what `sources` and `environment` name. Makes nothing: without a database it fails and says so.
pub async fn open(sources: &Sources, environment: &Environment) -> Result<Management, ManageError> {
    let (sources, environment) = (sources.clone(), environment.clone());
    let config = blocking(move || Config::load(&sources, &environment)).await?;
    let path = config.database();
    if !path.try_exists().unwrap_or(false) {
        return Err(ManageError::NotInstalled { path });
    }
    let db = Db::open(&path).await?;
    Ok(Management { config, db, system: System::real() })
}

impl Management {
    /// The database: accounts, refresh tokens, keys, audit.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The configuration that a server would start with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Time, chance and cores.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The rules of the token service.
    pub fn rules(&self) -> Result<&Arc<RuleSet>, ManageError> {
        Ok(&self.token_service()?.rules)
    }

    /// The key ring, as the server has it. Only a ring that a server made is opened.
    pub async fn key_ring(&self) -> Result<KeyRing, ManageError> {
        let service = self.token_service()?;
        let Signing::Ring(algorithm) = service.signing else {
            return Err(KeyRingError::Fixed.into());
        };
        if self.db.key_ring().await?.keys.is_empty() {
            return Err(ManageError::NotInstalled { path: self.config.database() });
        }
        Ok(open_ring(algorithm, service.lifetime, &self.db, &self.config.data, &self.system)
            .await?)
    }

    /// The token service's configuration; there is none in a process that is a registry alone.
    pub fn token_service(&self) -> Result<&crate::config::TokenService, ManageError> {
        self.config.token_service.as_ref().ok_or(ManageError::NoTokenService)
    }
}

/// Why an installation could not be opened, or has not what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing was ever started there.
    #[error(
        "there is no installation at {}: start `portpass serve` once, or name another place by --data or --config",
        path.display()
    )]
    NotInstalled {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The configuration has no token service.
    #[error(
        "this configuration runs no token service, so it has neither accounts nor rules nor signing keys"
    )]
    NoTokenService,
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The key ring.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// What the key ring needs.
    #[error(transparent)]
    Start(#[from] StartError),
}
