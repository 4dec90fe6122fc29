//! The configuration: what was typed ([`ConfigFile`] and its sections), and what it means ([`Config`]).
//!
//! ```text
//! file ──parse──► ConfigFile ◄── environment ◄── flags
//!                     │ build: read files, parse keys, compile rules
//!                     ▼
//!                  Config          nothing in it can fail to parse any more
//! ```

mod accounts;
mod address;
mod admin;
mod audit;
mod auth;
mod claim_conditions;
mod compared;
mod distribution;
mod docker_auth;
mod environment;
mod error;
mod expectation;
mod file;
mod files;
mod foreign;
mod groups;
mod http;
mod introspection;
mod limits;
mod location;
mod log;
mod measure;
mod one_or_many;
mod overlay;
mod passwords;
mod placeholder;
mod policy;
mod registry;
mod said;
mod signing;
mod tls;
mod token_service;
mod translation;
mod type_error;
mod unusable;
mod variables;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use self::unusable::{Reading, Unusable};

pub use self::{
    accounts::{AccountSource, HttpSource, LdapSource, WorkloadKeys, WorkloadSource},
    address::{Address, AddressError},
    admin::Admin,
    audit::Audit,
    auth::{Auth, Htpasswd, Silly, Token},
    compared::RulesOfFile,
    distribution::{Translated, import as import_distribution},
    docker_auth::{AclFile, AclFileContent, ImportTarget, Imported, import},
    environment::Environment,
    error::ConfigError,
    expectation::{Expectation, Profile, RuleName},
    file::{ConfigFile, schema},
    files::Files,
    http::{DEFAULT_IDLE_TIMEOUT, Http, TrustedProxies},
    limits::Attempts,
    location::{Located, Location},
    log::{Log, LogFormat},
    measure::{MeasureError, Rate, Size, Span},
    policy::{PolicyFile, PolicyFileContent, PolicySource, RuleFile, RuleFileContent},
    registry::{
        Catalog, Children, Gc, GcSchedule, NotificationEndpoint, NotificationsConfig, Registry,
        RegistryAuth,
    },
    signing::Signing,
    tls::{TlsError, TlsFiles},
    token_service::{TokenListen, TokenService},
    unusable::Part,
    variables::{VariableHelp, variables},
};

/// What to do with blobs that are not known to be those of the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Adoption {
    /// Refuse them.
    #[default]
    Never,
    /// Take them over, if they are those that its rows name, or if there are none.
    IfItFits,
}

/// What the command line says about where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`: the configuration file; without one, the embedded default.
    pub config: Option<PathBuf>,
    /// `--data`: the data directory; wins over file and environment.
    pub data: Option<PathBuf>,
    /// `--addr`: `http.addr`; wins over file and environment.
    pub addr: Option<Address>,
    /// `--adopt-storage`: what to do with blobs that are not known to be ours.
    pub adoption: Adoption,
}

/// What the configuration means: files read, keys parsed, rules compiled.
#[derive(Debug)]
pub struct Config {
    /// The directory of the database, the keys and, by default, the blobs.
    pub data: PathBuf,
    /// How the registry is reached.
    pub http: Http,
    /// Health and metrics.
    pub admin: Option<Admin>,
    /// How much is logged, and how.
    pub log: Log,
    /// How much of the audit trail is kept.
    pub audit: Audit,
    /// The registry of this process.
    pub registry: Option<Registry>,
    /// The token service of this process.
    pub token_service: Option<TokenService>,
    /// What to do with blobs that are not known to be ours.
    pub adoption: Adoption,
    /// What does not stop the start but should be seen.
    pub warnings: Vec<String>,
    unusable: Vec<Unusable>,
}

impl Config {
    /// Reads everything that `sources` and `environment` name. Blocks on files; opens no listener and
    /// makes nothing.
    pub fn load(sources: &Sources, environment: &Environment) -> Result<Self, ConfigError> {
        Self::read(sources, environment, Reading::Strict)
    }

    /// As [`load`](Self::load), but for somebody who does not need everything: rules and files that are broken become
    /// warnings, and [`require`](Self::require) says which part they are of.
    pub fn load_forgiving(
        sources: &Sources,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::read(sources, environment, Reading::Forgiving)
    }

    fn read(
        sources: &Sources,
        environment: &Environment,
        reading: Reading,
    ) -> Result<Self, ConfigError> {
        let (mut typed, files) = match &sources.config {
            Some(path) => (ConfigFile::read(path)?, Files::relative_to(path)),
            None => (ConfigFile::default(), Files::without_file()),
        };
        let files = files.with_reading(reading);
        let mut warnings = typed.apply_environment(environment)?;
        typed.apply_flags(sources);
        if sources.config.is_none() {
            typed.add_default_services();
        }
        let mut config = typed.build(&files, environment)?;
        config.adoption = sources.adoption;
        config.unusable = files.take_unusable();
        warnings.append(&mut files.into_warnings());
        warnings.append(&mut config.warnings);
        warnings.extend(config.unusable.iter().map(|unusable| unusable.error.to_string()));
        config.warnings = warnings;
        Ok(config)
    }

    /// Fails if this part is broken. It never is after [`load`](Self::load).
    pub fn require(&self, part: Part) -> Result<(), ConfigError> {
        let broken = self.unusable.iter().find(|unusable| unusable.part == part);
        broken.map_or(Ok(()), |unusable| Err(unusable.error.clone()))
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.data.join("portpass.db")
    }

    /// Whether anything is served on `http.addr`.
    pub fn serves_http(&self) -> bool {
        self.registry.is_some()
            || self
                .token_service
                .as_ref()
                .is_some_and(|service| matches!(service.listen, TokenListen::Shared))
    }
}
