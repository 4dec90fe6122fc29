//! Globs over the segments of a path, and over one word: which repositories a rule means.
//!
//! A path is cut at its slashes first; every piece of a pattern then sees one segment alone. What
//! stands for `${account}`, `${group}` or `${label:NAME}` is compared as text, never read as a pattern, so neither a
//! `/` nor a `*` in a foreign name can widen a rule.

use std::fmt;

mod compare;
mod fixed;
mod labels;
mod partition;
#[cfg(test)]
mod tests;

pub use self::{
    fixed::FixedPatternError,
    labels::{LabelError, Labels},
    partition::{Part, Tangled, partition},
};

/// Which repositories a rule is about: `public/**`, `team/*/app`, `${account}/**`.
///
/// `*` is any run of characters and `?` any one of a segment; `**` is a segment of its own and
/// crosses slashes: at the end one segment or more (`public/**` is not `public`), elsewhere none or
/// more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: Box<str>,
    segments: Vec<Segment>,
    placeholders: Vec<Placeholder>,
    literal_beginning: Box<str>,
    /// How many segments stand before the first `**`.
    shallow: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// None or more segments.
    Deep,
    Word(WordPattern),
    /// The caller's name or one of its groups, between two literal texts.
    Named {
        before: Box<str>,
        placeholder: Placeholder,
        after: Box<str>,
    },
}

/// What a rule leaves open until it knows the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// `${account}`
    Account,
    /// `${group}`
    Group,
    /// `${label:NAME}`
    Label(Box<str>),
}

impl Placeholder {
    /// Reads what stands between the braces.
    fn parse(name: &str) -> Result<Self, PatternError> {
        match name.strip_prefix("label:") {
            Some(label) if Labels::is_name(label) => Ok(Self::Label(label.into())),
            Some(label) => Err(PatternError::Label { name: label.into() }),
            None if name == "account" => Ok(Self::Account),
            None if name == "group" => Ok(Self::Group),
            None => Err(PatternError::Placeholder { name: name.into() }),
        }
    }

    /// Whether the caller can have several values for it.
    fn has_values(&self) -> bool {
        match self {
            Self::Account => false,
            Self::Group | Self::Label(_) => true,
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("${account}"),
            Self::Group => f.write_str("${group}"),
            Self::Label(name) => write!(f, "${{label:{name}}}"),
        }
    }
}

