//! Who asks: names, accounts, and what is presented to prove one.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc, time::SystemTime};

use portpass_federation::{ldap::Dn, workload::ClaimedToken};
use portpass_password::{Credentials, QueueClass};
use secrecy::SecretString;

mod robot_name;

pub use robot_name::{ROBOT_PREFIX, RobotName, RobotNameError};

use crate::ceiling::Ceiling;
pub use portpass_pattern::{LabelError, Labels};

/// The name of an account: letters and digits of any script and `._@+-`, one to 128 characters,
/// beginning with a letter or digit.
///
/// It can hold no `/` and no wildcard, so `${account}` in a rule is always one segment of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// As it was given; names are compared byte by byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AccountName {
    /// What stands for a name where a token tells whose it is: `oidc`, by convention.
    pub fn workload() -> Self {
        Self("oidc".into())
    }
}

impl FromStr for AccountName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut characters = text.chars();
        match characters.next() {
            None => return Err(NameError::Empty),
            Some(first) if !first.is_alphanumeric() => {
                return Err(NameError::Beginning { character: first });
            }
            Some(_) => {}
        }
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
        if let Some(character) = characters.find(|c| !legal(*c)) {
            return Err(NameError::Character { character });
        }
        let length = text.chars().count();
        if length > MAX_ACCOUNT_NAME {
            return Err(NameError::Length { length });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountName({:?})", &*self.0)
    }
}

/// Why a text cannot be the name of an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It begins with something else.
    #[error("an account name begins with a letter or a digit, not with {character:?}")]
    Beginning {
        /// The first character.
        character: char,
    },
    /// It holds something else.
    #[error("{character:?} is not allowed in an account name: use letters, digits and `._@+-`")]
    Character {
        /// The first that is not allowed.
        character: char,
    },
    /// There is nothing.
    #[error("an account name has at least one character")]
    Empty,
    /// It is too long.
    #[error("an account name has at most {MAX_ACCOUNT_NAME} characters, this one has {length}")]
    Length {
        /// In characters.
        length: usize,
    },
}

/// A group that a source says an account is in. Compared as a whole, never as a pattern; the distinguished
/// names of a directory's groups in whatever spelling (RFC 4514).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Arc<str>);

impl Group {
    /// As the source names it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        let legal = text == text.trim()
            && !text.chars().any(char::is_control)
            && (1..=MAX_GROUP_NAME).contains(&text.chars().count());
        if !legal {
            return Err(GroupError);
        }
        // A distinguished name has many spellings. One part alone, as `a=b`, is a word like others.
        match Dn::parse(text).filter(|dn| dn.depth() > 1) {
            Some(dn) => Ok(Self(dn.as_str().into())),
            None => Ok(Self(text.into())),
        }
    }
}

impl std::borrow::Borrow<str> for Group {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a group name has 1 to {MAX_GROUP_NAME} characters, no control characters and no space at its ends"
)]
pub struct GroupError;

/// Which list of accounts an account comes from: `local`, `htpasswd`, or the name that the
/// configuration gives a second one of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// As configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The accounts in our own database.
    pub fn local() -> Self {
        Self("local".into())
    }

    /// The robots in our own database.
    pub fn robot() -> Self {
        Self("robot".into())
    }

    /// The one htpasswd file that has no name of its own.
    pub fn htpasswd() -> Self {
        Self("htpasswd".into())
    }

    /// The one service that has no name of its own.
    pub fn http() -> Self {
        Self("http".into())
    }

    /// The one directory that has no name of its own.
    pub fn ldap() -> Self {
        Self("ldap".into())
    }
}

impl FromStr for SourceName {
    type Err = SourceNameError;

    fn from_str(text: &str) -> Result<Self, SourceNameError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !text.is_empty() && text.len() <= MAX_SOURCE_NAME && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(SourceNameError)
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that names no source of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a source has 1 to {MAX_SOURCE_NAME} lower-case letters, digits and hyphens")]
pub struct SourceNameError;

/// What a source calls an account for ever, also when it is renamed. Unique within the source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// From whatever text the source keeps.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// As the source gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Changes whenever the account's password does; a refresh token of another version is dead.
///
/// A counter, or a hash of the stored hash: never the hash itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialVersion(Arc<str>);

impl CredentialVersion {
    /// From whatever the source counts or hashes.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// As the source gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account as its source knows it at this moment. Only a source makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who says so.
    pub source: SourceName,
    /// What the source calls it for ever.
    pub id: AccountId,
    /// The state of its password.
    pub version: CredentialVersion,
    /// What it is called in rules, tokens and logs.
    pub name: AccountName,
    /// What rules for `group:…` look at.
    pub groups: BTreeSet<Group>,
    /// What rules for `${label:…}` look at.
    pub labels: Labels,
    /// Whose account it is.
    pub kind: AccountKind,
    /// The most that it can ever reach, whatever the rules say; `None` is no limit.
    pub ceiling: Option<Arc<Ceiling>>,
    /// Nothing that is issued for it outlives this: when what proved it expires.
    pub valid_until: Option<SystemTime>,
}

impl Account {
    /// What rules call it, as in `robot:NAME`; `None` where it is no robot.
    pub fn robot_name(&self) -> Option<&str> {
        (self.kind == AccountKind::Robot).then(|| Self::without_robot_prefix(self.name.as_str()))
    }

