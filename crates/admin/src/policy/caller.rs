//! Who a question about rights is about.

use std::{convert::Infallible, fmt, str::FromStr};

use portpass_authority::subject::{AccountName, SourceName};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without credentials.
    Anonymous,
    /// Whoever logs in by this name, `NAME` or `SOURCE/NAME`.
    Account(String),
    /// The robot of this name.
    Robot(String),
    /// Whoever has the API key of this id.
    Key(String),
}

impl Caller {
    /// What the account may be called in tokens and logs; none where it cannot be any account.
    pub(super) fn account_names(&self) -> Vec<AccountName> {
        let candidates = match self {
            Self::Anonymous | Self::Key(_) => vec![],
            Self::Account(text) => {
                vec![text.split_once('/').map_or(&**text, |(_, name)| name).to_owned()]
            }
            Self::Robot(name) => vec![format!("robot-{name}"), name.clone()],
        };
        candidates.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// The source that was named.
    pub(super) fn source(&self) -> Option<SourceName> {
        match self {
            Self::Account(text) => text.split_once('/').and_then(|(source, _)| source.parse().ok()),
            Self::Anonymous | Self::Robot(_) | Self::Key(_) => None,
        }
    }
}

/// As a rule would name it: `anonymous`, `ann`, `user:anonymous`, `user:ldap/ann`, `robot:ci`; `key:ID`.
impl FromStr for Caller {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text.split_once(':'), text) {
            (_, "anonymous") => Self::Anonymous,
            (Some(("robot", name)), _) => Self::Robot(name.to_owned()),
            (Some(("key", id)), _) => Self::Key(id.to_owned()),
            (Some(("user", name)), _) | (_, name) => Self::Account(name.to_owned()),
        })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Account(name) => f.write_str(name),
            Self::Robot(name) => write!(f, "robot:{name}"),
            Self::Key(id) => write!(f, "key:{id}"),
        }
    }
}