impl PathPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut segments = Vec::new();
        for segment in text.split('/') {
            match Segment::parse(segment)? {
                Segment::Deep if segments.last() == Some(&Segment::Deep) => {}
                segment => segments.push(segment),
            }
        }
        if segments.last() == Some(&Segment::Deep) {
            let last = segments.len() - 1;
            segments.insert(last, Segment::Word(WordPattern::anything()));
        }
        Self::from_segments(text, segments)
    }

    fn from_segments(text: &str, segments: Vec<Segment>) -> Result<Self, PatternError> {
        let placeholders = placeholders(&segments)?;
        let literals = segments.iter().map_while(Segment::literal).collect::<Vec<_>>();
        let literal_beginning = literals.join("/").into();
        let shallow = segments.iter().take_while(|segment| **segment != Segment::Deep).count();
        Ok(Self { text: text.into(), segments, placeholders, literal_beginning, shallow })
    }

    /// Whether the path, cut at its slashes, is one of those meant; `stands_for` says whether a placeholder
    /// can stand for a text, which is never empty.
    pub fn matches(&self, path: &[&str], stands_for: impl Fn(&Placeholder, &str) -> bool) -> bool {
        // Most patterns already differ in a plain word, which is cheaper to see than what a placeholder can stand for.
        if !self.words_fit(path) {
            return false;
        }
        walk(&self.segments, path, |segment, text| match segment {
            Segment::Deep => Step::Many,
            segment if segment.matches(text, &stands_for) => Step::Yes,
            _ => Step::No,
        })
    }

    /// Whether the path has the plain words that the pattern has before the first `**` and after the last.
    fn words_fit(&self, path: &[&str]) -> bool {
        let fits =
            |(segment, text): (&Segment, &&str)| segment.literal().is_none_or(|word| word == *text);
        let is_deep = self.shallow < self.segments.len();
        let has_length =
            if is_deep { self.shallow <= path.len() } else { self.shallow == path.len() };
        let behind = self.segments.iter().rev().zip(path.iter().rev());
        has_length
            && behind.take_while(|(segment, _)| **segment != Segment::Deep).all(fits)
            && self.segments[..self.shallow].iter().zip(path).all(fits)
    }

    /// What the last segment must be, where it is a plain word.
    pub fn last_literal(&self) -> Option<&str> {
        self.segments.last().and_then(Segment::literal)
    }

    /// Whether it means the repository of this name, whoever asks.
    pub fn means(&self, repository: &str) -> bool {
        let path: Vec<&str> = repository.split('/').collect();
        self.matches(&path, |_, _| false)
    }

    /// Whether it means other repositories for each caller.
    pub fn has_placeholders(&self) -> bool {
        !self.placeholders.is_empty()
    }

    /// How many segments from the left fit before the first that does not.
    pub fn common_prefix(
        &self,
        path: &[&str],
        stands_for: impl Fn(&Placeholder, &str) -> bool,
    ) -> usize {
        self.segments
            .iter()
            .zip(path)
            .take_while(|(segment, text)| segment.matches(text, &stands_for))
            .count()
    }

    /// The first segment, where it is a plain word: only paths that begin so can match.
    pub fn first_literal(&self) -> Option<&str> {
        self.segments.first().and_then(Segment::literal)
    }

    /// What stands before and after `${account}` in the first segment, where it is there.
    pub fn first_around_account(&self) -> Option<(&str, &str)> {
        match self.segments.first()? {
            Segment::Named { before, placeholder: Placeholder::Account, after } => {
                Some((before, after))
            }
            Segment::Deep | Segment::Word(_) | Segment::Named { .. } => None,
        }
    }

    /// A letter that keeps it from matching: registries take lower-case names alone.
    pub fn upper_case(&self) -> Option<char> {
        let written = |segment: &Segment| match segment {
            Segment::Deep => String::new(),
            Segment::Word(word) => word.text.to_string(),
            Segment::Named { before, after, .. } => format!("{before}{after}"),
        };
        let upper = |text: String| text.chars().find(char::is_ascii_uppercase);
        self.segments.iter().map(written).find_map(upper)
    }

    /// The plain words that it begins with, up to the first segment that is none: `team/app` for
    /// `team/app/*/x`.
    pub fn literal_beginning(&self) -> &str {
        &self.literal_beginning
    }

    /// Whether it means every repository.
    pub fn is_everything(&self) -> bool {
        &*self.text == "**"
    }

    /// What of it depends on the caller.
    pub fn placeholders(&self) -> &[Placeholder] {
        &self.placeholders
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::EmptySegment);
        }
        if text == "**" {
            return Ok(Self::Deep);
        }
        if text.contains("**") {
            return Err(PatternError::DeepWithin { segment: text.into() });
        }
        let Some((before, rest)) = text.split_once("${") else {
            return Ok(Self::Word(WordPattern::parse_path_segment(text)?));
        };
        let (name, after) = rest.split_once('}').ok_or_else(|| PatternError::unclosed(text))?;
        let placeholder = Placeholder::parse(name)?;
        let plain =
            |text: &str| WordPattern::parse_path_segment(text).is_ok_and(|w| w.literal().is_some());
        if [before, after].iter().all(|text| text.is_empty() || plain(text)) {
            Ok(Self::Named { before: before.into(), placeholder, after: after.into() })
        } else {
            Err(PatternError::Crowded { segment: text.into() })
        }
    }

    fn literal(&self) -> Option<&str> {
        match self {
            Self::Word(word) => word.literal(),
            Self::Deep | Self::Named { .. } => None,
        }
    }

    fn placeholder(&self) -> Option<&Placeholder> {
        match self {
            Self::Named { placeholder, .. } => Some(placeholder),
            Self::Deep | Self::Word(_) => None,
        }
    }

    fn matches(&self, text: &str, stands_for: impl Fn(&Placeholder, &str) -> bool) -> bool {
        match self {
            Self::Deep => true,
            Self::Word(word) => word.matches(text) && !text.is_empty(),
            Self::Named { before, placeholder, after } => {
                let inner = text.strip_prefix(&**before).and_then(|t| t.strip_suffix(&**after));
                inner.is_some_and(|inner| !inner.is_empty() && stands_for(placeholder, inner))
            }
        }
    }
}

/// One of several values would have to stand for the same in both places, and a walk from left to right
/// cannot know for which.
fn placeholders(segments: &[Segment]) -> Result<Vec<Placeholder>, PatternError> {
    let mut found: Vec<Placeholder> = Vec::new();
    for placeholder in segments.iter().filter_map(Segment::placeholder) {
        match found.contains(placeholder) {
            true if placeholder.has_values() => {
                return Err(PatternError::Repeated { placeholder: placeholder.clone() });
            }
            true => {}
            false => found.push(placeholder.clone()),
        }
    }
    Ok(found)
}

/// A glob over one word: `*` is any run of characters, `?` is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordPattern {
    text: Box<str>,
    kind: WordKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WordKind {
    /// No wildcard in it.
    Literal,
    /// `*` alone.
    Anything,
    Glob,
}

