//! What management commands do to an installation, while a server runs on it or not.
//!
//! ```text
//! Management ── users.rs         accounts of the database
//!            ├─ sessions.rs      refresh tokens
//!            ├─ signing_keys.rs  the ring: list, rotate, export
//!            ├─ audit.rs         the trail: read, follow, verify
//!            ├─ backup.rs        a backup that a server can start from
//!            ├─ rules.rs         who may do what, and which rule says so
//!            └─ decided.rs       which of them a registry's token came by
//! ```
//!
//! A running server notices every change within seconds: it watches versions in the database. Each
//! change leaves its record in the audit trail, in the same transaction.

mod audit;
mod backup;
mod decided;
mod rules;
mod sessions;
mod signing_keys;
mod users;

use std::{path::PathBuf, time::SystemTime};

use jiff::{Timestamp, tz::TimeZone};
use portpass_authority::{
    accounts::Unavailable,
    audit::{Action, UnknownAction},
    keyring::{KeyRing, KeyRingError},
    policy::PatternError,
    subject::{GroupError, NameError},
};
use portpass_protocol::scope::ScopeError;
use portpass_state::{AuditRecord, Db, StateError};

pub use self::{
    audit::{AuditEntry, AuditFilter, AuditQuestion, AuditVerdict},
    backup::{BackedUp, BackupError, Lost},
    decided::{Decided, Elsewhere, quoted},
    rules::{Asked, Explained},
    sessions::{Session, SessionState},
    signing_keys::{Export, ExportFormat, Key, KeyPhase},
    users::{Doubt, NewUser, User, UserStatus},
};

use crate::{
    config::{Config, ConfigError, Environment, Signing, Sources, TokenService},
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
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(ManageError::NotInstalled { path }),
        Err(source) => return Err(ManageError::Hidden { path, source }),
    }
    let db = Db::open(&path).await?;
    Ok(Management { config, db, system: System::real() })
}

/// The data directory that `sources` and `environment` name, whether anything is there or not.
pub async fn data_directory(
    sources: &Sources,
    environment: &Environment,
) -> Result<PathBuf, ManageError> {
    let (sources, environment) = (sources.clone(), environment.clone());
    let config = blocking(move || Config::load(&sources, &environment)).await?;
    Ok(config.data)
}

impl Management {
    /// The key ring, as the server has it. Only a ring that a server made is opened.
    async fn key_ring(&self) -> Result<KeyRing, ManageError> {
        let service = self.token_service()?;
        let Signing::Ring(algorithm) = service.signing else {
            return Err(KeyRingError::Fixed.into());
        };
        if self.db.key_ring().await?.keys.is_empty() {
            return Err(ManageError::NoKeys);
        }
        Ok(open_ring(algorithm, service.lifetime, &self.db, &self.config.data, &self.system)
            .await?)
    }

    /// The token service's configuration; there is none in a process that is a registry alone.
    fn token_service(&self) -> Result<&TokenService, ManageError> {
        self.config.token_service.as_ref().ok_or(ManageError::NoTokenService)
    }

    /// What of the configuration should be seen.
    pub fn warnings(&self) -> &[String] {
        &self.config.warnings
    }

    fn now(&self) -> SystemTime {
        self.system.clock.now()
    }

    fn fresh(&self) -> [u8; 16] {
        let mut bits = [0; 16];
        self.system.random.fill(&mut bits);
        bits
    }

    /// A record of something done from the command line.
    fn record(&self, action: Action, object: &str) -> AuditRecord {
        AuditRecord {
            at: self.now(),
            action: action.as_str().to_owned(),
            actor: None,
            object: Some(object.to_owned()),
            address: None,
            request: None,
            detail: serde_json::json!({ "by": "command line" }),
        }
    }
}

/// A time as people and programs read it (RFC 3339), in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    let text = |timestamp: Timestamp| {
        timestamp.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    // What no calendar reaches is shown as what it stands for.
    Timestamp::try_from(time).map_or_else(|_| "never".to_owned(), text)
}

fn serialize_time<S: serde::Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

#[expect(clippy::ref_option, reason = "what serde hands over")]
fn serialize_optional_time<S: serde::Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time.map(rfc3339), serializer)
}

