//! Robots: accounts of programs, with a permission of their own.

use std::time::{Duration, SystemTime};

use portpass_authority::{
    audit::Action,
    secret::MachineSecret,
    subject::{RobotName, RobotNameError},
};
use portpass_state::{AccountStatus, Addition, Change, RobotId, Rotation, SecretId};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use super::{
    AdminError, Installation, Issued, Limits,
    limits::{check, end_of, limited_record},
    rfc3339, serialize_optional_time, serialize_time,
};

/// A robot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Robot {
    /// What the commands call it.
    pub name: String,
    /// What it gives as user name.
    pub username: String,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub allow: Vec<String>,
    /// Where.
    pub repositories: Vec<String>,
    /// Whether it may be used.
    #[serde(flatten)]
    pub status: RobotStatus,
    /// When it was made.
    #[serde(serialize_with = "serialize_time")]
    pub created_at: SystemTime,
    /// When it ends, if it does by itself.
    #[serde(serialize_with = "serialize_optional_time")]
    pub expires_at: Option<SystemTime>,
    /// When it was used last, if it ever was; some seconds behind.
    #[serde(serialize_with = "serialize_optional_time")]
    pub used_at: Option<SystemTime>,
    /// The newest first.
    pub secrets: Vec<RobotSecret>,
}

/// Whether a robot may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum RobotStatus {
    /// It may.
    Enabled,
    /// Somebody switched it off.
    Disabled {
        /// When.
        #[serde(serialize_with = "serialize_time")]
        since: SystemTime,
    },
    /// Its time is over.
    Expired {
        /// When it ended.
        #[serde(serialize_with = "serialize_time")]
        since: SystemTime,
    },
}

/// What a rotation made, and what it ended.
#[derive(Debug)]
pub struct RotatedRobot {
    /// The new secret.
    pub issued: Issued,
    /// Secrets that an earlier overlap had kept good for longer, and that clients may still use.
    pub cut_short: Vec<RobotSecret>,
    /// The robot as it is now.
    pub robot: Robot,
}

/// One secret of a robot. What it is, nobody knows but its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RobotSecret {
    /// When it was made.
    #[serde(serialize_with = "serialize_time")]
    pub created_at: SystemTime,
    /// When it ends, because a newer one took its place.
    #[serde(serialize_with = "serialize_optional_time")]
    pub expires_at: Option<SystemTime>,
    /// When it was used last, if it ever was; some seconds behind.
    #[serde(serialize_with = "serialize_optional_time")]
    pub used_at: Option<SystemTime>,
}

impl Installation {
    /// Makes a robot, and the secret that it logs in with.
    pub async fn add_robot(&self, name: &str, limits: Limits) -> Result<Issued, AdminError> {
        self.token_service()?;
        let name = robot_name(name)?;
        check(&limits)?;
        let expires_at = limits.end(self.now())?;
        let secret = MachineSecret::of_robot(&*self.random);
        let permission = limits.permission();
        let robot = portpass_state::NewRobot {
            id: RobotId::from_random(self.random_id()),
            name: name.to_string(),
            description: limits.description,
            permission,
            expires_at,
            secret: self.new_secret(&secret),
        };
        let record = limited_record(
            self.record(Action::RobotAdded, name.account().as_str()),
            &robot.permission,
            robot.expires_at,
        );
        match self.db.add_robot(&robot, &record).await? {
            Addition::Exists => Err(AdminError::RobotExists { name: name.to_string() }),
            Addition::Added => Ok(issued(&self.robot(name.as_str()).await?, &secret)),
        }
    }

    /// All robots, by name.
    pub async fn robots(&self) -> Result<Vec<Robot>, AdminError> {
        self.token_service()?;
        let mut uses = self.db.account_uses().await?;
        let robots = self.db.robots().await?.into_iter();
        Ok(robots
            .map(|row| {
                let used_at = uses.remove(&portpass_state::AccountKey::robot(row.id));
                Robot::new(row, used_at, self.now())
            })
            .collect())
    }

    /// One robot.
    pub async fn robot(&self, name: &str) -> Result<Robot, AdminError> {
        let name = robot_name(name)?;
        let found = self.robots().await?.into_iter().find(|robot| robot.name == name.as_str());
        found.ok_or_else(|| unknown(&name))
    }