impl WordPattern {
    /// Any word; every other character than `*` and `?` is itself.
    pub fn new(text: &str) -> Self {
        let kind = match text {
            "*" => WordKind::Anything,
            text if text.contains(['*', '?']) => WordKind::Glob,
            _ => WordKind::Literal,
        };
        Self { text: text.into(), kind }
    }

    /// What every word matches.
    fn anything() -> Self {
        Self::new("*")
    }

    /// Part of a path: what a repository's name, a host or a wildcard can hold.
    fn parse_path_segment(text: &str) -> Result<Self, PatternError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-:*?".contains(c);
        match text.chars().find(|c| !legal(*c)) {
            None => Ok(Self::new(text)),
            Some(character) => Err(PatternError::Character { character }),
        }
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The word, where it has no wildcard.
    pub fn literal(&self) -> Option<&str> {
        (self.kind == WordKind::Literal).then_some(&*self.text)
    }

    /// Whether the word is one of those meant.
    pub fn matches(&self, word: &str) -> bool {
        match self.kind {
            WordKind::Literal => *self.text == *word,
            WordKind::Anything => true,
            WordKind::Glob => self.matches_characters(word),
        }
    }

    fn matches_characters(&self, word: &str) -> bool {
        let beginning = self.text.split(['*', '?']).next().unwrap_or_default();
        if !word.starts_with(beginning) {
            return false;
        }
        let characters = |text: &str| text.chars().collect::<Vec<char>>();
        walk(&characters(&self.text), &characters(word), |pattern, character| match pattern {
            '*' => Step::Many,
            '?' => Step::Yes,
            pattern if pattern == character => Step::Yes,
            _ => Step::No,
        })
    }
}

impl fmt::Display for WordPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What one element of a pattern says of one element of a text.
#[derive(PartialEq, Eq)]
enum Step {
    Yes,
    No,
    /// The element of the pattern takes any number of elements.
    Many,
}

/// Matches a pattern with wildcards in time proportional to the product of both lengths: on a
/// mismatch only the last wildcard takes one more, since an earlier one could gain nothing by it.
fn walk<P, T>(pattern: &[P], text: &[T], step: impl Fn(&P, &T) -> Step) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(element) = text.get(t) {
        match pattern.get(p).map(|wanted| step(wanted, element)) {
            Some(Step::Many) => {
                retry = Some((p, t));
                p += 1;
            }
            Some(Step::Yes) => {
                p += 1;
                t += 1;
            }
            Some(Step::No) | None => match &mut retry {
                Some((wildcard, from)) => {
                    *from += 1;
                    p = *wildcard + 1;
                    t = *from;
                }
                None => return false,
            },
        }
    }
    // What is left of the pattern must be able to match nothing at all. Any element of the text
    // will do to ask whether it is a wildcard; without one there is nothing to match.
    text.last().is_some_and(|any| pattern[p..].iter().all(|rest| step(rest, any) == Step::Many))
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It holds a character that no repository name has.
    #[error(
        "{character:?} is not allowed in a repository's name; patterns support `*`, `?`, `**`, `${{account}}`, `${{group}}` and `${{label:NAME}}`"
    )]
    Character {
        /// The first of them.
        character: char,
    },
    /// A placeholder shares its segment with a wildcard or another placeholder.
    #[error(
        "`{segment}` mixes a placeholder with a wildcard or another placeholder, so one name could match the repositories of another; use the placeholder alone or beside plain text"
    )]
    Crowded {
        /// The segment.
        segment: Box<str>,
    },
    /// `**` shares its segment.
    #[error("`**` must be a whole segment, as in `team/**`; in `{segment}` use `*`")]
    DeepWithin {
        /// The segment.
        segment: Box<str>,
    },
    /// Nothing stands between two slashes, or at an end.
    #[error("a segment is empty; write the pattern without a leading, trailing or double `/`")]
    EmptySegment,
    /// No label can be called so.
    #[error(
        "`${{label:{name}}}` names no label: the name has 1 to 64 ASCII letters, digits and `_.-`"
    )]
    Label {
        /// What stands behind the colon.
        name: Box<str>,
    },
    /// A placeholder with several values is there twice.
    #[error("`{placeholder}` is there twice, and the caller may have several; write it once")]
    Repeated {
        /// Which.
        placeholder: Placeholder,
    },
    /// A placeholder that does not exist.
    #[error(
        "there is no `${{{name}}}`; there are `${{account}}`, `${{group}}` and `${{label:NAME}}`"
    )]
    Placeholder {
        /// What stands between the braces.
        name: Box<str>,
    },
    /// `${` without `}`.
    #[error("`{segment}` has a `${{` that no `}}` closes")]
    Unclosed {
        /// The segment.
        segment: Box<str>,
    },
}

impl PatternError {
    fn unclosed(segment: &str) -> Self {
        Self::Unclosed { segment: segment.into() }
    }
}
