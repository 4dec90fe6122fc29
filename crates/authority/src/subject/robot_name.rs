//! Names of robots, and of the accounts that they log in to.

use std::{fmt, str::FromStr, sync::Arc};

use portpass_protocol::RepositoryName;

use super::AccountName;

/// The name of a robot, without the prefix of its account: `ci` logs in as `robot-ci`.
///
/// A robot's account is called as a repository can be, so `${account}/**` in a rule means repositories that can exist.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RobotName(Arc<str>);

impl RobotName {
    /// As it is listed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the robot gives as user name.
    pub fn account(&self) -> AccountName {
        AccountName(format!("{ROBOT_PREFIX}{}", self.0).into())
    }
}

impl FromStr for RobotName {
    type Err = RobotNameError;

    /// Reads it with the prefix or without: no robot's name begins with it.
    fn from_str(text: &str) -> Result<Self, RobotNameError> {
        if let Some(name) = text.strip_prefix("robot$") {
            return Err(RobotNameError::Dollar { name: name.into() });
        }
        let name = text.strip_prefix(ROBOT_PREFIX).unwrap_or(text);
        let is_one_segment = name.parse::<RepositoryName>().is_ok() && !name.contains('/');
        // A second prefix would be read as the first.
        if !is_one_segment || name.starts_with(ROBOT_PREFIX) {
            return Err(RobotNameError::Malformed);
        }
        if name.len() > MAX_ROBOT_NAME {
            return Err(RobotNameError::Length { length: name.len() });
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for RobotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RobotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RobotName({:?})", &*self.0)
    }
}

/// Why a text cannot be the name of a robot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RobotNameError {
    /// As Harbor writes it.
    #[error("robots are called `{ROBOT_PREFIX}NAME` here, without a `$`: write `{name}`")]
    Dollar {
        /// The rest.
        name: Box<str>,
    },
    /// It is too long.
    #[error("the name of a robot has at most {MAX_ROBOT_NAME} characters, this one has {length}")]
    Length {
        /// In characters.
        length: usize,
    },
    /// No segment of a repository's name can be called so.
    #[error(
        "the name of a robot is lower-case letters and digits, joined by `.`, `_`, `__` or dashes"
    )]
    Malformed,
}

/// Begins the account of every robot, and of nobody else.
pub const ROBOT_PREFIX: &str = "robot-";
const MAX_ROBOT_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_robot_is_called_like_a_segment_of_a_repository() {
        for name in ["ci", "7", "a.b_c__d--e", "app-1"] {
            let robot: RobotName = name.parse().unwrap();
            assert_eq!(robot.account().as_str(), format!("robot-{name}"));
            assert_eq!(robot.account().as_str().parse(), Ok(robot.clone()));
            assert_eq!(robot.account().as_str().parse(), Ok(robot.account()));
        }
        let too_long = "a".repeat(65);
        for name in ["", "-a", "a-", "A", "a/b", "a b", "robot$ci", "robot-robot-a", "ü", &too_long]
        {
            assert!(name.parse::<RobotName>().is_err(), "{name:?}");
        }
    }
}
