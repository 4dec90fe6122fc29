//! Groups that the configuration puts accounts into, whatever their source.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    str::FromStr,
    sync::Arc,
};

use crate::{
    policy::{Principal, PrincipalError},
    subject::{Account, Group, SourceName},
};

/// Who is in a group, written as in the `to` of a rule; `user:` may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member(Principal);

impl Member {
    /// The source that it relies on, where it names one.
    pub fn source(&self) -> Option<&SourceName> {
        self.0.source()
    }

    /// Whether it is a group of a source: all who are in that.
    pub fn is_group(&self) -> bool {
        matches!(self.0, Principal::Group { .. })
    }

    /// Whether it is the account, or its source says that the account is in the group.
    pub fn includes(&self, account: &Account) -> bool {
        self.0.names(account)
    }

    /// Whether an account of this source can be it.
    pub fn may_be_of(&self, source: &SourceName) -> bool {
        match &self.0 {
            Principal::Robot(_) => *source == SourceName::robot(),
            other => other.source().is_none_or(|named| named == source),
        }
    }
}

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let principal: Principal = match text.split_once(':') {
            None => format!("user:{text}").parse()?,
            Some(("user" | "robot" | "group", _)) => text.parse()?,
            Some(_) => return Err(MemberError::Word),
        };
        match principal {
            Principal::Group { source: None, .. } => Err(MemberError::NoSource),
            principal => Ok(Self(principal)),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.strip_prefix("user:").unwrap_or(&text))
    }
}

/// A text that names no member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// A group of nobody knows which source.
    #[error(
        "a group is a member as `group:SOURCE/NAME`, with one source; groups of `token_service.groups` are no members"
    )]
    NoSource,
    /// Nobody can be called so.
    #[error(transparent)]
    Principal(#[from] PrincipalError),
    /// None of the forms.
    #[error("write `NAME`, `SOURCE/NAME`, `robot:NAME` or `group:SOURCE/NAME`")]
    Word,
}

/// Which groups have which members.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    memberships: Vec<Membership>,
    /// Members without a wildcard, by the name of the account, robot or group.
    by_name: HashMap<Box<str>, Vec<usize>>,
    with_wildcard: Vec<usize>,
}

/// That a group has a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: Group,
    /// The member.
    pub member: Member,
}

impl Groups {
    /// The groups that there are, and what they are called.
    pub fn iter(&self) -> impl Iterator<Item = &Membership> {
        self.memberships.iter()
    }

    /// The groups that accounts of a source can be in.
    pub fn of(&self, source: &SourceName) -> BTreeSet<Group> {
        let theirs = self.iter().filter(|membership| membership.member.may_be_of(source));
        theirs.map(|membership| membership.group.clone()).collect()
    }

    /// The same for an account that others hold as well: it is copied only where groups are given at all.
    pub(crate) fn join_shared(&self, account: Arc<Account>) -> Arc<Account> {
        if self.memberships.is_empty() {
            return account;
        }
        Arc::new(self.join(Arc::unwrap_or_clone(account)))
    }

    /// The account with the groups that it is in here, beside those of its source. A group that it is in here makes it
    /// no member of another.
    #[must_use]
    pub fn join(&self, mut account: Account) -> Account {
        if self.memberships.is_empty() {
            return account;
        }
        let name = [account.name.as_str()].into_iter().chain(account.robot_name());
        let names = name.chain(account.groups.iter().map(Group::as_str));
        let without_wildcard = names.filter_map(|name| self.by_name.get(name)).flatten();
        let places = without_wildcard.chain(&self.with_wildcard);
        let candidates = places.map(|place| &self.memberships[*place]);
        let is_in = candidates.filter(|membership| membership.member.includes(&account));
        let more: Vec<Group> = is_in.map(|membership| membership.group.clone()).collect();
        account.groups.extend(more);
        account
    }
}

