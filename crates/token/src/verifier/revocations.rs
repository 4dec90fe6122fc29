//! Tokens that are over before their time, by whom they are for.

use std::collections::HashMap;

use super::Invalid;
use crate::{Claims, NumericDate};

/// For some subjects, from when on their tokens count. Those that were issued before are over.
///
/// A token without `iat` cannot show that it is newer, and is over too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations(HashMap<Box<str>, NumericDate>);

impl Revocations {
    /// Nobody's tokens.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether it is nobody's tokens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of how many subjects.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn check(&self, claims: &Claims) -> Result<(), Invalid> {
        match self.0.get(claims.subject.as_str()) {
            Some(from) if claims.issued_at.is_none_or(|issued| issued < *from) => {
                Err(Invalid::Revoked { issued: claims.issued_at, from: *from })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl<S: Into<Box<str>>> FromIterator<(S, NumericDate)> for Revocations {
    /// Subjects, and the first second whose tokens count. Of two for one subject the later counts.
    fn from_iter<I: IntoIterator<Item = (S, NumericDate)>>(list: I) -> Self {
        let mut all = HashMap::new();
        for (subject, from) in list {
            let known = all.entry(subject.into()).or_insert(from);
            *known = from.max(*known);
        }
        Self(all)
    }
}