    /// Makes another secret. The one before it stays good for as long as the `overlap`.
    pub async fn rotate_robot(
        &self,
        name: &str,
        overlap: Duration,
        expires: Option<Duration>,
    ) -> Result<RotatedRobot, AdminError> {
        self.token_service()?;
        let name = robot_name(name)?;
        let secret = MachineSecret::of_robot(&*self.random);
        let now = self.now();
        let rotation = Rotation {
            old_until: end_of("--overlap", overlap, now)?,
            expires_at: expires.map(|span| end_of("--expires", span, now)).transpose()?,
        };
        let mut before = self.robot(name.as_str()).await?.secrets;
        before
            .retain(|secret| !overlap.is_zero() && secret.expires_at.is_some_and(|end| end > now));
        let mut record = self.record(Action::RobotRotated, name.account().as_str());
        record.detail["old_until"] = rfc3339(rotation.old_until).into();
        let new = self.new_secret(&secret);
        known(&name, self.db.rotate_robot(name.as_str(), &new, rotation, &record).await?)?;
        let robot = self.robot(name.as_str()).await?;
        Ok(RotatedRobot { issued: issued(&robot, &secret), cut_short: before, robot })
    }

    /// Lets a robot log in again.
    pub async fn enable_robot(&self, name: &str) -> Result<(), AdminError> {
        self.set_robot_status(name, AccountStatus::Enabled, Action::RobotEnabled).await
    }

    /// Keeps a robot from logging in.
    pub async fn disable_robot(&self, name: &str) -> Result<(), AdminError> {
        let status = AccountStatus::Disabled { since: self.now() };
        self.set_robot_status(name, status, Action::RobotDisabled).await
    }

    /// Removes a robot with its secrets.
    pub async fn remove_robot(&self, name: &str) -> Result<(), AdminError> {
        self.token_service()?;
        let name = robot_name(name)?;
        let record = self.record(Action::RobotRemoved, name.account().as_str());
        known(&name, self.db.remove_robot(name.as_str(), &record).await?)
    }

    async fn set_robot_status(
        &self,
        name: &str,
        status: AccountStatus,
        action: Action,
    ) -> Result<(), AdminError> {
        self.token_service()?;
        let name = robot_name(name)?;
        let record = self.record(action, name.account().as_str());
        known(&name, self.db.set_robot_status(name.as_str(), status, &record).await?)
    }

    fn new_secret(&self, secret: &MachineSecret) -> portpass_state::NewSecret {
        let id = SecretId::from_random(self.random_id());
        portpass_state::NewSecret { id, hash: secret.hash() }
    }
}

/// The robot as it is now, with the secret that was just made.
fn issued(robot: &Robot, secret: &MachineSecret) -> Issued {
    let secret = SecretString::from(secret.expose());
    Issued { username: robot.username.clone(), secret, about: json!(robot) }
}

impl Robot {
    fn new(row: portpass_state::Robot, used_at: Option<SystemTime>, now: SystemTime) -> Self {
        let secret = |secret: portpass_state::RobotSecret| RobotSecret {
            created_at: secret.created_at,
            expires_at: secret.expires_at,
            used_at: secret.used_at,
        };
        Self {
            username: format!("{}{}", portpass_authority::subject::ROBOT_PREFIX, row.name),
            name: row.name,
            description: row.description,
            allow: row.permission.actions,
            repositories: row.permission.repositories,
            status: match (row.status, row.expires_at) {
                (AccountStatus::Disabled { since }, _) => RobotStatus::Disabled { since },
                (AccountStatus::Enabled, Some(since)) if since <= now => {
                    RobotStatus::Expired { since }
                }
                (AccountStatus::Enabled, _) => RobotStatus::Enabled,
            },
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at,
            secrets: row.secrets.into_iter().map(secret).collect(),
        }
    }
}

fn robot_name(text: &str) -> Result<RobotName, AdminError> {
    text.parse()
        .map_err(|why: RobotNameError| AdminError::InvalidRobotName { text: text.to_owned(), why })
}

fn known(name: &RobotName, change: Change) -> Result<(), AdminError> {
    match change {
        Change::Done => Ok(()),
        Change::Unknown => Err(unknown(name)),
    }
}

fn unknown(name: &RobotName) -> AdminError {
    AdminError::UnknownRobot { name: name.to_string() }
}