impl FromIterator<Membership> for Groups {
    fn from_iter<I: IntoIterator<Item = Membership>>(memberships: I) -> Self {
        let mut groups = Self::default();
        for (place, membership) in memberships.into_iter().enumerate() {
            match membership.member.0.literal() {
                Some(name) => groups.by_name.entry(name.into()).or_default().push(place),
                None => groups.with_wildcard.push(place),
            }
            groups.memberships.push(membership);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::{AccountId, AccountKind, CredentialVersion, Labels};

    fn account(source: &str, name: &str, groups: &[&str]) -> Account {
        Account {
            source: source.parse().unwrap(),
            id: AccountId::new("1"),
            version: CredentialVersion::new("1"),
            name: name.parse().unwrap(),
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            labels: Labels::default(),
            kind: if source == "robot" { AccountKind::Robot } else { AccountKind::Person },
            ceiling: None,
            valid_until: None,
        }
    }

    fn groups(table: &[(&str, &[&str])]) -> Groups {
        let mut memberships = Vec::new();
        for (group, members) in table {
            memberships.extend(members.iter().map(|member| Membership {
                group: group.parse().unwrap(),
                member: member.parse().unwrap(),
            }));
        }
        memberships.into_iter().collect()
    }

    #[test]
    fn accounts_of_any_source_robots_and_groups_of_a_source_are_members() {
        let groups = groups(&[
            ("developers", &["ann", "htpasswd/bob", "group:ldap/CN=Dev,OU=a:b/c", "robot:ci"]),
            ("staff", &["ldap/*", "group:ldap/developers", "group:local/team-*"]),
        ]);
        for (source, name, of_source, all) in [
            ("local", "ann", &[][..], &["developers"][..]),
            ("ldap", "ann", &["x"], &["developers", "staff", "x"]),
            ("htpasswd", "bob", &[], &["developers"]),
            ("local", "bob", &[], &[]),
            ("robot", "robot-ci", &[], &["developers"]),
            ("local", "ci", &[], &[]),
            ("local", "eve", &["team-a"], &["staff", "team-a"]),
            ("ldap", "eve", &["cn=dev,ou=a:b/c"], &["cn=dev,ou=a:b/c", "developers", "staff"]),
            ("local", "eve", &["cn=dev,ou=a:b/c"], &["cn=dev,ou=a:b/c"]),
        ] {
            let joined = groups.join(account(source, name, of_source));
            let names: Vec<&str> = joined.groups.iter().map(Group::as_str).collect();
            assert_eq!(names, all, "{source}/{name}");
        }
    }

    #[test]
    fn a_group_that_is_given_here_makes_nobody_a_member_of_another() {
        let groups = groups(&[("a", &["ann"]), ("b", &["group:local/a"])]);
        let joined = groups.join(account("local", "ann", &[]));
        assert_eq!(joined.groups, ["a".parse().unwrap()].into());
    }

    #[test]
    fn what_accounts_of_a_source_can_be_in_is_known() {
        let groups = groups(&[
            ("any", &["ann"]),
            ("file", &["htpasswd/bob"]),
            ("machines", &["robot:ci"]),
            ("directory", &["group:ldap/dev", "ldap/eve"]),
        ]);
        for (source, expected) in [
            ("htpasswd", &["any", "file"][..]),
            ("ldap", &["any", "directory"]),
            ("local", &["any"]),
            ("robot", &["any", "machines"]),
        ] {
            let of = groups.of(&source.parse().unwrap());
            let names: Vec<&str> = of.iter().map(Group::as_str).collect();
            assert_eq!(names, expected, "{source}");
        }
    }

    #[test]
    fn members_are_written_as_in_rules() {
        let texts = ["ann", "htpasswd/bob", "group:ldap/cn=dev,ou=a:b/c", "ann@example.com"];
        for text in texts.into_iter().chain(["robot:ci", "ldap/*"]) {
            assert_eq!(text.parse::<Member>().unwrap().to_string(), text);
        }
        assert_eq!("user:ann".parse::<Member>(), "ann".parse());
        for text in ["", "LDAP/ann", "group:ldap/", "htpasswd/", "a b", "x y/ann", "ldap:dev"] {
            assert!(text.parse::<Member>().is_err(), "{text}");
        }
        for text in ["group:developers", "group:*/developers"] {
            assert_eq!(text.parse::<Member>(), Err(MemberError::NoSource), "{text}");
        }
    }
}