/// Why an installation could not be opened, or has not what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// No entry of the trail has that word.
    #[error(transparent)]
    Action(#[from] UnknownAction),
    /// What was noted of the trail cannot be read.
    #[error(
        "{text:?} is no place of the audit trail: expected NUMBER:HASH, as `portpass audit verify` prints it"
    )]
    AuditHead {
        /// What was given.
        text: String,
    },
    /// There is no new backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is an account of this name already.
    #[error("there is an account named `{name}` already")]
    Exists {
        /// Which.
        name: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The name of a group cannot be one.
    #[error("{text:?} cannot be a group: {why}")]
    Group {
        /// What was given.
        text: String,
        /// Why not.
        why: GroupError,
    },
    /// The name of an account cannot be one.
    #[error("{text:?} cannot be an account name: {why}")]
    Name {
        /// What was given.
        text: String,
        /// Why not.
        why: NameError,
    },
    /// No token service has started on this database yet.
    #[error("there are no signing keys yet: the first start of the token service makes them")]
    NoKeys,
    /// The token service does not ask the accounts of the database.
    #[error(
        "the accounts of the database are not used: `token_service.accounts` does not name `local`"
    )]
    NoLocalAccounts,
    /// A rule speaks of a namespace of that name.
    #[error(
        "`{name}` is reserved: {rule} speaks of repositories below it, which would be the account's"
    )]
    Reserved {
        /// Which.
        name: String,
        /// Which rule.
        rule: String,
    },
    /// What should be a pattern of repositories is none.
    #[error("{text:?} is no pattern of repositories: {why}")]
    Pattern {
        /// What was given.
        text: String,
        /// Why not.
        why: PatternError,
    },
    /// A pattern that means another repository for each account.
    #[error(
        "{text:?} leaves open whose repositories are meant: write the name in place of `${{…}}`, or `*`"
    )]
    OpenPattern {
        /// What was given.
        text: String,
    },
    /// The password is set, and the file with the first one is still there.
    #[error(
        "the password is set, but the file `admin-password` with the old one cannot be removed from {}: {source}; \
         delete it",
        path.display()
    )]
    Stale {
        /// The data directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What should be a time is none.
    #[error("{text:?} is no time: expected how long ago, as in 2h or 3d, or 2026-11-30T05:00:00Z")]
    Since {
        /// What was given.
        text: String,
    },
    /// A scope cannot be read.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// A source of accounts does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// There is no such account.
    #[error("there is no account named `{name}` in {}", sources.join(", "))]
    UnknownAccount {
        /// Which.
        name: String,
        /// Where it was looked for.
        sources: Vec<String>,
    },
    /// There is no such service.
    #[error("no tokens are made for the service `{name}`, only for {}", known.join(", "))]
    UnknownService {
        /// Which.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// There is no such live session.
    #[error("there is no session {id} that could be revoked")]
    UnknownSession {
        /// Which.
        id: String,
    },
    /// Nothing was ever started there.
    #[error(
        "there is no installation at {}: start `portpass serve` once, or name another place by --data or --config",
        path.display()
    )]
    NotInstalled {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Whether anything was started there cannot be seen.
    #[error("cannot look at {}: {source}; run this as the user that `portpass serve` runs as", path.display())]
    Hidden {
        /// What was looked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
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

impl ManageError {
    /// What may help, most likely first.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Backup(error) => error.hints(),
            Self::Config(error) => error.hints().to_vec(),
            Self::Exists { name } => {
                vec![format!("`portpass user password {name}` sets another password")]
            }
            Self::UnknownAccount { .. } => vec!["`portpass user list` shows all accounts".into()],
            Self::UnknownSession { .. } => {
                vec!["`portpass session list` shows the sessions".into()]
            }
            Self::Action(_) => {
                let words: Vec<&str> = Action::ALL.into_iter().map(Action::as_str).collect();
                vec![format!("there are {}", words.join(", "))]
            }
            _ => Vec::new(),
        }
    }

    /// Whether what was typed makes no sense, whatever the installation holds.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Action(_)
                | Self::AuditHead { .. }
                | Self::Group { .. }
                | Self::Name { .. }
                | Self::OpenPattern { .. }
                | Self::Pattern { .. }
                | Self::Scope(_)
                | Self::Since { .. }
                | Self::UnknownService { .. }
        )
    }
}

#[cfg(test)]
mod tests;
