//! One pattern of an entry: a glob or a `/regular expression/`, with placeholders.

use quick_cache::sync::Cache;
use regex::Regex;

use super::{
    effort::{Effort, TooMuch},
    glob,
    go_regex::{self, RegexProblem, Size},
};

/// What a request says, and what a pattern can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Account,
    Type,
    Name,
    Service,
}

impl Field {
    pub(super) const ALL: [Self; 4] = [Self::Account, Self::Type, Self::Name, Self::Service];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Type => "type",
            Self::Name => "name",
            Self::Service => "service",
        }
    }

    /// By its name; before a capture's number the first letter may be a capital one.
    fn of_capture(name: &str) -> Option<Self> {
        let same = |field: &Self| {
            let (wanted, named) = (field.as_str(), name.as_bytes());
            wanted.as_bytes()[1..] == *named.get(1..).unwrap_or_default()
                && named.first().is_some_and(|b| b.to_ascii_lowercase() == wanted.as_bytes()[0])
        };
        Self::ALL.into_iter().find(same)
    }
}

/// A pattern as it was typed, cut at its placeholders.
#[derive(Debug)]
pub(super) struct Pattern {
    text: Box<str>,
    parts: Vec<Part>,
    /// Where there is no placeholder.
    compiled: Option<Matcher>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// `${account}`: what the request says, without its powers.
    Value(Field),
    /// `${account:1}`: what the group took, with its powers.
    Capture {
        field: Field,
        group: usize,
        written: Box<str>,
    },
    /// `${labels:team}`: a value of a label, with its powers.
    Label {
        name: Box<str>,
        written: Box<str>,
    },
}

/// What placeholders stand for.
pub(super) trait Values {
    /// What the request says of it.
    fn value(&self, field: Field) -> &str;
    /// What a group of that field's pattern took; `None` leaves the placeholder as it is.
    fn capture(&self, field: Field, group: usize) -> Option<&str>;
    /// The values of a label.
    fn label(&self, name: &str) -> &[&str];
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternProblem> {
        if text.len() > MAX_LENGTH {
            return Err(PatternProblem::Length);
        }
        let parts = parts(text);
        let is_fixed = parts.iter().all(|part| matches!(part, Part::Text(_)));
        let compiled = match Matcher::new(text, Size::OfConfiguration) {
            Ok(matcher) => is_fixed.then_some(matcher),
            Err(problem) => return Err(PatternProblem::Regex(problem)),
        };
        Ok(Self { text: text.into(), parts, compiled })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The groups that it asks of other patterns, or of itself.
    pub(super) fn captures(&self) -> impl Iterator<Item = Field> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture { field, .. } => Some(*field),
            Part::Text(_) | Part::Value(_) | Part::Label { .. } => None,
        })
    }

    /// What stands between its slashes, if it is a regular expression before anything is put in.
    pub(super) fn expression(&self) -> Option<&str> {
        self.text.strip_prefix('/')?.strip_suffix('/')
    }

    /// Whether it means this text as it stands, without a placeholder.
    pub(super) fn means(&self, text: &str) -> bool {
        self.compiled.as_ref().is_some_and(|matcher| matcher.is_match(text))
    }

    /// Whether it means this text. `${labels:…}` stands for itself at first, and then for every combination of the
    /// values that there are.
    pub(super) fn matches(
        &self,
        text: &str,
        values: &impl Values,
        cache: &RegexCache,
        effort: &mut Effort,
    ) -> Result<bool, TooMuch> {
        if self.matches_plainly(text, values, cache, effort)? {
            return Ok(true);
        }
        let mut labels: Vec<Choice<'_>> = Vec::new();
        for part in &self.parts {
            if let Part::Label { name, .. } = part
                && !labels.iter().any(|known| known.name == &**name)
                && !values.label(name).is_empty()
            {
                labels.push(Choice { name, values: values.label(name), at: 0 });
            }
        }
        if labels.is_empty() {
            return Ok(false);
        }
        loop {
            let filled = self.filled(values, &labels)?;
            if is_match(&filled, text, cache, effort)? {
                return Ok(true);
            }
            if !Choice::next(&mut labels) {
                return Ok(false);
            }
        }
    }

    /// As [`Self::matches`], but a `${labels:…}` only ever stands for itself.
    pub(super) fn matches_plainly(
        &self,
        text: &str,
        values: &impl Values,
        cache: &RegexCache,
        effort: &mut Effort,
    ) -> Result<bool, TooMuch> {
        match &self.compiled {
            Some(matcher) => Ok(matcher.is_match(text)),
            None => is_match(&self.filled(values, &[])?, text, cache, effort),
        }
    }

    fn filled(&self, values: &impl Values, labels: &[Choice<'_>]) -> Result<String, TooMuch> {
        let mut filled = String::with_capacity(self.text.len() * 2);
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value(field) => filled.push_str(&quoted(values.value(*field))),
                Part::Capture { field, group, written } => {
                    filled.push_str(values.capture(*field, *group).unwrap_or(written));
                }
                Part::Label { name, written } => {
                    let chosen = labels.iter().find(|label| label.name == &**name);
                    filled.push_str(chosen.map_or(written, |label| label.values[label.at]));
                }
            }
        }
        if filled.len() > MAX_LENGTH { Err(TooMuch) } else { Ok(filled) }
    }
}

