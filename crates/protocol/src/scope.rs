//! Scopes: what a client asks a token for (distribution's `scope.md`, SC1–SC9).

use std::{fmt, str::FromStr};

use crate::{
    access::{Access, AccessSet, Action, Actions, Resource},
    name::RepositoryName,
    printable::excerpt,
};

/// One resource scope: `type["(" class ")"] ":" name ":" actions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `repository`, `registry`, or a word from elsewhere.
    pub resource_type: Box<str>,
    /// What stands in parentheses behind the type. Deprecated, read and ignored (CH16, SC6).
    pub class: Option<Box<str>>,
    /// May hold a host and port before the first slash (SC2).
    pub name: Box<str>,
    /// May be empty.
    pub actions: Actions,
}

impl Scope {
    /// Reads one scope of which nothing is left out.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (scope, left_out) = Self::parse_lenient(text)?;
        left_out.map_or(Ok(scope), Err)
    }

    /// Reads one scope: the type ends at the first colon, the actions begin after the last (SC2). Words that no
    /// action is are left out, and told apart: they take nothing away from the others (SC4).
    pub fn parse_lenient(text: &str) -> Result<(Self, Option<ScopeError>), ScopeError> {
        let malformed = |why| ScopeError { scope: excerpt(text), why };
        let (kind, rest) = text.split_once(':').ok_or_else(|| malformed(Why::NoColon))?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(|| malformed(Why::OneColon))?;
        let (resource_type, class) = match kind.split_once('(') {
            None => (kind, None),
            Some((kind, class)) => {
                (kind, Some(class.strip_suffix(')').ok_or_else(|| malformed(Why::Type))?))
            }
        };
        if !is_word(resource_type) || class.is_some_and(|class| !is_word(class)) {
            return Err(malformed(Why::Type));
        }
        if !is_name(name) {
            return Err(malformed(Why::Name));
        }
        let words = || actions.split(',').filter(|word| !word.is_empty());
        let left_out = (!words().all(is_action)).then(|| malformed(Why::Action));
        let scope = Self {
            resource_type: resource_type.into(),
            class: class.map(Into::into),
            name: name.into(),
            actions: words().filter(|word| is_action(word)).map(Action::from).collect(),
        };
        Ok((scope, left_out))
    }

    /// Whether a registry can have what it names: the path of a repository is in lower case; some have a host
    /// before it (SC1). A token that names anything else is good for nothing, whatever rules say.
    pub fn with_valid_name(self) -> Result<Self, ScopeError> {
        let is_path = |path: &str| path.parse::<RepositoryName>().is_ok();
        let is_held = |name: &str| {
            let behind_host = |(host, path)| is_host(host) && is_path(path);
            is_path(name) || name.split_once('/').is_some_and(behind_host)
        };
        if &*self.resource_type == Resource::REPOSITORY && !is_held(&self.name) {
            return Err(ScopeError { scope: excerpt(&self.to_string()), why: Why::NoRepository });
        }
        Ok(self)
    }

    /// What is asked for, without the class: registries compare the plain type (SC6).
    pub fn into_access(self) -> Access {
        Access {
            resource: Resource { resource_type: self.resource_type, name: self.name },
            actions: self.actions,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.class {
            None => write!(f, "{}:{}:{}", self.resource_type, self.name, self.actions),
            Some(class) => {
                write!(f, "{}({class}):{}:{}", self.resource_type, self.name, self.actions)
            }
        }
    }
}

/// Reads a space-separated list, in the order given; what is malformed, a scope or a word among its actions, is
/// told apart and left out, never a reason to refuse the rest (SC4, T6).
pub fn parse_list(text: &str) -> (Vec<Scope>, Vec<ScopeError>) {
    let mut scopes = Vec::new();
    let mut errors = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match Scope::parse_lenient(word) {
            Ok((scope, left_out)) => {
                scopes.push(scope);
                errors.extend(left_out);
            }
            Err(error) => errors.push(error),
        }
    }
    (scopes, errors)
}

impl FromStr for AccessSet {
    type Err = ScopeError;

    /// Reads a space-separated list of scopes; the first that is malformed is the error.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scopes, mut errors) = parse_list(text);
        if errors.is_empty() {
            Ok(scopes.into_iter().map(Scope::into_access).collect())
        } else {
            Err(errors.swap_remove(0))
        }
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "scope {scope:?} {why}; a scope is `type:name:action,…`, as in `repository:team/app:pull,push`"
)]
pub struct ScopeError {
    scope: String,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Action,
    Name,
    NoColon,
    NoRepository,
    OneColon,
    Type,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Action => "has an action that is neither lower-case letters nor `*`",
            Self::Name => "has a malformed name",
            Self::NoColon => "has no colon",
            Self::NoRepository => {
                "names a repository as no registry can have it: the components of its path are lower-case letters and digits, joined by `.`, `_`, `__` or dashes"
            }
            Self::OneColon => "has one colon, but two are needed",
            Self::Type => "has a type that is not lower-case letters and digits",
        })
    }
}

/// `[a-z0-9]+`
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// `[a-z]*` by the grammar, and `*`, which everybody sends (SC3).
fn is_action(text: &str) -> bool {
    text == "*" || text.bytes().all(|b| b.is_ascii_lowercase())
}

/// `[hostname "/"] component *("/" component)`: what is legal as a host or a component, without
/// saying which; a registry compares names byte by byte, so nothing rests on more than that no
/// separator, wildcard or control character is in it.
fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    text.len() <= MAX_NAME_LENGTH
        && text.split('/').all(|component| {
            component.bytes().all(legal)
                && component.starts_with(|c: char| c.is_ascii_alphanumeric())
        })
}

