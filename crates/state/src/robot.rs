//! Robots: accounts of programs, each with up to two secrets and a permission of its own.

use std::time::SystemTime;

use crate::{
    AccountKey, AccountStatus, Addition, AuditRecord, Change, Db, RobotId, SecretEnd, SecretId,
    StateError, TokenHash,
    last_use::forget_use,
    meta::Counter,
    not_before::end_tokens,
    permission::{Permission, commit},
    sql::{Row, Statement, sql},
};

/// A robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robot {
    /// Which robot, whatever its name.
    pub id: RobotId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub permission: Permission,
    /// When it ends; absent: never.
    pub expires_at: Option<SystemTime>,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: SystemTime,
    /// From when on its tokens count; absent: all do.
    pub tokens_from: Option<SystemTime>,
    /// The newest first; one or two.
    pub secrets: Vec<RobotSecret>,
}

/// A secret of a robot, of which only the hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RobotSecret {
    /// Which.
    pub id: SecretId,
    /// Of the text.
    pub hash: TokenHash,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it ends, because a newer one took its place; absent: with its robot.
    pub expires_at: Option<SystemTime>,
    /// When it was used last, if it ever was.
    pub used_at: Option<SystemTime>,
}

/// A robot to be made, with its first secret.
#[derive(Debug, Clone)]
pub struct NewRobot {
    /// Fresh.
    pub id: RobotId,
    /// Checked by the caller; compared byte by byte.
    pub name: String,
    /// As in [`Robot::description`].
    pub description: String,
    /// As in [`Robot::permission`].
    pub permission: Permission,
    /// As in [`Robot::expires_at`].
    pub expires_at: Option<SystemTime>,
    /// Its first secret.
    pub secret: NewSecret,
}

/// A secret to be kept.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// Fresh.
    pub id: SecretId,
    /// Of the text.
    pub hash: TokenHash,
}

/// What a rotation changes beside the secret.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    /// When the secret ends that was the newest until now.
    pub old_until: SystemTime,
    /// When the robot ends from now on; absent: as before.
    pub expires_at: Option<SystemTime>,
}

impl Db {
    /// Adds a robot, enabled.
    pub async fn add_robot(
        &self,
        robot: &NewRobot,
        audit: &AuditRecord,
    ) -> Result<Addition, StateError> {
        let mut write = self.write().await?;
        let statement =
            sql("INSERT INTO robot (id, name, description, permission, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING")
            .bind(robot.id)
            .bind(robot.name.as_str())
            .bind(robot.description.as_str())
            .bind(robot.permission.to_json())
            .bind(robot.expires_at)
            .bind(audit.at);
        if write.run(statement).await? == 0 {
            write.roll_back().await?;
            return Ok(Addition::Exists);
        }
        write.run(insert_secret(robot.id, &robot.secret, audit.at)).await?;
        commit(write, audit).await?;
        Ok(Addition::Added)
    }

    /// All robots with their secrets, by name.
    pub async fn robots(&self) -> Result<Vec<Robot>, StateError> {
        let statement = sql(
            "SELECT r.id, r.name, r.description, r.permission, r.expires_at, r.disabled_at, r.created_at,
                    s.id AS secret_id, s.hash, s.created_at AS secret_created_at,
                    s.expires_at AS secret_expires_at, s.used_at, n.at AS tokens_from
             FROM robot r LEFT JOIN robot_secret s ON s.robot = r.id
             LEFT JOIN not_before n ON n.subject = 'robot-' || r.name ORDER BY r.name",
        );
        read_robots(&self.read().all(statement).await?)
    }

    /// The robot of this name.
    pub async fn robot(&self, name: &str) -> Result<Option<Robot>, StateError> {
        let statement = sql(
            "SELECT r.id, r.name, r.description, r.permission, r.expires_at, r.disabled_at, r.created_at,
                    s.id AS secret_id, s.hash, s.created_at AS secret_created_at,
                    s.expires_at AS secret_expires_at, s.used_at, n.at AS tokens_from
             FROM robot r LEFT JOIN robot_secret s ON s.robot = r.id
             LEFT JOIN not_before n ON n.subject = 'robot-' || r.name WHERE r.name = $1",
        );
        let rows = self.read().all(statement.bind(name)).await?;
        Ok(read_robots(&rows)?.into_iter().next())
    }

    /// Counts the changes of all robots and API keys, by any process. Cheap enough to be asked every
    /// second; while it stands still, what was read of them is still true but for their last use.
    pub async fn robots_version(&self) -> Result<u64, StateError> {
        Counter::Robots.read(self.read()).await
    }

