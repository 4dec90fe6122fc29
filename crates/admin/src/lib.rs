//! The operations on an installation: its data directory, its database and what the configuration says of both.
//!
//! ```text
//! Installation ── users.rs         accounts of the database
//!              ├─ robots.rs        accounts of programs
//!              ├─ api_keys.rs      secrets of persons for programs
//!              ├─ sessions.rs      refresh tokens
//!              ├─ signing_keys.rs  the key ring: list, rotate, export
//!              ├─ events.rs       what others are told, and whether they take it
//!              ├─ read_only.rs    pulls without pushes
//!              ├─ fsck.rs         whether rows and objects are what they say
//!              ├─ garbage.rs      what collections remove, and one of them
//!              ├─ retention.rs    which tags stay, and the removal of the others
//!              ├─ pulls.rs        when what was pulled last, and how often
//!              ├─ audit.rs         the audit trail: read, follow, verify
//!              ├─ backup.rs        a backup that a server can start from
//!              ├─ storage_export.rs  all images, as an OCI layout or distribution's tree
//!              ├─ storage_import.rs  the tree of a distribution registry, brought in
//!              ├─ policy.rs        who may do what, and which rule says so
//!              └─ grant_origin.rs  which policy a registry's tokens are granted by
//!
//! a configuration alone ── workloads.rs  why a workload's token is an account, or nobody's
//!
//! what a server shares with it ── data_directory.rs  lock, file modes
//!                              ├─ first_start.rs     the account `admin`
//!                              ├─ seal_key.rs        the key of the private keys
//!                              ├─ key_ring.rs        the ring, opened
//!                              └─ account_sources.rs the sources of accounts, opened
//! ```
//!
//! An operation takes parameters and returns a typed value or an error; it prints nothing.
//! A running server notices every change within seconds: it watches versions in the database. Each
//! change leaves its record in the audit trail, in the same transaction.

mod account_key;
mod account_sources;
mod api_keys;
mod audit;
mod audit_events;
mod backup;
mod blob_directory;
mod blocking;
mod data_directory;
mod directories;
mod error;
mod events;
mod first_start;
mod fsck;
mod garbage;
mod grant_origin;
mod issued;
mod key_ring;
mod limits;
mod policy;
mod pulls;
mod read_only;
mod retention;
mod robots;
mod seal_key;
mod sessions;
mod signing_keys;
mod storage_export;
mod storage_import;
mod users;
mod workloads;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use jiff::{Timestamp, tz::TimeZone};
use portpass_authority::{
    audit::Action,
    keyring::{KeyRing, KeyRingError},
};
use portpass_config::{Config, Environment, Part, Signing, Sources, TokenService};
pub use portpass_registry::retention::Everything;
use portpass_state::{AuditRecord, Db};
pub use portpass_state::{Change, RevokedTokens};
use portpass_token::{Clock, Random, SystemClock, SystemRandom};

pub use portpass_jose::Algorithm;
pub use portpass_protocol::Authority;
pub use portpass_storage::Adoption;

pub use self::{
    account_sources::{account_sources, htpasswd_file},
    api_keys::ApiKey,
    audit::{AuditEntry, AuditFilter, AuditQuery, AuditVerdict},
    audit_events::AuditEvents,
    backup::{BackupError, BackupSummary, UnreadableBlob},
    blob_directory::BlobDirectoryError,
    blocking::blocking,
    data_directory::{DataDirectory, DataDirectoryError, FileMode, write_file},
    directories::{DirectoryExamination, DirectoryStep, examine_directories},
    error::AdminError,
    events::{EndpointStatus, EventRange, EventRangeError, EventRecord},
    first_start::{ADMIN, Administrator, FirstStart, FirstStartError},
    fsck::{StorageCheck, StorageFault, StorageVerdict},
    garbage::{GarbageCollection, GarbageForecast, GarbageItem},
    grant_origin::{GrantOrigin, NarrowKey, OtherTokenService, shell_quoted},
    issued::Issued,
    key_ring::{OpenKeyRingError, open_key_ring},
    limits::Limits,
    policy::{
        Caller, ChangedRegion, ChangedRights, Circumstances, Decider, LintFinding, Meant,
        PolicyExplanation, Reach, ReachingCaller, RightsDiff, RuleOnIt, Rulebook, Severity,
        TestedExpectation, UnlistedReach, UnlistedSource,
    },
    pulls::{AfterPull, PullRecord, PullsOf},
    read_only::ReadOnlyStatus,
    retention::{RetentionDone, RetentionForecast, TagForecast},
    robots::{Robot, RobotSecret, RobotStatus, RotatedRobot},
    seal_key::SealKeyError,
    sessions::{Session, SessionState, TokenRevocation},
    signing_keys::{KeyFormat, KeyPhase, PublicKeyExport, SigningKey},
    storage_export::{ExportError, ExportFormat, ExportSummary, StorageExport},
    storage_import::{ImportCounts, ImportError, ImportSummary, Problem, StorageImport},
    users::{AccountDoubt, NewUser, User, UserStatus},
    workloads::{
        WorkloadAccount, WorkloadCondition, WorkloadEntry, WorkloadExamination, WorkloadRefusal,
        examine_workload,
    },
};

/// An opened installation. A server may run on it at the same time.
#[derive(Debug)]
pub struct Installation {
    config: Config,
    db: Db,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Opens what `sources` and `environment` name. Makes nothing: without a database it fails and says so. Rules and files
/// that are broken are an error of those operations alone that need them.
pub async fn open(
    sources: &Sources,
    environment: &Environment,
) -> Result<Installation, AdminError> {
    let (sources, environment) = (sources.clone(), environment.clone());
    let config = blocking(move || Config::load_forgiving(&sources, &environment)).await?;
    let path = config.database();
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(AdminError::NotInstalled { path }),
        Err(source) => return Err(AdminError::Inaccessible { path, source }),
    }
    let db = Db::open(&path).await?;
    Ok(Installation { config, db, clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) })
}

/// As [`open`], and makes the database, for who has something to put there before the first start.
pub async fn open_or_make(
    sources: &Sources,
    environment: &Environment,
) -> Result<Installation, AdminError> {
    match open(sources, environment).await {
        Err(AdminError::NotInstalled { path }) => {
            let data = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            let directory = blocking(move || DataDirectory::open(&data)).await?;
            Db::open(&path).await?.close().await;
            drop(directory);
            open(sources, environment).await
        }
        opened => opened,
    }
}

impl Installation {
    /// The key ring, as the server has it. Only a ring that a server made is opened.
    async fn key_ring(&self) -> Result<KeyRing, AdminError> {
        self.config.require(Part::SigningKeys)?;
        let service = self.token_service()?;
        let Signing::Ring(algorithms) = &service.signing else {
            return Err(KeyRingError::Fixed.into());
        };
        if self.db.key_ring().await?.keys.is_empty() {
            return Err(AdminError::NoKeys);
        }
        let random = self.random.clone();
        let (db, data) = (&self.db, &self.config.data);
        Ok(open_key_ring(algorithms, service.longest_lifetime(), db, data, random, self.now())
            .await?)
    }

    /// The token service's configuration; there is none in a process that is a registry alone.
    fn token_service(&self) -> Result<&TokenService, AdminError> {
        self.config.token_service.as_ref().ok_or(AdminError::NoTokenService)
    }

    /// What of the configuration should be seen.
    pub fn warnings(&self) -> &[String] {
        &self.config.warnings
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn random_id(&self) -> [u8; 16] {
        let mut bits = [0; 16];
        self.random.fill(&mut bits);
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

#[cfg(test)]
mod tests;
