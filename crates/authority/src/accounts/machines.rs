//! Robots and API keys in our own database: whose a secret is.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use portpass_state::{
    self as state, AccountStatus, Db, EndedSecret, KeyId, Permission, SecretEnd, SecretId,
    StateError, TokenHash, Used,
};

use super::{
    Shadowed, Unavailable,
    watched::{Table, Watched},
};
use crate::{
    ceiling::{Ceiling, CeilingError},
    secret::MachineSecret,
    subject::{
        Account, AccountId, AccountKind, AccountName, CredentialVersion, Labels, RobotName,
        SourceName,
    },
};

/// All robots and API keys, which other processes may change while we run.
///
/// They are held in memory as accounts are, and found by the hash of the secret: 256 random bits need no slow
/// hash. A secret that is refused is looked up once more, so one that was just made works at once.
#[derive(Debug)]
pub struct Machines(Watched<MachineTable>);

#[derive(Debug)]
struct MachineTable(Db);

/// All of them, as of one version.
#[derive(Debug, Default)]
pub(super) struct Rows {
    secrets: HashMap<TokenHash, Owner>,
    pub(super) robots_by_name: HashMap<AccountName, Arc<Robot>>,
    pub(super) robots_by_id: HashMap<AccountId, Arc<Robot>>,
    keys_by_id: HashMap<KeyId, Arc<Key>>,
}

#[derive(Debug)]
enum Owner {
    Robot { robot: Arc<Robot>, secret: SecretId, until: Option<SystemTime> },
    Key(Arc<Key>),
}

/// A robot as it is now.
#[derive(Debug)]
pub(super) struct Robot {
    pub(super) account: Arc<Account>,
    id: state::RobotId,
    name: RobotName,
    status: AccountStatus,
    expires_at: Option<SystemTime>,
    /// From when on its tokens count.
    pub(super) tokens_from: Option<SystemTime>,
}

/// An API key as it is now.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: KeyId,
    pub(super) owner: state::AccountKey,
    pub(super) owner_name: String,
    pub(super) ceiling: Arc<Ceiling>,
    expires_at: Option<SystemTime>,
}

/// Whose a secret is.
#[derive(Debug)]
pub(super) enum Found {
    /// A robot's, and what was used.
    Robot(Arc<Account>, Used),
    /// An API key; what its owner is, their source knows.
    Key(Arc<Key>),
}

impl Machines {
    /// Reads nothing yet.
    pub fn new(db: Db) -> Self {
        Self(Watched::new(SourceName::robot(), MachineTable(db)))
    }

    /// Whose the secret is, if it is good for that name now.
    pub(super) async fn find(
        &self,
        name: &AccountName,
        secret: &MachineSecret,
        now: SystemTime,
    ) -> Result<Result<Found, SecretProblem>, Unavailable> {
        let hash = secret.hash();
        let found = self.0.recent(now).await?.find(name, &hash, now);
        // Nobody is refused for what was set right a moment ago.
        if found.is_ok() {
            return Ok(found);
        }
        match self.0.latest(now).await?.find(name, &hash, now) {
            Err(SecretProblem::Unknown) => Ok(Err(self.ended(&hash).await?)),
            found => Ok(found),
        }
    }

    /// What became of a secret that nobody has. Only who sends one that is wrong asks the database.
    async fn ended(&self, hash: &TokenHash) -> Result<SecretProblem, Unavailable> {
        let ended = self.0.table().0.ended_secret(hash).await;
        let ended = ended.map_err(|error| self.0.unavailable(&error))?;
        Ok(ended.map_or(SecretProblem::Unknown, SecretProblem::from))
    }

    /// The key of this id, good or not.
    pub(super) async fn key(
        &self,
        id: KeyId,
        now: SystemTime,
    ) -> Result<Option<Arc<Key>>, Unavailable> {
        Ok(self.0.recent(now).await?.keys_by_id.get(&id).cloned())
    }

    /// All keys, good or not.
    pub(super) async fn keys(&self, now: SystemTime) -> Result<Vec<Arc<Key>>, Unavailable> {
        Ok(self.0.recent(now).await?.keys_by_id.values().cloned().collect())
    }

    /// All of them as the last look found them.
    pub(super) fn seen(&self) -> Option<Arc<Rows>> {
        self.0.seen()
    }

    /// All of them as they were a second ago or later.
    pub(super) async fn recent(&self, now: SystemTime) -> Result<Arc<Rows>, Unavailable> {
        self.0.recent(now).await
    }
}

