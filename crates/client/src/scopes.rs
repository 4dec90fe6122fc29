//! What a token is asked for.

use std::{collections::BTreeSet, fmt, str::FromStr};

use portpass_protocol::{
    Access, AccessSet, Action, Scope,
    scope::{self, ScopeError},
};

/// A set of scopes: actions on one resource merged, in the order first named.
///
/// What a challenge says and this crate cannot read is kept word for word, for the token service may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    known: AccessSet,
    /// Classes (`repository(plugin):…`) and whatever else is not ours to merge.
    other: Vec<String>,
}

impl Scopes {
    /// None: for logging in.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a list with spaces between, as in a challenge.
    pub fn parse(text: &str) -> Self {
        let mut scopes = Self::none();
        scopes.add(text);
        scopes
    }

    /// Adds such a list.
    pub fn add(&mut self, text: &str) {
        for word in text.split_ascii_whitespace() {
            match Scope::parse(word) {
                Ok(scope) if scope.class.is_none() => self.known.insert(scope.into_access()),
                _ if self.other.iter().any(|known| known == word) => {}
                _ => self.other.push(word.to_owned()),
            }
        }
    }

    /// What both ask for.
    #[must_use]
    pub fn union(mut self, more: &Self) -> Self {
        self.known.extend(more.known.iter().cloned());
        for word in &more.other {
            if !self.other.contains(word) {
                self.other.push(word.clone());
            }
        }
        self
    }

    /// Whether no scope is requested.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.other.is_empty()
    }

    /// Those that can be compared with a token's `access`.
    pub fn known(&self) -> &AccessSet {
        &self.known
    }

    /// One word per resource, as GET sends them.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.known.iter().map(ToString::to_string).chain(self.other.iter().cloned())
    }

    /// The same for two sets that ask for the same, whatever the order.
    pub(crate) fn canonical(&self) -> BTreeSet<String> {
        let known = self.known.iter().map(|access| {
            let actions: BTreeSet<&str> = access.actions.iter().map(Action::as_str).collect();
            let actions: Vec<&str> = actions.into_iter().collect();
            format!("{}:{}", access.resource, actions.join(","))
        });
        known.chain(self.other.iter().cloned()).collect()
    }
}

impl FromIterator<Access> for Scopes {
    fn from_iter<T: IntoIterator<Item = Access>>(accesses: T) -> Self {
        let mut scopes = Self::none();
        scopes.known.extend(accesses);
        scopes
    }
}

/// Reads what a person typed. What is no scope is refused: nobody meant it for a token service.
impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (_, errors) = scope::parse_list(text);
        errors.into_iter().next().map_or_else(|| Ok(Self::parse(text)), Err)
    }
}

impl fmt::Display for Scopes {
    /// All with spaces between, as POST sends them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.words().collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_resource_is_asked_for_once() {
        let mut scopes = Scopes::parse("repository:a:pull  repository:b:pull repository:a:push");
        scopes.add("repository(plugin):a:pull repository(plugin):a:pull");
        assert_eq!(
            scopes.to_string(),
            "repository:a:pull,push repository:b:pull repository(plugin):a:pull"
        );
        let both = Scopes::parse("repository:c:pull").union(&scopes);
        assert_eq!(both.words().count(), 4);
    }

    #[test]
    fn order_does_not_make_another_question() {
        let one = Scopes::parse("repository:a:pull,push repository:b:pull");
        let other = Scopes::parse("repository:b:pull repository:a:push,pull");
        assert_eq!(one.canonical(), other.canonical());
        assert_ne!(
            one.canonical(),
            Scopes::parse("repository:a:pull repository:b:pull").canonical()
        );
    }

    proptest! {
        /// CL3: a challenge's words are kept, and asking for them twice asks for no more.
        #[test]
        fn what_is_asked_for_is_read_back_and_no_more(
            text in "(repository(\\(plugin\\))?:[ab](/[ab])?:(pull|push|\\*)?(,pull|,push)? |\\PC{0,6} | ){0,8}",
        ) {
            let scopes = Scopes::parse(&text);
            prop_assert_eq!(Scopes::parse(&scopes.to_string()), scopes.clone());
            prop_assert_eq!(scopes.clone().union(&scopes), scopes.clone());
            prop_assert!(scopes.words().count() <= text.split_ascii_whitespace().count());
        }
    }
}