    /// The name of a robot without what tells clients and logs that it is one.
    pub fn without_robot_prefix(name: &str) -> &str {
        name.strip_prefix(ROBOT_PREFIX).unwrap_or(name)
    }
}

/// Whose an account is, and what it was proved with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// A person, by a password or a refresh token.
    Person,
    /// A person, by an API key; its limits are the ceiling.
    ApiKey,
    /// A robot of our own.
    Robot,
    /// A program that an issuer of workload identities vouches for.
    Workload,
    /// A person of a source that says nothing of it without the password.
    PasswordOnly,
}

impl AccountKind {
    /// Whether a client may have a refresh token for it. Who holds a key can show the key again; and where the
    /// source cannot be asked again, nobody would learn that the account is disabled.
    pub fn has_sessions(self) -> bool {
        self == Self::Person
    }
}

/// Who a decision is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Somebody without credentials: gets what the rules give `anyone` and `anonymous`.
    Anonymous,
    /// Somebody whose credential was checked.
    SignedIn(Arc<Account>),
}

impl Subject {
    /// The account, unless the subject has none.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Anonymous => None,
            Self::SignedIn(account) => Some(account),
        }
    }

    /// The `sub` claim: the account's name, empty for an anonymous subject (JW2).
    pub fn name(&self) -> &str {
        self.account().map_or("", |account| account.name.as_str())
    }

    /// The most that the subject can ever reach; `None` is no limit.
    pub fn ceiling(&self) -> Option<&Ceiling> {
        self.account().and_then(|account| account.ceiling.as_deref())
    }
}

impl From<Account> for Subject {
    fn from(account: Account) -> Self {
        Self::SignedIn(Arc::new(account))
    }
}

/// A name and a password that nobody has checked yet.
///
/// The password may be empty; every source but htpasswd refuses that one outright.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whom the caller says to be.
    pub account: AccountName,
    /// What is to prove it.
    pub password: SecretString,
}

impl Login {
    /// What a source of accounts checks.
    pub(crate) fn credentials<'a>(
        &'a self,
        source: &'a str,
        queue_class: QueueClass,
    ) -> Credentials<'a> {
        Credentials { source, name: self.account.as_str(), password: &self.password, queue_class }
    }
}

/// A name and, in place of the password, a token that nobody has checked yet.
#[derive(Debug, Clone)]
pub struct TokenLogin {
    /// Whom the caller says to be. It counts for nothing where the token counts.
    pub account: AccountName,
    /// What is to prove somebody.
    pub token: ClaimedToken,
}

impl TokenLogin {
    /// The same as a name and a password, for sources that take tokens of issuers that nobody here knows.
    pub fn as_password(&self) -> Login {
        Login { account: self.account.clone(), password: self.token.text().clone() }
    }
}

const MAX_ACCOUNT_NAME: usize = 128;
const MAX_GROUP_NAME: usize = 1024;
const MAX_SOURCE_NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_are_letters_digits_and_five_signs() {
        let longest = "ü".repeat(128);
        for name in ["a", "7", "ann", "Ann.Lee_2+ci@example.com", "анна", "用户1", &longest] {
            assert_eq!(name.parse::<AccountName>().unwrap().as_str(), name);
        }
        let too_long = "a".repeat(129);
        for name in [
            "",
            "a/b",
            "*",
            "a*",
            "a?",
            "a b",
            ".a",
            "-a",
            "@a",
            "a\n",
            "a\0",
            "a:b",
            "${account}",
            "a\u{200b}",
            "a\\",
            &too_long,
        ] {
            assert!(name.parse::<AccountName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn groups_are_any_text_that_can_be_printed_on_one_line() {
        for name in ["developers", "Domain Users", "a/b", "*", "cn=x,dc=y"] {
            assert_eq!(name.parse::<Group>().unwrap().as_str(), name);
        }
        let same = |text: &str| text.parse::<Group>().unwrap();
        assert_eq!(same("CN=Dev, OU=Groups,DC=x"), same("cn=dev,ou=groups,dc=X"));
        assert_ne!(same("CN=Dev"), same("cn=dev"));
        for name in ["", " a", "a ", "a\nb", "\u{7}"] {
            assert!(name.parse::<Group>().is_err(), "{name:?}");
        }
    }
}
