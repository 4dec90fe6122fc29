//! Whom a rule is about: `anyone`, `anonymous`, `signed-in`, `user:…`, `robot:…`, `group:…`.

use std::{collections::BTreeSet, fmt, str::FromStr};

use portpass_pattern::WordPattern;

use super::{effect::Effect, request::Request};
use crate::subject::{
    Account, AccountName, Group, GroupError, NameError, RobotName, RobotNameError, SourceName,
    Subject,
};

/// Who asks, as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    account: Option<&'a Account>,
}

impl<'a> Caller<'a> {
    /// Whoever makes this request.
    pub fn new(request: &Request<'a>) -> Self {
        Self::of(request.subject)
    }

    /// This subject.
    pub fn of(subject: &'a Subject) -> Self {
        Self { account: subject.account() }
    }

    /// The account's name; `None` for an anonymous caller.
    pub fn name(self) -> Option<&'a str> {
        self.account.map(|account| account.name.as_str())
    }

    /// What rules call the robot; `None` where the caller is none.
    pub fn robot(self) -> Option<&'a str> {
        self.account.and_then(Account::robot_name)
    }

    /// The groups the caller is in.
    pub fn groups(self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.account.into_iter().flat_map(|account| account.groups.iter().map(Group::as_str))
    }

    /// Whether the caller is in the group of that name.
    pub fn is_in(self, group: &str) -> bool {
        self.account.is_some_and(|account| account.groups.contains(group))
    }

    /// The values of a label of the caller; `None` where there is none.
    pub fn label(self, name: &str) -> Option<&'a BTreeSet<Box<str>>> {
        self.account.and_then(|account| account.labels.get(name))
    }

    /// Whether the caller comes from this source, or none is asked for.
    fn is_of(self, source: Option<&SourceName>) -> bool {
        self.account.is_some_and(|account| source.is_none_or(|source| *source == account.source))
    }
}

/// One word of `to` or `except`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Everybody, anonymous callers too.
    Anyone,
    /// Callers without credentials only.
    Anonymous,
    /// Everybody with an account. As the `to` of a deny it binds anonymous callers too.
    SignedIn,
    /// `user:NAME` or `user:SOURCE/NAME`; `*` and `?` may stand in the name.
    User {
        /// Only accounts of this source.
        source: Option<SourceName>,
        /// Which.
        name: WordPattern,
    },
    /// `robot:NAME`, a robot of our own; `*` and `?` may stand in the name.
    Robot(WordPattern),
    /// `group:NAME` or `group:SOURCE/NAME`; `*` and `?` may stand in the name.
    Group {
        /// Only accounts of this source.
        source: Option<SourceName>,
        /// Which.
        name: WordPattern,
    },
}

impl Principal {
    /// Whether a rule of this effect that names it is about the caller.
    pub fn includes(&self, caller: Caller<'_>, effect: Effect) -> bool {
        // What is taken from everybody with an account is not got back by leaving the password out.
        let binds_nameless = *self == Self::SignedIn && effect == Effect::Deny;
        self.is(caller) || (binds_nameless && caller.account.is_none())
    }

    /// Whether the account is one of those named, to the letter.
    pub fn names(&self, account: &Account) -> bool {
        self.is(Caller { account: Some(account) })
    }

    /// Whether the caller is one of those named, to the letter.
    pub fn is(&self, caller: Caller<'_>) -> bool {
        match (self, caller.account) {
            (Self::Anyone, _) | (Self::Anonymous, None) | (Self::SignedIn, Some(_)) => true,
            (Self::User { source, name }, Some(account)) => {
                name.matches(account.name.as_str()) && caller.is_of(source.as_ref())
            }
            (Self::Robot(name), Some(account)) => {
                account.robot_name().is_some_and(|robot| name.matches(robot))
            }
            (Self::Group { source, name: pattern }, Some(account)) => {
                let is_in = match pattern.literal() {
                    Some(name) => account.groups.contains(name),
                    None => account.groups.iter().any(|group| pattern.matches(group.as_str())),
                };
                is_in && caller.is_of(source.as_ref())
            }
            (Self::Anonymous, Some(_))
            | (Self::SignedIn | Self::User { .. } | Self::Robot(_) | Self::Group { .. }, None) => {
                false
            }
        }
    }

    /// Whether `${group}` may stand for this group of a caller whom the rule reaches by this word:
    /// `group:team-*` opens only the groups it names, everything else all that the caller is in.
    pub fn reaches_by(&self, group: &str, caller: Caller<'_>) -> bool {
        match self {
            Self::Group { source, name } => name.matches(group) && caller.is_of(source.as_ref()),
            Self::Anyone | Self::SignedIn | Self::User { .. } | Self::Robot(_) => true,
            Self::Anonymous => false,
        }
    }

