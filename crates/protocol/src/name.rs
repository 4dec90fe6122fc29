//! Repository names, tags and references: what stands between `/v2/` and the last word of a path.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    access::{Access, Action},
    digest::{Digest, DigestError},
    printable::excerpt,
};

/// A repository's name as the OCI distribution specification writes it ("Pulling manifests"):
/// lower-case components joined by `/`, at most 255 characters in all.
///
/// A host prefix (`registry.example.com:5000/a/b`) is not part of a name here and is refused:
/// its dots are legal, its colon and upper case are not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The name as it stands in a path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `repository:NAME:pull`
    pub fn pull(&self) -> Access {
        Access::repository(&self.0, [Action::Pull])
    }

    /// `repository:NAME:pull,push`: every write needs both (AR1).
    pub fn pull_push(&self) -> Access {
        Access::repository(&self.0, [Action::Pull, Action::Push])
    }

    /// `repository:NAME:delete`
    pub fn delete(&self) -> Access {
        Access::repository(&self.0, [Action::Delete])
    }

    /// The components between the slashes, at least one.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong { length: text.len() });
        }
        for component in text.split('/') {
            check_component(component)?;
        }
        Ok(Self(text.into()))
    }
}

impl RepositoryName {
    /// Characters a name may have at most (as distribution and docker; OC28).
    pub const MAX_LENGTH: usize = 255;
}

impl TryFrom<String> for RepositoryName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositoryName({})", self.0)
    }
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Arc<str>);

impl Tag {
    /// Characters a tag may have at most.
    pub const MAX_LENGTH: usize = 128;

    /// The tag as it stands in a path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let well_formed = !text.is_empty()
            && text.len() <= Self::MAX_LENGTH
            && text.bytes().all(legal)
            && !text.starts_with(['.', '-']);
        if well_formed { Ok(Self(text.into())) } else { Err(NameError::Tag { tag: excerpt(text) }) }
    }
}

impl TryFrom<String> for Tag {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0.as_ref().to_owned()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

/// What the last word of `/v2/NAME/manifests/REFERENCE` may be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `algorithm:hex`
    Digest(Digest),
    /// Anything without a colon.
    Tag(Tag),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// A colon makes it a digest, for no tag has one; a broken digest is an error and never a tag (OC6).
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

/// Why a text is no repository name or tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// One component between slashes is not `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
    #[error(
        "repository name component {component:?} must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes"
    )]
    Component {
        /// The component, shortened.
        component: String,
    },
    /// More than [`RepositoryName::MAX_LENGTH`] characters.
    #[error(
        "a repository name of {length} characters is longer than {}",
        RepositoryName::MAX_LENGTH
    )]
    TooLong {
        /// In bytes; a legal name has only ASCII.
        length: usize,
    },
    /// Not a tag.
    #[error(
        "tag {tag:?} must be 1 to {} letters, digits, `_`, `.` and `-`, and begin with none of the last two",
        Tag::MAX_LENGTH
    )]
    Tag {
        /// The text, shortened.
        tag: String,
    },
}

/// Why the last word of a path is neither a tag nor a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It has a colon, so it had to be a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// It has none, so it had to be a tag.
    #[error(transparent)]
    Tag(#[from] NameError),
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn check_component(component: &str) -> Result<(), NameError> {
    let separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let only_legal_separators = separators
        .filter(|between| !between.is_empty())
        .all(|between| matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-'));
    let ends = |at: Option<char>| at.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if only_legal_separators
        && ends(component.chars().next())
        && ends(component.chars().next_back())
    {
        Ok(())
    } else {
        Err(NameError::Component { component: excerpt(component) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn legal_names_are_taken_as_they_are() {
        for name in ["a", "library/alpine", "a.b/c_d/e__f/g-h/i---j", "0/1", "x/tags/list"] {
            assert_eq!(name.parse::<RepositoryName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        let long = "a".repeat(256);
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a/B",
            "a..b",
            "a._b",
            "a___b",
            "-a",
            "a-",
            "a/.",
            "..",
            "a/../b",
            "host:5000/a",
            "a b",
            "a\0b",
            "é",
            "a%2Fb",
            &long,
        ] {
            assert!(name.parse::<RepositoryName>().is_err(), "{name:?} must be refused");
        }
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
    }

    #[test]
    fn tags_follow_their_grammar() {
        for tag in ["latest", "_x", "3.20", "A-b.c_d", &"a".repeat(128)] {
            assert_eq!(tag.parse::<Tag>().unwrap().as_str(), tag);
        }
        for tag in ["", ".a", "-a", "a b", "a/b", "é", &"a".repeat(129)] {
            assert!(tag.parse::<Tag>().is_err(), "{tag:?} must be refused");
        }
    }

    /// OC6: distribution takes these for tags and answers 500 with a storage path.
    #[test]
    fn a_broken_digest_is_not_a_tag() {
        for text in ["sha256:abc", "sha256:", ":", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            let error = text.parse::<Reference>().unwrap_err();
            assert!(matches!(error, ReferenceError::Digest(_)), "{text}: {error}");
        }
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in "\\PC{0,300}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert_eq!(name.as_str(), &text);
            }
            if let Ok(tag) = text.parse::<Tag>() {
                prop_assert_eq!(tag.as_str(), &text);
            }
        }

        #[test]
        fn generated_names_are_legal(
            name in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}(/[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}){0,3}"
        ) {
            prop_assert!(name.parse::<RepositoryName>().is_ok());
        }
    }
}
