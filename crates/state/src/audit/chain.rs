//! What holds the rows of the trail together: each has a hash of itself and of the hash before it.
//!
//! What is hashed is text that any language can put together: the name of the form, then each field as its
//! length in bytes, a colon, its bytes and a comma, or `-,` where it is absent.
//!
//! ```text
//! portpass-audit-v1,64:9f86…0a08,2:57,13:1795686923121,13:account-added,-,3:ann,-,-,21:{"by":"command line"},
//!                   │            │    │                │                │ │     │ │ └ detail, as it is kept
//!                   │            │    │                │                │ │     │ └ request
//!                   │            │    │                │                │ │     └ address
//!                   │            │    │                │                │ └ object
//!                   │            │    │                │                └ actor
//!                   │            │    └ milliseconds since 1970         └ action, before it
//!                   │            └ its place in the trail
//!                   └ the hash of the row before it, in hexadecimal; absent for the first
//! ```

use std::{fmt, str::FromStr};

use portpass_protocol::Digest;

use crate::{StateError, sql::Value};

/// SHA-256 of a row and of the [`RowHash`] before it. Whoever knows one knows that nothing up to there has
/// been changed for as long as the trail still leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowHash([u8; 32]);

impl RowHash {
    /// As it stands in a column.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, StateError> {
        let bytes = bytes.try_into();
        bytes.map(Self).map_err(|_| StateError::inconsistent("hash", "not 32 bytes"))
    }
}

impl fmt::Display for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest::Sha256(self.0).hex())
    }
}

impl FromStr for RowHash {
    type Err = RowHashError;

    fn from_str(text: &str) -> Result<Self, RowHashError> {
        match format!("sha256:{text}").parse() {
            Ok(Digest::Sha256(bytes)) => Ok(Self(bytes)),
            _ => Err(RowHashError),
        }
    }
}

/// A text that is no [`RowHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash of the audit trail has 64 hexadecimal digits in lower case")]
pub struct RowHashError;

impl From<Option<RowHash>> for Value {
    fn from(hash: Option<RowHash>) -> Self {
        Self::Bytes(hash.map(|hash| hash.0.to_vec()))
    }
}

/// A row, as it is kept and as it is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) sequence: i64,
    /// In milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) action: String,
    pub(crate) actor: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) detail: String,
}

impl Fields {
    /// Its hash behind another row.
    pub(crate) fn hash(&self, previous: Option<RowHash>) -> RowHash {
        let previous = previous.map(|hash| hash.to_string());
        let (sequence, at) = (self.sequence.to_string(), self.at.to_string());
        let fields = [
            previous.as_deref(),
            Some(&*sequence),
            Some(&*at),
            Some(&*self.action),
            self.actor.as_deref(),
            self.object.as_deref(),
            self.address.as_deref(),
            self.request.as_deref(),
            Some(&*self.detail),
        ];
        let mut text = String::with_capacity(self.length() + 192);
        text.push_str(FORM);
        for field in fields {
            match field {
                Some(field) => {
                    text.push_str(&field.len().to_string());
                    text.push(':');
                    text.push_str(field);
                }
                None => text.push('-'),
            }
            text.push(',');
        }
        RowHash(sha256(text.as_bytes()))
    }

    /// What it takes of the trail's room: never less than in the database, whose pages are not full to their
    /// end. A page that was left has no room for the row behind it, so no more of it is empty than that row
    /// is long.
    pub(crate) fn room(&self) -> u64 {
        let row = self.length() + ROW;
        let room = if row <= SMALL { row + row / 3 } else { 2 * row };
        (room + INDEXED) as u64
    }

    /// Of its texts, in bytes.
    fn length(&self) -> usize {
        let options = [&self.actor, &self.object, &self.address, &self.request];
        let options: usize = options.into_iter().flatten().map(String::len).sum();
        self.action.len() + options + self.detail.len()
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    match Digest::sha256(bytes) {
        Digest::Sha256(hash) => hash,
        Digest::Sha512(_) => unreachable!("asked for the other"),
    }
}

/// The form of what is hashed; another one gets another name.
const FORM: &str = "portpass-audit-v1,";
/// The numbers of a row, its hash, and what the database adds.
const ROW: usize = 80;
/// A quarter of a page.
const SMALL: usize = 1000;
/// Its place in the index of times.
const INDEXED: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Fields {
        Fields {
            sequence: 57,
            at: 1_795_686_923_121,
            action: "account-added".to_owned(),
            actor: None,
            object: Some("änn".to_owned()),
            address: None,
            request: None,
            detail: r#"{"by":"command line"}"#.to_owned(),
        }
    }

    /// Computed by hand (`printf … | sha256sum`): what is hashed must never change under this name.
    #[test]
    fn what_is_hashed_is_what_the_documentation_says() {
        let first = row().hash(None);
        let text = "portpass-audit-v1,-,2:57,13:1795686923121,13:account-added,-,4:änn,-,-,21:{\"by\":\"command line\"},";
        assert_eq!(first, RowHash(sha256(text.as_bytes())));
        assert_eq!(first.to_string(), FIRST);
        let second = Fields { sequence: 58, ..row() }.hash(Some(first));
        let text = format!(
            "portpass-audit-v1,64:{FIRST},2:58,13:1795686923121,13:account-added,-,4:änn,-,-,21:{{\"by\":\"command line\"}},"
        );
        assert_eq!(second, RowHash(sha256(text.as_bytes())));
    }

    #[test]
    fn every_field_and_where_it_stands_counts() {
        let of = |change: fn(&mut Fields)| {
            let mut row = row();
            change(&mut row);
            row.hash(None)
        };
        let all = [
            of(|_| {}),
            of(|row| row.sequence = 5),
            of(|row| row.at += 1),
            of(|row| row.action.push('x')),
            of(|row| row.actor = Some(String::new())),
            of(|row| row.actor = row.object.take()),
            of(|row| row.object = Some("ann,-".to_owned())),
            of(|row| row.address = Some("-".to_owned())),
            of(|row| row.request = Some("-".to_owned())),
            of(|row| row.detail.push(' ')),
            row().hash(Some(row().hash(None))),
        ];
        for (index, hash) in all.iter().enumerate() {
            assert!(!all[..index].contains(hash), "{index}");
        }
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        assert_eq!(FIRST.parse::<RowHash>().unwrap().to_string(), FIRST);
        for text in
            ["", "abc", &FIRST.to_uppercase(), &format!("{FIRST}0"), &format!(" {}", &FIRST[1..])]
        {
            assert_eq!(text.parse::<RowHash>(), Err(RowHashError), "{text}");
        }
    }

    const FIRST: &str = "658904d6964f5a26ae4ce83ca44de0726dc42b46523c8e688a40a1c3d15ce630";
}
