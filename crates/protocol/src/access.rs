//! Who may do what, as the wire says it: actions on resources, and sets of them.
//!
//! Order is kept everywhere (a challenge and a token read the same each time, CH5); equality of
//! [`Actions`] is that of sets.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq};

/// One thing that may be done to a resource (SC4). Byte-exact: `Pull` is not `pull` (SC6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read manifests and blobs.
    Pull,
    /// Write manifests and blobs.
    Push,
    /// Remove manifests, tags and blobs.
    Delete,
    /// `*`: in a grant, every action on that resource (SC5); in a scope, a request for all there are.
    Any,
    /// A word that this registry gives no meaning.
    Other(Box<str>),
}

impl Action {
    /// As it stands in a scope.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Any => "*",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Action {
    fn from(word: &str) -> Self {
        match word {
            "pull" => Self::Pull,
            "push" => Self::Push,
            "delete" => Self::Delete,
            "*" => Self::Any,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from(word.as_ref()))
    }
}

/// A set of actions that remembers the order in which they were first named.
#[derive(Debug, Clone, Default, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Action>", into = "Vec<Action>")]
pub struct Actions(Vec<Action>);

impl Actions {
    /// No action at all.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds an action unless it is there.
    pub fn insert(&mut self, action: Action) {
        if !self.0.contains(&action) {
            self.0.push(action);
        }
    }

    /// Whether this very action is named; `*` is only itself here.
    pub fn contains(&self, action: &Action) -> bool {
        self.0.contains(action)
    }

    /// Whether a grant of these actions allows `action`: it is named, or `*` is (SC5).
    pub fn grants(&self, action: &Action) -> bool {
        self.contains(&Action::Any) || self.contains(action)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order first named.
    pub fn iter(&self) -> std::slice::Iter<'_, Action> {
        self.0.iter()
    }

    /// What both name, in the order of `self`; `*` is only itself here.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|action| other.contains(action)).cloned().collect()
    }

    /// What `self` names and `other` does not; `*` is only itself here.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.iter().filter(|action| !other.contains(action)).cloned().collect()
    }
}

impl PartialEq for Actions {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|action| other.contains(action))
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let mut set = Self::none();
        set.extend(actions);
        set
    }
}

impl Extend<Action> for Actions {
    fn extend<I: IntoIterator<Item = Action>>(&mut self, actions: I) {
        for action in actions {
            self.insert(action);
        }
    }
}

impl From<Vec<Action>> for Actions {
    fn from(actions: Vec<Action>) -> Self {
        actions.into_iter().collect()
    }
}

impl From<Actions> for Vec<Action> {
    fn from(actions: Actions) -> Self {
        actions.0
    }
}

impl<'a> IntoIterator for &'a Actions {
    type Item = &'a Action;
    type IntoIter = std::slice::Iter<'a, Action>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = std::vec::IntoIter<Action>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Actions {
    /// `pull,push`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, action) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{action}")?;
        }
        Ok(())
    }
}

/// What an action is done to: a type and a name, both byte-exact (SC6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// `repository`, `registry`, or a word from elsewhere.
    pub resource_type: Box<str>,
    /// A repository's name, `catalog`, or a word from elsewhere.
    pub name: Box<str>,
}

impl Resource {
    /// The type of everything that has a name under `/v2/`.
    pub const REPOSITORY: &'static str = "repository";
    /// The type of the registry itself.
    pub const REGISTRY: &'static str = "registry";
    /// The name of the list of all repositories.
    pub const CATALOG: &'static str = "catalog";

    /// The repository of that name.
    pub fn repository(name: &str) -> Self {
        Self { resource_type: Self::REPOSITORY.into(), name: name.into() }
    }

    /// `registry:catalog`
    pub fn catalog() -> Self {
        Self { resource_type: Self::REGISTRY.into(), name: Self::CATALOG.into() }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource_type, self.name)
    }
}

/// Actions on one resource: an entry of a token's `access` claim, and what a route needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What they are done to.
    pub resource: Resource,
    /// What is done; may be empty in a token that was asked for more than the rules allow.
    pub actions: Actions,
}