    /// The one name that an account, robot or group has to have; `None` where many names do.
    pub fn literal(&self) -> Option<&str> {
        match self {
            Self::User { name, .. } | Self::Group { name, .. } | Self::Robot(name) => {
                name.literal()
            }
            Self::Anyone | Self::Anonymous | Self::SignedIn => None,
        }
    }

    /// The source that the rule relies on, where it names one.
    pub fn source(&self) -> Option<&SourceName> {
        match self {
            Self::User { source, .. } | Self::Group { source, .. } => source.as_ref(),
            Self::Anyone | Self::Anonymous | Self::SignedIn | Self::Robot(_) => None,
        }
    }

    /// Whether everybody that `other` names is named here, as far as the words alone can tell.
    pub fn contains(&self, other: &Self) -> bool {
        match self {
            Self::Anyone => true,
            Self::SignedIn => !matches!(other, Self::Anyone | Self::Anonymous),
            Self::Anonymous => self == other,
            Self::Robot(name) => matches!(other, Self::Robot(other) if name.contains(other)),
            Self::User { source, name } => match other {
                Self::User { source: of, name: other } => {
                    (source.is_none() || source == of) && name.contains(other)
                }
                _ => false,
            },
            Self::Group { source, name } => match other {
                Self::Group { source: of, name: other } => {
                    (source.is_none() || source == of) && name.contains(other)
                }
                _ => false,
            },
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        if let Some(name) = text.strip_prefix("user:") {
            return user(name);
        }
        if let Some(name) = text.strip_prefix("robot:") {
            return robot(name);
        }
        if let Some(name) = text.strip_prefix("group:") {
            return group(name);
        }
        match text {
            "anyone" => Ok(Self::Anyone),
            "anonymous" => Ok(Self::Anonymous),
            "signed-in" => Ok(Self::SignedIn),
            _ => Err(PrincipalError::Word),
        }
    }
}

/// The name of a robot; a wildcard may stand wherever a letter may.
fn robot(text: &str) -> Result<Principal, PrincipalError> {
    text.replace(['*', '?'], "a").parse::<RobotName>()?;
    Ok(Principal::Robot(WordPattern::new(Account::without_robot_prefix(text))))
}

fn user(text: &str) -> Result<Principal, PrincipalError> {
    let (source, name) = match text.split_once('/') {
        None => (None, text),
        Some((source, name)) => (Some(source_name(source, "user")?), name),
    };
    Ok(Principal::User { source, name: word(name)? })
}

/// Groups of elsewhere have a `/` in their names too: what stands before the first is a source, or `*`
/// for every source.
fn group(text: &str) -> Result<Principal, PrincipalError> {
    let (source, name) = match text.split_once('/') {
        None => (None, text),
        Some(("*", name)) => (None, name),
        Some((source, name)) => (Some(source_name(source, "group")?), name),
    };
    // A distinguished name is compared in the spelling that all have.
    let group: Group = name.parse()?;
    Ok(Principal::Group { source, name: WordPattern::new(group.as_str()) })
}

fn source_name(text: &str, kind: &'static str) -> Result<SourceName, PrincipalError> {
    text.parse().map_err(|_| PrincipalError::Source { source_name: text.into(), kind })
}

/// The name of an account; a wildcard may stand wherever a letter may.
fn word(name: &str) -> Result<WordPattern, PrincipalError> {
    name.replace(['*', '?'], "a").parse::<AccountName>()?;
    Ok(WordPattern::new(name))
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::SignedIn => f.write_str("signed-in"),
            Self::User { source: None, name } => write!(f, "user:{name}"),
            Self::User { source: Some(source), name } => write!(f, "user:{source}/{name}"),
            Self::Robot(name) => write!(f, "robot:{name}"),
            Self::Group { source: Some(source), name } => write!(f, "group:{source}/{name}"),
            Self::Group { source: None, name } if name.as_str().contains('/') => {
                write!(f, "group:*/{name}")
            }
            Self::Group { source: None, name } => write!(f, "group:{name}"),
        }
    }
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    /// No group can be called so.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// No account can be called so.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No robot can be called so.
    #[error(transparent)]
    Robot(#[from] RobotNameError),
    /// No source can be called so.
    #[error(
        "`{source_name}` is no source of accounts; it is `{kind}:NAME` or `{kind}:SOURCE/NAME`{}",
        if *kind == "group" { ", and `group:*/NAME` for a name with `/` in it" } else { "" }
    )]
    Source {
        /// As typed.
        source_name: Box<str>,
        /// What of it was named: `user`, `group`.
        kind: &'static str,
    },
    /// None of the words.
    #[error(
        "write `anyone`, `anonymous`, `signed-in`, `user:NAME`, `robot:NAME` or `group:NAME`; a source may stand before the name of a user or group, as in `user:SOURCE/NAME`"
    )]
    Word,
}