#[async_trait]
impl Table for MachineTable {
    type Rows = Rows;

    async fn version(&self) -> Result<u64, StateError> {
        self.0.robots_version().await
    }

    async fn read(&self) -> Result<Rows, StateError> {
        let mut rows = Rows::default();
        for robot in self.0.robots().await? {
            let name = robot.name.clone();
            if let Err(error) = rows.add_robot(robot) {
                tracing::error!(robot = name, "a robot cannot log in: {error}");
            }
        }
        for key in self.0.api_keys().await? {
            let id = key.id;
            if let Err(error) = rows.add_key(key) {
                tracing::error!(key = %id, "an API key is of no use: {error}");
            }
        }
        Ok(rows)
    }
}

impl Rows {
    fn find(
        &self,
        name: &AccountName,
        hash: &TokenHash,
        now: SystemTime,
    ) -> Result<Found, SecretProblem> {
        let over = |until: Option<SystemTime>| until.is_some_and(|until| until <= now);
        match self.secrets.get(hash).ok_or(SecretProblem::Unknown)? {
            Owner::Robot { robot, secret, until } => {
                let robot_name = || robot.name.clone();
                if robot.account.name != *name {
                    let owner = robot.account.name.to_string();
                    return Err(SecretProblem::OtherName { owner, name: name.clone() });
                }
                if robot.status != AccountStatus::Enabled {
                    return Err(SecretProblem::RobotDisabled { name: robot_name() });
                }
                if over(robot.expires_at) {
                    return Err(SecretProblem::RobotExpired { name: robot_name() });
                }
                if over(*until) {
                    return Err(SecretProblem::Replaced { name: robot_name().to_string() });
                }
                let mut account = Arc::clone(&robot.account);
                if until.is_some() {
                    let valid_until = earlier(account.valid_until, *until);
                    Arc::make_mut(&mut account).valid_until = valid_until;
                }
                Ok(Found::Robot(account, Used::Secret(robot.id, *secret)))
            }
            Owner::Key(key) => {
                if key.owner_name != name.as_str() {
                    let owner = key.owner_name.clone();
                    return Err(SecretProblem::OtherName { owner, name: name.clone() });
                }
                if over(key.expires_at) {
                    return Err(SecretProblem::KeyExpired { id: key.id });
                }
                Ok(Found::Key(Arc::clone(key)))
            }
        }
    }

    fn add_robot(&mut self, row: state::Robot) -> Result<(), MachineError> {
        let name: RobotName = row.name.parse().map_err(|_| MachineError::Name)?;
        let account = Arc::new(Account {
            source: SourceName::robot(),
            id: AccountId::new(row.id.to_string()),
            version: CredentialVersion::new(
                row.secrets.first().map(|newest| newest.id.to_string()).unwrap_or_default(),
            ),
            name: name.account(),
            groups: [].into(),
            labels: Labels::default(),
            kind: AccountKind::Robot,
            ceiling: Some(ceiling(&row.permission)?),
            valid_until: row.expires_at,
        });
        let (id, status, expires_at) = (row.id, row.status, row.expires_at);
        let tokens_from = row.tokens_from;
        let robot = Arc::new(Robot { account, id, name, status, expires_at, tokens_from });
        for secret in row.secrets {
            let (robot, until) = (Arc::clone(&robot), secret.expires_at);
            self.secrets.insert(secret.hash, Owner::Robot { robot, secret: secret.id, until });
        }
        self.robots_by_id.insert(robot.account.id.clone(), Arc::clone(&robot));
        self.robots_by_name.insert(robot.account.name.clone(), robot);
        Ok(())
    }

    fn add_key(&mut self, row: state::ApiKey) -> Result<(), MachineError> {
        let key = Arc::new(Key {
            id: row.id,
            owner: row.account,
            owner_name: row.account_name,
            ceiling: ceiling(&row.permission)?,
            expires_at: row.expires_at,
        });
        self.keys_by_id.insert(key.id, Arc::clone(&key));
        self.secrets.insert(row.hash, Owner::Key(key));
        Ok(())
    }
}

fn ceiling(permission: &Permission) -> Result<Arc<Ceiling>, CeilingError> {
    Ceiling::parse(&permission.actions, &permission.repositories).map(Arc::new)
}

/// Of two ends that need not be there.
fn earlier(one: Option<SystemTime>, other: Option<SystemTime>) -> Option<SystemTime> {
    one.into_iter().chain(other).min()
}