/// `hostcomponent *("." hostcomponent) [":" port]`
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let ends = |c: char| c.is_ascii_alphanumeric();
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    host.split('.')
        .all(|part| part.starts_with(ends) && part.ends_with(ends) && part.chars().all(legal))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// A repository's 255 characters and a host's 253, a colon, a port and a slash.
const MAX_NAME_LENGTH: usize = 255 + 253 + 7;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_of_real_clients_are_read() {
        // (text, type, class, name, actions)
        let table = [
            ("repository:a/b:pull,push", "repository", None, "a/b", "pull,push"),
            ("repository:host:5000/a/b:pull", "repository", None, "host:5000/a/b", "pull"), // SC2
            ("registry:catalog:*", "registry", None, "catalog", "*"),                       // SC3
            ("repository(plugin):x/y:pull", "repository", Some("plugin"), "x/y", "pull"),   // CH16
            ("repository:a:", "repository", None, "a", ""),                                 // SC1
            ("repository:a:pull,pull,push", "repository", None, "a", "pull,push"),
            ("repository:Host.Example/a:pull", "repository", None, "Host.Example/a", "pull"),
        ];
        for (text, resource_type, class, name, actions) in table {
            let scope = Scope::parse(text).unwrap();
            assert_eq!(&*scope.resource_type, resource_type, "{text}");
            assert_eq!(scope.class.as_deref(), class, "{text}");
            assert_eq!(&*scope.name, name, "{text}");
            assert_eq!(scope.actions.to_string(), actions, "{text}");
        }
    }

    #[test]
    fn what_is_no_scope_is_named() {
        for text in [
            "",
            "repository",
            "repository:a",
            ":a:pull",
            "repository::pull",
            "Repository:a:pull",
            "repository:a:Pull",
            "repository:a/../b:pull",
            "repository:a//b:pull",
            "repository:*:pull",
            "repository(:a:pull",
            "repository():a:pull",
            "repository:a\0:pull",
            "repository:a?:pull",
        ] {
            let error = Scope::parse(text).unwrap_err().to_string();
            assert!(error.contains("`type:name:action,…`"), "{text:?}: {error}");
        }
    }

    /// SC4
    #[test]
    fn a_word_that_is_no_action_takes_no_other_away() {
        let (scope, left_out) =
            Scope::parse_lenient("repository:a:pull,Push,read_all,delete").unwrap();
        assert_eq!(scope.to_string(), "repository:a:pull,delete");
        assert!(left_out.unwrap().to_string().contains("has an action"));
        let (scopes, errors) = parse_list("repository:a:Pull repository:b:pull,x-y");
        let read: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        assert_eq!(read, ["repository:a:", "repository:b:pull"]);
        assert_eq!(errors.len(), 2);
        let (scope, left_out) = Scope::parse_lenient("repository:a:pull,frobnicate").unwrap();
        assert_eq!((scope.to_string().as_str(), left_out), ("repository:a:pull,frobnicate", None));
    }

    #[test]
    fn what_no_registry_can_have_is_named() {
        let held = |text| Scope::parse(text).unwrap().with_valid_name();
        for text in [
            "repository:a/b:pull",
            "repository:Host.Example/a:pull",
            "repository:host:5000/a:pull",
            "registry:catalog:*",
            "elsewhere:Any.Thing:pull",
        ] {
            assert!(held(text).is_ok(), "{text}");
        }
        for text in [
            "repository:A:pull",
            "repository:team/App:pull",
            "repository:host:5000/team/App:pull",
            "repository:host:port/a:pull",
            "repository:host:5000:pull",
            "repository:a-:pull",
            "repository:a..b/c:pull",
            "repository:a/b___c:pull",
        ] {
            let error = held(text).unwrap_err().to_string();
            assert!(error.contains("as no registry can have it"), "{text}: {error}");
        }
    }

    /// SC8, T6
    #[test]
    fn a_list_is_split_at_spaces_and_keeps_what_it_can_read() {
        let (scopes, errors) = parse_list("repository:a:pull  nonsense repository:b:push ");
        assert_eq!(scopes.len(), 2);
        assert_eq!(errors.len(), 1);
        assert_eq!(parse_list(""), (vec![], vec![])); // SC9
    }

    #[test]
    fn the_class_is_stripped_from_what_is_asked() {
        let scope = Scope::parse("repository(plugin):x:pull").unwrap();
        assert_eq!(scope.to_string(), "repository(plugin):x:pull");
        assert_eq!(scope.into_access().to_string(), "repository:x:pull");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_printing_reads_back(text in "\\PC{0,80}") {
            if let Ok(scope) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(&scope.to_string()).unwrap(), scope);
            }
        }

        #[test]
        fn generated_scopes_round_trip(
            text in "[a-z]{1,8}(\\([a-z]{1,4}\\))?:([a-z.]{1,8}:[0-9]{1,5}/)?[a-z0-9]{1,6}(/[a-z0-9]{1,6}){0,3}:([a-z]{1,6}|\\*)(,[a-z]{1,6}){0,2}"
        ) {
            prop_assume!(!text.contains("(("));
            let scope = Scope::parse(&text);
            // A generated host may begin with a dot, which is no host.
            if let Ok(scope) = scope {
                prop_assert_eq!(Scope::parse(&scope.to_string()).unwrap(), scope);
            }
        }
    }
}
