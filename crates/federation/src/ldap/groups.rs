//! The groups of an account, and the groups of its groups.

use std::collections::BTreeMap;

use ldap3::{Scope, ldap_escape};

use super::{
    Dn, Group,
    connection::{Connection, Query, Wanted},
    entry::{Entry, escaped},
    fault::Fault,
    pool::Asker,
    settings::{GroupLookup, Nesting},
    template::FilterTemplate,
};

/// Who reads.
pub(super) enum Reader<'a> {
    /// The account that searches.
    Searcher(Asker<'a>),
    /// The account itself, on the connection on which it has logged in.
    Itself(&'a mut Connection),
}

/// Whose groups are looked for, and how.
pub(super) struct GroupSearch<'a> {
    pub(super) lookup: &'a GroupLookup,
    pub(super) entry: &'a Entry,
    /// What is in place of `${account}`.
    pub(super) account: &'a str,
    /// Whether the directory has the rule for membership through other groups.
    pub(super) has_chain_rule: bool,
}

/// Groups by their spelling, and those that have not been looked into.
#[derive(Default)]
struct Walk {
    found: BTreeMap<Dn, Group>,
    /// As the directory writes them.
    ahead: Vec<String>,
}

impl Reader<'_> {
    pub(super) async fn search(&mut self, query: &Query) -> Result<Vec<Entry>, Fault> {
        let found = match self {
            Self::Searcher(asker) => asker.search(query).await?,
            Self::Itself(connection) => connection.search(query).await?,
        };
        Ok(found.entries)
    }
}