impl Access {
    /// Actions on a repository.
    pub fn repository(name: &str, actions: impl IntoIterator<Item = Action>) -> Self {
        Self { resource: Resource::repository(name), actions: actions.into_iter().collect() }
    }

    /// `registry:catalog:*`, what the list of repositories needs (AR6).
    pub fn catalog() -> Self {
        Self { resource: Resource::catalog(), actions: [Action::Any].into_iter().collect() }
    }
}

impl fmt::Display for Access {
    /// `repository:a/b:pull,push`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.actions)
    }
}

/// One entry per resource, in the order first named; entries of one resource are merged (SC7).
///
/// An entry with no actions stays: it says that the resource was asked for and nothing was granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessSet(Vec<Access>);

impl AccessSet {
    /// No entry.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an entry, or its actions to the entry that is there.
    pub fn insert(&mut self, access: Access) {
        match self.0.iter_mut().find(|entry| entry.resource == access.resource) {
            Some(entry) => entry.actions.extend(access.actions),
            None => self.0.push(access),
        }
    }

    /// Whether every action of `needed` is granted here; `*` here grants all (SC5).
    ///
    /// To need no action is to need nothing, and is covered.
    pub fn covers(&self, needed: &Access) -> bool {
        let granted = self.actions_on(&needed.resource);
        needed.actions.iter().all(|action| granted.is_some_and(|actions| actions.grants(action)))
    }

    /// The actions on a resource; `None` where it is not named at all.
    pub fn actions_on(&self, resource: &Resource) -> Option<&Actions> {
        self.0.iter().find(|entry| entry.resource == *resource).map(|entry| &entry.actions)
    }

    /// What both allow, entry by entry of `self` (none is dropped); `*` on one side yields what the
    /// other names.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let narrow = |entry: &Access| {
            let theirs = other.actions_on(&entry.resource).cloned().unwrap_or_default();
            let mut actions: Actions =
                entry.actions.iter().filter(|action| theirs.grants(action)).cloned().collect();
            if entry.actions.contains(&Action::Any) {
                actions.extend(theirs);
            }
            Access { resource: entry.resource.clone(), actions }
        };
        Self(self.0.iter().map(narrow).collect())
    }

    /// In the order first named.
    pub fn iter(&self) -> std::slice::Iter<'_, Access> {
        self.0.iter()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many resources are named.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Access> for AccessSet {
    fn from_iter<I: IntoIterator<Item = Access>>(entries: I) -> Self {
        let mut set = Self::new();
        set.extend(entries);
        set
    }
}

impl Extend<Access> for AccessSet {
    fn extend<I: IntoIterator<Item = Access>>(&mut self, entries: I) {
        for entry in entries {
            self.insert(entry);
        }
    }
}

impl<'a> IntoIterator for &'a AccessSet {
    type Item = &'a Access;
    type IntoIter = std::slice::Iter<'a, Access>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for AccessSet {
    type Item = Access;
    type IntoIter = std::vec::IntoIter<Access>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for AccessSet {
    /// `repository:a/b:pull,push repository:c/d:pull`: one scope attribute, one space between (CH4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, access) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{access}")?;
        }
        Ok(())
    }
}

/// The shape of an entry in a token's `access` claim (JW2).
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(rename = "type", borrow)]
    resource_type: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    #[serde(default)]
    actions: Option<Actions>,
}

impl Serialize for AccessSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for access in self {
            list.serialize_element(&Entry {
                resource_type: access.resource.resource_type.as_ref().into(),
                name: access.resource.name.as_ref().into(),
                actions: Some(access.actions.clone()),
            })?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for AccessSet {
    /// Reads the `access` claim: a list of objects; `actions` may be missing or null (as none);
    /// anything else than an object is an error (JW7).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Entry<'_>>::deserialize(deserializer)?;
        Ok(entries
            .into_iter()
            .map(|entry| Access {
                resource: Resource {
                    resource_type: entry.resource_type.into(),
                    name: entry.name.into(),
                },
                actions: entry.actions.unwrap_or_default(),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests;