    /// Gives a robot another secret. The one that was the newest until now ends with the rotation's
    /// overlap; one that an earlier rotation replaced is removed. Without an overlap the robot's tokens end too.
    pub async fn rotate_robot(
        &self,
        name: &str,
        secret: &NewSecret,
        rotation: Rotation,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        let statement = sql("UPDATE robot SET expires_at = COALESCE($2, expires_at)
             WHERE name = $1 RETURNING id");
        let Some(row) = write.first(statement.bind(name).bind(rotation.expires_at)).await? else {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        };
        let robot = RobotId::read("id", &row.bytes("id")?)?;
        // The one that an earlier rotation replaced has its end already; the newest has none.
        let statement =
            sql("INSERT INTO ended_secret (hash, owner, why, ended_at) SELECT hash, $4, $5, $3
             FROM robot_secret WHERE robot = $1 AND (expires_at IS NOT NULL OR $2 <= $3)
             ON CONFLICT (hash) DO NOTHING");
        let statement = statement.bind(robot).bind(rotation.old_until).bind(audit.at);
        write.run(statement.bind(name).bind(SecretEnd::Rotated.as_str())).await?;
        let statement = sql("DELETE FROM robot_secret WHERE robot = $1
             AND (expires_at IS NOT NULL OR $2 <= $3)");
        let until = rotation.old_until;
        write.run(statement.bind(robot).bind(until).bind(audit.at)).await?;
        let statement = sql("UPDATE robot_secret SET expires_at = $2 WHERE robot = $1");
        write.run(statement.bind(robot).bind(until)).await?;
        write.run(insert_secret(robot, secret, audit.at)).await?;
        if until <= audit.at {
            end_tokens(&subject(name), audit.at, &mut write).await?;
        }
        commit(write, audit).await?;
        Ok(Change::Done)
    }

    /// Enables or disables a robot; disabling ends its tokens.
    pub async fn set_robot_status(
        &self,
        name: &str,
        status: AccountStatus,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let statement = match status {
            AccountStatus::Enabled => {
                sql("UPDATE robot SET disabled_at = NULL WHERE name = $1").bind(name)
            }
            AccountStatus::Disabled { since } => {
                sql("UPDATE robot SET disabled_at = COALESCE(disabled_at, $2) WHERE name = $1")
                    .bind(name)
                    .bind(since)
            }
        };
        let mut write = self.write().await?;
        if write.run(statement).await? == 0 {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        }
        if let AccountStatus::Disabled { .. } = status {
            end_tokens(&subject(name), audit.at, &mut write).await?;
        }
        commit(write, audit).await?;
        Ok(Change::Done)
    }

    /// Removes a robot and its secrets, and ends its tokens.
    pub async fn remove_robot(
        &self,
        name: &str,
        audit: &AuditRecord,
    ) -> Result<Change, StateError> {
        let mut write = self.write().await?;
        let statement = sql(
            "INSERT INTO ended_secret (hash, owner, why, ended_at) SELECT s.hash, r.name, $2, $3
             FROM robot r JOIN robot_secret s ON s.robot = r.id WHERE r.name = $1
             ON CONFLICT (hash) DO NOTHING",
        );
        let why = SecretEnd::RobotRemoved.as_str();
        write.run(statement.bind(name).bind(why).bind(audit.at)).await?;
        let statement = sql("DELETE FROM robot WHERE name = $1 RETURNING id").bind(name);
        let Some(row) = write.first(statement).await? else {
            write.roll_back().await?;
            return Ok(Change::Unknown);
        };
        end_tokens(&subject(name), audit.at, &mut write).await?;
        forget_use(&AccountKey::robot(RobotId::read("id", &row.bytes("id")?)?), &mut write).await?;
        commit(write, audit).await?;
        Ok(Change::Done)
    }
}

/// As the tokens of a robot have it.
fn subject(name: &str) -> String {
    format!("robot-{name}")
}

fn insert_secret(robot: RobotId, secret: &NewSecret, at: SystemTime) -> Statement {
    sql("INSERT INTO robot_secret (robot, id, hash, created_at) VALUES ($1, $2, $3, $4)")
        .bind(robot)
        .bind(secret.id)
        .bind(&secret.hash)
        .bind(at)
}

/// Rows of one robot follow each other, one for each secret.
fn read_robots(rows: &[Row]) -> Result<Vec<Robot>, StateError> {
    let mut robots: Vec<Robot> = Vec::new();
    for row in rows {
        let id = RobotId::read("id", &row.bytes("id")?)?;
        let secret = RobotSecret::read(row)?;
        match robots.last_mut() {
            Some(robot) if robot.id == id => robot.secrets.extend(secret),
            _ => robots.push(Robot::read(row, id, secret.into_iter().collect())?),
        }
    }
    for robot in &mut robots {
        robot.secrets.sort_by_key(|secret| {
            (secret.expires_at.is_some(), std::cmp::Reverse(secret.created_at))
        });
    }
    Ok(robots)
}

impl Robot {
    fn read(row: &Row, id: RobotId, secrets: Vec<RobotSecret>) -> Result<Self, StateError> {
        let status = match row.optional_time("disabled_at")? {
            None => AccountStatus::Enabled,
            Some(since) => AccountStatus::Disabled { since },
        };
        Ok(Self {
            id,
            name: row.text("name")?,
            description: row.text("description")?,
            permission: Permission::read(row)?,
            expires_at: row.optional_time("expires_at")?,
            status,
            created_at: row.time("created_at")?,
            tokens_from: row.optional_time("tokens_from")?,
            secrets,
        })
    }
}

impl RobotSecret {
    fn read(row: &Row) -> Result<Option<Self>, StateError> {
        let Some(id) = row.optional_bytes("secret_id")? else { return Ok(None) };
        Ok(Some(Self {
            id: SecretId::read("secret_id", &id)?,
            hash: TokenHash::read(row)?,
            created_at: row.time("secret_created_at")?,
            expires_at: row.optional_time("secret_expires_at")?,
            used_at: row.optional_time("used_at")?,
        }))
    }
}
