//! What a source says of an account beside its groups.

use std::collections::{BTreeMap, BTreeSet};

/// Named lists of words: `team: [red, blue]`. Compared as text, never as a pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(BTreeMap<Box<str>, BTreeSet<Box<str>>>);

impl Labels {
    /// Adds a value. A name is of letters, digits and `_.-`; a value can be printed on one line.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), LabelError> {
        if !Self::is_name(name) {
            return Err(LabelError::Name);
        }
        let length = value.chars().count();
        if !(1..=MAX_VALUE).contains(&length) || value.chars().any(char::is_control) {
            return Err(LabelError::Value);
        }
        self.0.entry(name.into()).or_default().insert(value.into());
        Ok(())
    }

    /// Whether a label can be called so.
    pub fn is_name(text: &str) -> bool {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(legal)
    }

    /// The values of a label, at least one; `None` where there is no such label.
    pub fn get(&self, name: &str) -> Option<&BTreeSet<Box<str>>> {
        self.0.get(name)
    }

    /// The values of a label, in order; none where there is no such label.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.get(name).into_iter().flatten().map(AsRef::as_ref)
    }

    /// All labels, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<Box<str>>)> {
        self.0.iter().map(|(name, values)| (&**name, values))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A text that can be no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The name.
    #[error("the name of a label has 1 to {MAX_NAME} ASCII letters, digits and `_.-`")]
    Name,
    /// The value.
    #[error("the value of a label has 1 to {MAX_VALUE} characters and no control characters")]
    Value,
}

const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 255;
