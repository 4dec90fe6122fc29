//! Why an operation on an installation failed.

use std::path::PathBuf;

use portpass_authority::{
    accounts::Unavailable,
    audit::{Action, UnknownAction},
    ceiling::CeilingError,
    keyring::KeyRingError,
    policy::FixedPatternError,
    subject::{GroupError, NameError, ROBOT_PREFIX, RobotNameError},
};
use portpass_config::ConfigError;
use portpass_password::{htpasswd::HtpasswdError, min_length::TooShort};
use portpass_protocol::scope::ScopeError;
use portpass_registry::upkeep::UpkeepError;
use portpass_state::StateError;

use crate::{
    backup::BackupError, blob_directory::BlobDirectoryError, data_directory::DataDirectoryError,
    key_ring::OpenKeyRingError, storage_export::ExportError, storage_import::ImportError,
};

/// Why an installation could not be opened, or has not what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No entry of the trail has that word.
    #[error(transparent)]
    UnknownAction(#[from] UnknownAction),
    /// What was noted of the trail cannot be read.
    #[error(
        "{text:?} is no position in the audit trail: expected NUMBER:HASH, as `portpass audit verify` prints it"
    )]
    InvalidAuditHead {
        /// What was given.
        text: String,
    },
    /// There is no new backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// An export stopped.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An import stopped.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The data directory.
    #[error(transparent)]
    DataDirectory(#[from] DataDirectoryError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is an account of this name already.
    #[error("there is an account named `{name}` already")]
    AccountExists {
        /// Which.
        name: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    WriteFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The name of a group cannot be one.
    #[error("{text:?} cannot be a group: {why}")]
    InvalidGroup {
        /// What was given.
        text: String,
        /// Why not.
        why: GroupError,
    },
    /// An account cannot leave a group that the configuration puts it into.
    #[error("`token_service.groups` puts `{name}` into {group:?}, not the database")]
    ConfiguredGroup {
        /// Which account.
        name: String,
        /// Which group.
        group: String,
    },
    /// There are no rules to apply.
    #[error("there is no rule in `registry.retention.rules`, so every tag stays")]
    NoRetention,
    /// Rules may be wrong that drop everything.
    #[error("nothing is removed: {}", what.join("; "))]
    RetentionUnconfirmed {
        /// What would lose everything.
        what: Vec<String>,
    },
    /// A password that may not be set.
    #[error(transparent)]
    PasswordTooShort(#[from] TooShort),
    /// An account cannot enter a group and leave it at once.
    #[error("`--add` and `--remove` both name the group {group:?}")]
    BothWays {
        /// Which group.
        group: String,
    },
    /// An account cannot leave a group that it is not in.
    #[error("`{name}` is not in the group {group:?}")]
    NotInGroup {
        /// Which account.
        name: String,
        /// Which group.
        group: String,
    },
    /// The name of an account cannot be one.
    #[error("{text:?} cannot be an account name: {why}")]
    InvalidName {
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
        "`{name}` is reserved: {rule} names repositories below it, and the account would own them"
    )]
    Reserved {
        /// Which.
        name: String,
        /// Which rule.
        rule: String,
    },
    /// Robots alone are called so.
    #[error("`{name}` is reserved: accounts of robots begin with `{ROBOT_PREFIX}`")]
    ReservedForRobots {
        /// Which.
        name: String,
    },
    /// There is a robot of this name already.
    #[error("there is a robot named `{name}` already")]
    RobotExists {
        /// Which.
        name: String,
    },
    /// The name of a robot cannot be one.
    #[error("{text:?} cannot be the name of a robot: {why}")]
    InvalidRobotName {
        /// What was given.
        text: String,
        /// Why not.
        why: RobotNameError,
    },
    /// There is no such robot.
    #[error("there is no robot named `{name}`")]
    UnknownRobot {
        /// Which.
        name: String,
    },
    /// An expectation says something else of a robot.
    #[error(
        "the robot `{name}` has {has}, not {said}: correct `allow` and `repository`, or leave them out"
    )]
    OtherPermission {
        /// Which.
        name: String,
        /// What it has.
        has: String,
        /// What was said.
        said: String,
    },
    /// What a robot or a key is to be limited to makes no sense.
    #[error(transparent)]
    InvalidLimits(#[from] CeilingError),
    /// It would be no good from the beginning.
    #[error("`--expires` must be longer than no time at all, as in 90d")]
    ExpiredAtOnce,
    /// No calendar has it.
    #[error("`{flag}` ends after the year 9999; give a shorter time")]
    EndlessEnd {
        /// What was given.
        flag: &'static str,
    },
    /// Only persons have API keys.
    #[error("`{name}` cannot have an API key: it is no account of a person")]
    NoPerson {
        /// Which.
        name: String,
    },
    /// The person whose API key it is cannot log in any more.
    #[error("the API key {id} gets no token: the account `{name}` is gone or disabled")]
    KeyOwnerGone {
        /// Which key.
        id: String,
        /// Whose it was.
        name: String,
    },
    /// There is no such API key.
    #[error("there is no API key {id}")]
    UnknownKey {
        /// Which.
        id: String,
    },
    /// What should be a pattern of repositories is none.
    #[error("{text:?} is no pattern of repositories: {why}")]
    InvalidPattern {
        /// What was given.
        text: String,
        /// Why not.
        why: FixedPatternError,
    },
    /// A pattern that means another repository for each account.
    #[error(
        "{text:?} does not say whose repositories it means: write the name in place of `${{…}}`, or `*`"
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
    StalePasswordFile {
        /// The data directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No repository can be called so.
    #[error(
        "{text:?} is no repository: names are lower-case letters and digits, joined by `.`, `_`, `__`, dashes and `/`"
    )]
    InvalidRepository {
        /// What was given.
        text: String,
    },
    /// What should be a time is none.
    #[error("{text:?} is no time: expected how long ago, as in 2h or 3d, or 2026-11-30T05:00:00Z")]
    InvalidTime {
        /// What was given.
        text: String,
    },
    /// A scope cannot be read.
    #[error(transparent)]
    InvalidScope(#[from] ScopeError),
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
    #[error("the token service issues no tokens for the service `{name}`, only for {}", known.join(", "))]
    UnknownService {
        /// Which.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// There is no registry in this configuration.
    #[error("the configuration has no section `registry`: this installation is no registry")]
    NoRegistry,
    /// The configuration says so, and no command can say otherwise.
    #[error(
        "`registry.storage.maintenance.readonly` in the configuration makes the registry read-only"
    )]
    ReadOnlyConfigured,
    /// Nothing may be changed at the moment.
    #[error("the registry is read-only: nothing was changed")]
    ReadOnly,
    /// The blobs cannot be used.
    #[error(transparent)]
    BlobDirectory(#[from] BlobDirectoryError),
    /// A collection stopped.
    #[error("the collection stopped, and the next one goes on: {0}")]
    Collection(#[from] UpkeepError),
    /// What is in the queue is no event.
    #[error("event {sequence} cannot be read: the database is damaged")]
    BrokenEvent {
        /// Its place.
        sequence: i64,
    },
    /// No server has noted it.
    #[error("there is no endpoint `{name}`")]
    UnknownEndpoint {
        /// Which.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// It went, or is still to come.
    #[error("there is no event {sequence}")]
    UnknownEvent {
        /// Its place.
        sequence: i64,
        /// The first that there is.
        first: i64,
        /// The last.
        last: i64,
    },
    /// Nothing was pushed into it.
    #[error("there is no repository `{name}`")]
    UnknownRepository {
        /// Which.
        name: String,
    },
    /// There is no such live session.
    #[error("there is no session {id} to revoke")]
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
    Inaccessible {
        /// What was looked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Who may do what is not said by rules.
    #[error(
        "this configuration has no rules to look into: its `policy` is an ACL of docker_auth, and what its regular \
         expressions and its order mean together cannot be worked out; ask it by `portpass policy explain` and `portpass \
         policy test`, or let `portpass import docker-auth` write rules"
    )]
    NoRules,
    /// The configuration has no token service.
    #[error(
        "this configuration runs no token service, so it has neither accounts nor rules nor signing keys"
    )]
    NoTokenService,
    /// No accounts come from a directory.
    #[error("there is no `ldap` under `token_service.accounts`: no account comes from a directory")]
    NoDirectory,
    /// The rules cannot be compared.
    #[error(transparent)]
    Tangled(#[from] portpass_authority::policy::Tangled),
    /// A text that is no token of a workload.
    #[error("this is no workload's token: {why}")]
    NotAWorkloadToken {
        /// Why not.
        why: String,
    },
    /// No source of accounts has the issuer of a token.
    #[error(
        "{} is no issuer in `token_service.accounts`, which has {}",
        found.as_deref().unwrap_or("nobody (the token has no `iss`)"),
        if configured.is_empty() { "no `workload` section".to_owned() } else { configured.join(", ") }
    )]
    UnknownIssuer {
        /// What the token says.
        found: Option<String>,
        /// What there is.
        configured: Vec<String>,
    },
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The key ring.
    #[error(transparent)]
    KeyRing(#[from] KeyRingError),
    /// The key ring, as it was opened.
    #[error(transparent)]
    OpenKeyRing(#[from] OpenKeyRingError),
    /// A password file.
    #[error(transparent)]
    Htpasswd(#[from] HtpasswdError),
}

impl AdminError {
    /// What may help, most likely first.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Backup(error) => error.hints(),
            Self::Import(error) => error.hints(),
            Self::Config(error) => error.hints().to_vec(),
            Self::NoRetention => {
                vec!["as in `retention: { rules: [{ name: builds, keep_last: 10 }] }`".into()]
            }
            Self::RetentionUnconfirmed { .. } => {
                vec![
                    "`portpass retention --dry-run` lists each tag with its rule; if it is meant so, repeat with `--yes`"
                        .into(),
                ]
            }
            Self::AccountExists { name } => {
                vec![format!("`portpass user password {name}` sets another password")]
            }
            Self::UnknownAccount { name, .. } if name.starts_with(ROBOT_PREFIX) => {
                vec!["`portpass robot list` lists the robots, and the other `portpass robot` commands change them".into()]
            }
            Self::UnknownAccount { .. } => vec!["`portpass user list` lists all accounts".into()],
            Self::UnknownEndpoint { known, .. } if known.is_empty() => {
                vec![
                    "a server notes the endpoints of `registry.notifications` when it starts"
                        .into(),
                ]
            }
            Self::UnknownEndpoint { known, .. } => vec![format!("there are: {}", known.join(", "))],
            Self::UnknownEvent { first, last, .. } if first <= last => {
                vec![format!("events {first} to {last} are kept")]
            }
            Self::ReadOnlyConfigured => {
                vec!["remove it there, and reload or restart the server".into()]
            }
            Self::ReadOnly => {
                vec![
                    "`portpass readonly status` says why, and `portpass readonly off` ends it"
                        .into(),
                ]
            }
            Self::ConfiguredGroup { .. } => {
                vec!["remove it there, and restart the server".into()]
            }
            Self::PasswordTooShort(_) => vec![
                "`token_service.passwords.min_length` says how many it needs; nothing was changed"
                    .into(),
            ],
            Self::NotInGroup { .. } => {
                vec!["`portpass user list` lists the groups of all accounts".into()]
            }
            Self::ReservedForRobots { .. } => {
                vec!["`portpass robot add` makes a robot".into()]
            }
            Self::RobotExists { name } => {
                vec![format!("`portpass robot rotate {name}` gives it another secret")]
            }
            Self::UnknownRobot { .. } => vec!["`portpass robot list` lists all robots".into()],
            Self::NoPerson { .. } => {
                vec!["`portpass robot add` makes an account for a program".into()]
            }
            Self::UnknownKey { .. } => vec!["`portpass key list` lists the keys".into()],
            Self::UnknownSession { .. } => {
                vec!["`portpass session list` lists the sessions".into()]
            }
            Self::UnknownAction(_) => {
                let words: Vec<&str> = Action::ALL.into_iter().map(Action::as_str).collect();
                vec![format!("there are {}", words.join(", "))]
            }
            Self::UnknownIssuer { .. } => {
                vec!["`issuer` is compared byte for byte, a `/` at the end included".into()]
            }
            _ => Vec::new(),
        }
    }

    /// Whether what was typed makes no sense, whatever the installation holds.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownAction(_)
                | Self::InvalidAuditHead { .. }
                | Self::InvalidGroup { .. }
                | Self::InvalidLimits(_)
                | Self::InvalidName { .. }
                | Self::InvalidRobotName { .. }
                | Self::EndlessEnd { .. }
                | Self::ExpiredAtOnce
                | Self::OpenPattern { .. }
                | Self::InvalidPattern { .. }
                | Self::Import(ImportError::Pattern { .. })
                | Self::Export(ExportError::Pattern { .. })
                | Self::InvalidRepository { .. }
                | Self::InvalidScope(_)
                | Self::InvalidTime { .. }
                | Self::PasswordTooShort(_)
                | Self::UnknownService { .. }
        )
    }
}