impl Robot {
    /// What keeps it from being used now.
    pub(super) fn obstacle(&self, now: SystemTime) -> Option<&'static str> {
        match self.status {
            AccountStatus::Disabled { .. } => Some("the robot is disabled"),
            AccountStatus::Enabled if self.expires_at.is_some_and(|end| end <= now) => {
                Some("the robot has expired")
            }
            AccountStatus::Enabled => None,
        }
    }
}

impl Key {
    /// What the account of its owner is when the key proves it.
    pub(super) fn limit(&self, owner: Account) -> Account {
        Account {
            kind: AccountKind::ApiKey,
            ceiling: Some(Arc::clone(&self.ceiling)),
            valid_until: earlier(owner.valid_until, self.expires_at),
            ..owner
        }
    }
}

/// A row that another version of the program may have written.
#[derive(Debug, thiserror::Error)]
enum MachineError {
    #[error(transparent)]
    Permission(#[from] CeilingError),
    #[error("no robot can be called so")]
    Name,
}

/// Why the secret of a robot or an API key leads to nobody. For the log; the client learns that it is no good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// The person whose key it is.
    #[error("the account `{name}` of API key {id} is gone or disabled")]
    AccountGone {
        /// Which key.
        id: KeyId,
        /// Its account's name when it was made.
        name: String,
    },
    /// An earlier source has the name of the person whose key it is.
    #[error("the API key {id} opens nothing: {shadowed}")]
    AccountShadowed {
        /// Which key.
        id: KeyId,
        /// By whom.
        shadowed: Shadowed,
    },
    /// The key's time is over.
    #[error("the API key {id} has expired; `portpass key add` makes another")]
    KeyExpired {
        /// Which.
        id: KeyId,
    },
    /// The right secret beside the wrong name.
    #[error("the secret is that of `{owner}`, and the user name is `{name}`")]
    OtherName {
        /// Whose it is.
        owner: String,
        /// What was given.
        name: AccountName,
    },
    /// A rotation has put another in its place, and the time for both is over.
    #[error("robot `{name}` has another secret since it was rotated")]
    Replaced {
        /// Which.
        name: String,
    },
    /// Somebody switched it off.
    #[error("robot `{name}` is disabled; `portpass robot enable {name}` enables it")]
    RobotDisabled {
        /// Which.
        name: RobotName,
    },
    /// The robot's time is over.
    #[error("robot `{name}` has expired; `portpass robot rotate {name} --expires 90d` renews it")]
    RobotExpired {
        /// Which.
        name: RobotName,
    },
    /// Its robot was removed.
    #[error("robot `{name}` was removed; its secret is no good any more")]
    RobotRemoved {
        /// Which.
        name: String,
    },
    /// Somebody revoked the key.
    #[error("the API key {id} was revoked; `portpass key add` makes another")]
    KeyRevoked {
        /// Which.
        id: String,
    },
    /// The account of the key was removed, and the key with it.
    #[error("the API key {id} was removed with its account")]
    KeyRemoved {
        /// Which.
        id: String,
    },
    /// There is no such secret: it ended long ago, or is another server's.
    #[error("the secret is unknown: it ended months ago, or is another server's")]
    Unknown,
}

impl From<EndedSecret> for SecretProblem {
    fn from(EndedSecret { end, owner, .. }: EndedSecret) -> Self {
        match end {
            SecretEnd::Rotated => Self::Replaced { name: owner },
            SecretEnd::RobotRemoved => Self::RobotRemoved { name: owner },
            SecretEnd::KeyRevoked => Self::KeyRevoked { id: owner },
            SecretEnd::AccountRemoved => Self::KeyRemoved { id: owner },
        }
    }
}

impl SecretProblem {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::AccountGone { .. } | Self::KeyRemoved { .. } => "api-key-account-gone",
            Self::AccountShadowed { shadowed, .. } => shadowed.id(),
            Self::KeyExpired { .. } => "api-key-expired",
            Self::KeyRevoked { .. } => "api-key-revoked",
            Self::OtherName { .. } => "secret-other-name",
            Self::Replaced { .. } => "robot-secret-replaced",
            Self::RobotDisabled { .. } => "robot-disabled",
            Self::RobotExpired { .. } => "robot-expired",
            Self::RobotRemoved { .. } => "robot-removed",
            Self::Unknown => "secret-unknown",
        }
    }
}