/// One label of a pattern, and which of its values is meant now.
struct Choice<'a> {
    name: &'a str,
    values: &'a [&'a str],
    at: usize,
}

impl Choice<'_> {
    /// Goes on to the next combination; `false` after the last.
    fn next(choices: &mut [Self]) -> bool {
        for choice in choices {
            choice.at += 1;
            if choice.at < choice.values.len() {
                return true;
            }
            choice.at = 0;
        }
        false
    }
}

/// Cuts a pattern at its placeholders; what only looks like one is text.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut rest, mut plain) = (text, String::new());
    while let Some(at) = rest.find("${") {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(end) = rest.find('}')
            && let Some(placeholder) = placeholder(&rest[..=end])
        {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(placeholder);
            rest = &rest[end + 1..];
        } else {
            plain.push_str("${");
            rest = &rest[2..];
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain.into()));
    }
    parts
}

fn placeholder(written: &str) -> Option<Part> {
    let inner = written.strip_prefix("${")?.strip_suffix('}')?;
    if let Some(field) = Field::ALL.into_iter().find(|field| field.as_str() == inner) {
        return Some(Part::Value(field));
    }
    let (before, after) = inner.split_once(':')?;
    if before == "labels" {
        return Some(Part::Label { name: after.into(), written: written.into() });
    }
    let field = Field::of_capture(before)?;
    let is_number = !after.is_empty() && after.bytes().all(|b| b.is_ascii_digit());
    let group = is_number.then(|| after.parse().unwrap_or(usize::MAX))?;
    Some(Part::Capture { field, group, written: written.into() })
}

/// As Go's `regexp.QuoteMeta`, which serves globs as well: a back-slash quotes in both.
fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for character in value.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// A pattern without placeholders.
#[derive(Debug, Clone)]
enum Matcher {
    Literal(Box<str>),
    Glob(Box<str>),
    Regex(Regex),
}

impl Matcher {
    fn new(pattern: &str, size: Size) -> Result<Self, RegexProblem> {
        Ok(match expression(pattern) {
            Some(expression) => Self::Regex(go_regex::compile(expression, size)?),
            None if glob::is_literal(pattern) => Self::Literal(pattern.into()),
            None => Self::Glob(pattern.into()),
        })
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => **literal == *text,
            Self::Glob(pattern) => glob::matches(pattern, text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// What stands between two slashes; nothing between them is a glob of two slashes.
fn expression(pattern: &str) -> Option<&str> {
    let inner = pattern.strip_prefix('/')?.strip_suffix('/')?;
    (!inner.is_empty()).then_some(inner)
}

/// Matches a pattern that a request had a part in.
fn is_match(
    pattern: &str,
    text: &str,
    cache: &RegexCache,
    effort: &mut Effort,
) -> Result<bool, TooMuch> {
    match expression(pattern) {
        None => {
            effort.spend_on_glob(pattern, text)?;
            Ok(glob::matches(pattern, text))
        }
        Some(expression) => {
            effort.spend_on_regex()?;
            cache.is_match(expression, text)
        }
    }
}

/// The regular expressions that requests made last.
#[derive(Debug)]
pub(super) struct RegexCache(Cache<Box<str>, Compiled>);

#[derive(Debug, Clone)]
enum Compiled {
    Regex(Regex),
    /// docker_auth takes it for one that never matches.
    Broken,
    TooBig,
}

impl RegexCache {
    pub(super) fn new() -> Self {
        Self(Cache::new(CACHED))
    }

    fn is_match(&self, expression: &str, text: &str) -> Result<bool, TooMuch> {
        let compiled = self.0.get(expression).unwrap_or_else(|| {
            let compiled = match go_regex::compile(expression, Size::OfRequest) {
                Ok(regex) => Compiled::Regex(regex),
                Err(RegexProblem::TooBig) => Compiled::TooBig,
                Err(_) => Compiled::Broken,
            };
            self.0.insert(expression.into(), compiled.clone());
            compiled
        });
        match compiled {
            Compiled::Regex(regex) => Ok(regex.is_match(text)),
            Compiled::Broken => Ok(false),
            Compiled::TooBig => Err(TooMuch),
        }
    }
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// It is too long.
    #[error("a pattern has at most {MAX_LENGTH} bytes")]
    Length,
    /// What stands between its slashes makes no sense.
    #[error("{0}")]
    Regex(RegexProblem),
}

/// A name has at most 515 bytes and a label 255 characters.
const MAX_LENGTH: usize = 4096;
const CACHED: usize = 256;
