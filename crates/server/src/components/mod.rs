//! Everything that a configuration means, built: services, keys, files. Nothing listens yet.
//!
//! ```text
//! SharedState      data directory, database, hashing pool, trail      as long as the process
//!   └─ Components  registry, token service, key ring                  as long as a configuration
//! ```

mod account_groups;
mod registry;
mod shared;
mod store;
mod tokens;

use std::{path::Path, sync::Arc};

use portpass_admin::{
    Administrator, DataDirectory, DataDirectoryError, FirstStartError, OpenKeyRingError, blocking,
};
use portpass_authority::keyring::KeyRing;
use portpass_config::{Audit, Config, Environment, Gc, Http, NotificationEndpoint, TokenListen};
use portpass_password::htpasswd::HtpasswdError;
use portpass_protocol::Origin;
use portpass_registry::{ReadOnly, Registry, groups::GroupDirectory};
use portpass_state::StateError;
use portpass_storage::StoreError;
use portpass_token::{Issuer, ServiceName, Verifier};

use crate::{
    http::{listener_router::TokenRoutes, proxies::ChallengeRealm},
    key_files::{self, WriteKeysError},
    listeners::{ListenerConfig, listeners},
    metrics::Metrics,
    revocations::RevocationList,
    rule_file::WatchedRules,
    system::System,
};

pub(crate) use self::shared::SharedState;
pub use self::store::StorageError;

/// A configuration, built.
#[derive(Debug)]
pub struct Components {
    pub(crate) shared: Arc<SharedState>,
    pub(crate) http: Http,
    pub(crate) audit: Audit,
    /// Where to listen.
    pub(crate) listeners: Vec<ListenerConfig>,
    pub(crate) registry: Option<RegistryComponent>,
    pub(crate) tokens: Option<TokenComponent>,
    /// What is kept from all that checks tokens of this installation.
    pub(crate) revocations: RevocationList,
    administrator: Option<Administrator>,
}

/// The registry of this process.
#[derive(Debug)]
pub(crate) struct RegistryComponent {
    /// What of its garbage goes, and when.
    pub(crate) gc: Gc,
    /// Answers under `/v2/`.
    pub(crate) registry: Registry,
    /// Whether it refuses to change anything.
    pub(crate) read_only: Arc<ReadOnly>,
    /// Who is told of what happens.
    pub(crate) endpoints: Vec<NotificationEndpoint>,
    /// Whether anybody is asked who they are.
    pub(crate) guarded: bool,
    /// What its challenges say of the address that clients use.
    pub(crate) challenges: ChallengeRealm,
    /// Of the tokens of the token service beside it, where that is whom it trusts.
    pub(crate) verifier: Option<Arc<Verifier>>,
}

/// The token service of this process.
#[derive(Debug)]
pub(crate) struct TokenComponent {
    /// What it answers.
    pub(crate) routes: TokenRoutes,
    /// Where.
    pub(crate) listen: TokenListen,
    /// How clients reach it, where that was said.
    pub(crate) url: Option<Origin>,
    /// What checks tokens that it is asked about.
    pub(crate) verifiers: Vec<Arc<Verifier>>,
    /// What it signs with.
    pub(crate) keys: Arc<KeyRing>,
    /// The file of its rules, where they have one.
    pub(crate) rules: Option<Arc<WatchedRules>>,
    /// What it calls itself.
    pub(crate) issuer: Issuer,
    /// The service of a request that names none.
    pub(crate) service: ServiceName,
    /// Who is in which group.
    pub(crate) groups: Arc<dyn GroupDirectory>,
}

impl Components {
    /// Takes the data directory, opens the database, makes what the first start makes.
    pub async fn build(
        config: Config,
        environment: &Environment,
        system: System,
    ) -> Result<Self, StartError> {
        let data = config.data.clone();
        let directory = blocking(move || DataDirectory::open(&data)).await?;
        let shared = Arc::new(SharedState::open(directory, &config, system).await?);
        shared.prepare_service().await?;
        let given = environment.get("PORTPASS_ADMIN_PASSWORD_FILE").map(Path::new);
        let administrator = shared.install(&config, given).await?;
        let components = Self::on(shared, config, administrator).await?;
        components.shared.put_into_service()?;
        components.write_key_files().await?;
        Ok(components)
    }

    /// Builds another configuration on what the process has already.
    pub(crate) async fn rebuild(&self, config: Config) -> Result<Self, StartError> {
        Self::on(self.shared.clone(), config, None).await
    }

    async fn on(
        shared: Arc<SharedState>,
        config: Config,
        administrator: Option<Administrator>,
    ) -> Result<Self, StartError> {
        let listeners = listeners(&config);
        let Config { http, audit, registry, token_service, adoption, .. } = config;
        let tokens = match token_service {
            Some(service) => Some(tokens::build(service, &shared).await?),
            None => None,
        };
        let registry = match registry {
            Some(registry) => {
                Some(registry::build(registry, adoption, &http, tokens.as_ref(), &shared).await?)
            }
            None => None,
        };
        let of_registry = registry.iter().flat_map(|registry| &registry.verifier);
        let of_tokens = tokens.iter().flat_map(|tokens| &tokens.verifiers);
        let verifiers = of_registry.chain(of_tokens).cloned().collect();
        let revocations = RevocationList::read(shared.db.clone(), verifiers).await?;
        Ok(Self { shared, http, audit, listeners, registry, tokens, revocations, administrator })
    }

    /// Writes what other registries trust.
    pub(crate) async fn write_key_files(&self) -> Result<(), StartError> {
        match &self.tokens {
            Some(tokens) => Ok(key_files::write(self.data(), &tokens.keys.current()).await?),
            None => Ok(()),
        }
    }

    /// The account that the first start made, where there are local accounts.
    pub fn administrator(&self) -> Option<&Administrator> {
        self.administrator.as_ref()
    }

    /// Whether there is a registry in this process.
    pub fn has_registry(&self) -> bool {
        self.registry.is_some()
    }

    /// Whether there is a token service in this process.
    pub fn has_token_service(&self) -> bool {
        self.tokens.is_some()
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.shared.directory.path()
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }
}

/// Why a configuration that makes sense could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The registry has no token service beside it to trust.
    #[error("there is no token service for the registry to trust")]
    NoTokenService,
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataDirectoryError),
    /// The first start.
    #[error(transparent)]
    Install(#[from] FirstStartError),
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The blobs' directory.
    #[error("blobs cannot be kept: {0}")]
    Store(#[from] StoreError),
    /// The blobs are not ours to use.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A password file.
    #[error(transparent)]
    Htpasswd(#[from] HtpasswdError),
    /// The keys.
    #[error(transparent)]
    KeyRing(#[from] OpenKeyRingError),
    /// The files for other registries.
    #[error(transparent)]
    KeyFiles(#[from] WriteKeysError),
    /// A text that cannot stand in a challenge.
    #[error(transparent)]
    Challenge(#[from] portpass_protocol::challenge::NotQuotable),
}

impl StartError {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Storage(error) => error.hints().iter().map(|hint| (*hint).to_owned()).collect(),
            _ => Vec::new(),
        }
    }
}