impl GroupSearch<'_> {
    /// All groups, each once.
    pub(super) async fn run(&self, mut reader: Reader<'_>) -> Result<Vec<Group>, Fault> {
        let found = match self.lookup {
            GroupLookup::None => return Ok(Vec::new()),
            GroupLookup::MemberOf { attribute, base, nested } => {
                self.named(attribute, base, *nested, &mut reader).await?
            }
            GroupLookup::Search { base, filter, nested } => {
                self.searched(base, filter, *nested, &mut reader).await?
            }
            GroupLookup::Chain { base } if self.has_chain_rule => {
                self.chained(base, &mut reader).await?
            }
            GroupLookup::Chain { base } => {
                let filter = FilterTemplate::of_groups(MEMBERS).map_err(|_| Fault::Garbled)?;
                self.searched(base, &filter, Nesting::Followed, &mut reader).await?
            }
        };
        Ok(found.into_values().collect())
    }

    /// By the attribute of the entry, and of the entries of the groups.
    async fn named(
        &self,
        attribute: &str,
        base: &Dn,
        nested: Nesting,
        reader: &mut Reader<'_>,
    ) -> Result<BTreeMap<Dn, Group>, Fault> {
        let mut walk = Walk::default();
        let names = |entry: &Entry| -> Result<Vec<String>, Fault> {
            if entry.is_partial(attribute) {
                return Err(self.too_many());
            }
            Ok(entry.texts(attribute).map(str::to_owned).collect())
        };
        let counts = |group: &Dn| group.is_within(base);
        walk.add(names(self.entry)?, counts);
        walk.add(self.primary(base.as_str(), reader).await?, counts);
        for _ in 0..DEEPEST {
            if nested == Nesting::Ignored || walk.ahead.is_empty() {
                return Ok(walk.found);
            }
            for group in std::mem::take(&mut walk.ahead) {
                let query = Query {
                    question: QUESTION,
                    base: group,
                    scope: Scope::Base,
                    filter: "(objectClass=*)".to_owned(),
                    attributes: vec![attribute.to_owned()],
                    wanted: Wanted::First(1),
                };
                for entry in reader.search(&query).await? {
                    walk.add(names(&entry)?, counts);
                }
                self.within_bounds(&walk)?;
            }
        }
        Err(self.too_many())
    }

    /// By a filter that is asked again with each group that it finds.
    async fn searched(
        &self,
        base: &str,
        filter: &FilterTemplate,
        nested: Nesting,
        reader: &mut Reader<'_>,
    ) -> Result<BTreeMap<Dn, Group>, Fault> {
        let mut walk = Walk::default();
        let first = filter.for_member(self.account, &self.entry.dn);
        walk.add(groups(base, first, reader).await?, |_| true);
        walk.add(self.primary(base, reader).await?, |_| true);
        let is_followed = nested == Nesting::Followed && filter.names_members();
        for _ in 0..DEEPEST {
            if !is_followed || walk.ahead.is_empty() {
                return Ok(walk.found);
            }
            for some in std::mem::take(&mut walk.ahead).chunks(AT_ONCE) {
                // A group has no name of an account: what compares one finds nothing.
                let any: String = some.iter().map(|group| filter.for_member("", group)).collect();
                walk.add(groups(base, format!("(|{any})"), reader).await?, |_| true);
                self.within_bounds(&walk)?;
            }
        }
        Err(self.too_many())
    }

    /// By the rule of Active Directory, which leaves out the primary group and what that is in.
    async fn chained(
        &self,
        base: &str,
        reader: &mut Reader<'_>,
    ) -> Result<BTreeMap<Dn, Group>, Fault> {
        let mut walk = Walk::default();
        let primary = self.primary(base, reader).await?;
        let members = std::iter::once(&self.entry.dn).chain(&primary);
        let any: Vec<_> = members
            .map(|dn| format!("(member:{IN_CHAIN}:={})", ldap_escape(dn.as_str())))
            .collect();
        let any = any.concat();
        walk.add(groups(base, format!("(|{any})"), reader).await?, |_| true);
        walk.add(primary, |_| true);
        self.within_bounds(&walk)?;
        Ok(walk.found)
    }

    /// The primary group, where the entry names one and it lies below the base.
    async fn primary(&self, base: &str, reader: &mut Reader<'_>) -> Result<Vec<String>, Fault> {
        match self.entry.primary_group() {
            None => Ok(Vec::new()),
            Some(sid) => groups(base, format!("(objectSid={})", escaped(&sid)), reader).await,
        }
    }

    fn within_bounds(&self, walk: &Walk) -> Result<(), Fault> {
        if walk.found.len() > MOST { Err(self.too_many()) } else { Ok(()) }
    }

    fn too_many(&self) -> Fault {
        Fault::TooManyGroups { dn: self.entry.dn.clone(), most: MOST, deepest: DEEPEST }
    }
}

/// The names of all groups that a filter finds.
async fn groups(base: &str, filter: String, reader: &mut Reader<'_>) -> Result<Vec<String>, Fault> {
    let query = Query {
        question: QUESTION,
        base: base.to_owned(),
        scope: Scope::Subtree,
        filter,
        // No attribute at all (RFC 4511, section 4.5.1.8).
        attributes: vec!["1.1".to_owned()],
        wanted: Wanted::All(MOST),
    };
    Ok(reader.search(&query).await?.into_iter().map(|entry| entry.dn).collect())
}

impl Walk {
    fn add(&mut self, names: Vec<String>, counts: impl Fn(&Dn) -> bool) {
        for name in names {
            let Some(dn) = Dn::parse(&name) else {
                tracing::warn!(group = name, "a group is left out: its name cannot be read");
                continue;
            };
            if counts(&dn) && !self.found.contains_key(&dn) {
                let group = Group { name: dn.first_value().to_owned(), dn: dn.clone() };
                self.found.insert(dn, group);
                self.ahead.push(name);
            }
        }
    }
}

const QUESTION: &str = "the search for groups";
/// `LDAP_MATCHING_RULE_IN_CHAIN` ([MS-ADTS] 3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// `groupOfNames` and Active Directory, and `groupOfUniqueNames` (RFC 4519).
const MEMBERS: &str = "(|(member=${dn})(uniqueMember=${dn}))";
const MOST: usize = 1_000;
const DEEPEST: usize = 16;
const AT_ONCE: usize = 50;
