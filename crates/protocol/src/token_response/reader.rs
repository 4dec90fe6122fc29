//! Reads what token services answer, good and bad.

use std::{
    collections::HashSet,
    fmt,
    time::{Duration, SystemTime},
};

use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::oddity::TokenOddity;
use crate::error::reported::{Reported, line};

/// A token, and what came with it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedToken {
    /// What to send as `Bearer`: never empty, always fit for a header. `access_token` where both are
    /// there (TG6).
    pub token: String,
    /// As said, in seconds; `None` where it is missing or unreadable.
    pub expires_in: Option<u64>,
    /// By the service's clock.
    pub issued_at: Option<SystemTime>,
    /// What was granted, where it is said.
    pub scope: Option<String>,
    /// For the POST leg; never empty.
    pub refresh_token: Option<String>,
    /// The names of everything in the answer.
    pub keys: Vec<String>,
    /// What is odd about the answer.
    pub oddities: Vec<TokenOddity>,
}

impl fmt::Debug for ReceivedToken {
    /// Everything but the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedToken")
            .field("expires_in", &self.expires_in)
            .field("issued_at", &self.issued_at)
            .field("scope", &self.scope)
            .field("keys", &self.keys)
            .field("oddities", &self.oddities)
            .finish_non_exhaustive()
    }
}

/// Why an answer has no token to send. The sentences say what was there, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenResponseError {
    /// A token, and no object around it.
    #[error(
        "the token service's response is a bare token; it must be a JSON object with the key \"token\""
    )]
    Bare,
    /// The key is there and its value has no characters.
    #[error("the token service's response has an empty {key:?}")]
    Empty {
        /// `token` or `access_token`.
        key: &'static str,
    },
    /// No key that clients look for.
    #[error("the token service's response has no token; {}", Keys(keys))]
    Missing {
        /// What is there instead.
        keys: Vec<String>,
    },
    /// Not JSON at all.
    #[error("the token service's response is {what}, not JSON")]
    NotJson {
        /// `empty`, `text`, `a page for browsers …`.
        what: String,
    },
    /// JSON, but a list or a mere value.
    #[error("the token service's response is {what}, not an object with the key \"token\"")]
    NotObject {
        /// `a list`, `a text`.
        what: &'static str,
    },
    /// The value is no text.
    #[error("the token service's response has a {key:?} that is {what}, not text")]
    NotText {
        /// `token` or `access_token`.
        key: &'static str,
        /// `a number`.
        what: &'static str,
    },
    /// The token has characters that no header may carry.
    #[error("the token service's response has a {key:?} with characters that no header can carry")]
    Unsendable {
        /// `token` or `access_token`.
        key: &'static str,
    },
}

/// Reads the body of a 200. An error's body is for [`Reported::read`].
pub fn read(body: &[u8]) -> Result<ReceivedToken, TokenResponseError> {
    let mut oddities = Vec::new();
    let body = body
        .strip_prefix("\u{feff}".as_bytes())
        .inspect(|_| oddities.push(TokenOddity::ByteOrderMark))
        .unwrap_or(body);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let members = reader.deserialize_map(Members).map_err(|_| not_an_object(body))?;
    if reader.end().is_err() {
        oddities.push(TokenOddity::TrailingText);
    }
    let mut answer = Answer { members, oddities };
    answer.note_keys();
    let token = answer.token()?;
    Ok(ReceivedToken {
        token,
        expires_in: answer.expires_in(),
        issued_at: answer.issued_at(),
        scope: answer.text("scope"),
        refresh_token: answer.text("refresh_token").filter(|secret| !secret.is_empty()),
        keys: answer.keys(),
        oddities: answer.oddities,
    })
}

/// The members in their order, and what was found odd so far.
struct Answer {
    members: Vec<(String, Box<RawValue>)>,
    oddities: Vec<TokenOddity>,
}

/// The keys that are ours to read.
const KNOWN: [&str; 6] =
    ["token", "access_token", "expires_in", "issued_at", "scope", "refresh_token"];

impl Answer {
    /// The value's literal; of several the last, as everybody's decoder does; `null` is none.
    fn literal(&self, key: &str) -> Option<&str> {
        let exact = self.members.iter().rev().find(|(name, _)| name == key);
        let found = exact
            .or_else(|| self.members.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)));
        found.map(|(_, value)| value.get()).filter(|literal| *literal != "null")
    }

    fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.literal(key)?).ok()
    }

    fn keys(&self) -> Vec<String> {
        self.members.iter().map(|(name, _)| line(name)).collect()
    }

    fn note_keys(&mut self) {
        let mut known = HashSet::new();
        for (name, _) in &self.members {
            if KNOWN.iter().any(|known| name != known && name.eq_ignore_ascii_case(known)) {
                self.oddities.push(TokenOddity::KeyCase(name.clone()));
            }
            if !known.insert(name) {
                self.oddities.push(TokenOddity::DuplicateKey(line(name)));
            }
        }
    }

    fn token(&mut self) -> Result<String, TokenResponseError> {
        let access_token = self.one_token("access_token")?;
        let token = self.one_token("token")?;
        for (key, found) in [("token", &token), ("access_token", &access_token)] {
            if found.as_deref() == Some("") {
                self.oddities.push(TokenOddity::EmptyToken(key));
            }
        }
        let full = |found: Option<String>| found.filter(|token| !token.is_empty());
        let empty = [("token", &token), ("access_token", &access_token)]
            .into_iter()
            .find(|(_, found)| found.is_some());
        let empty = empty.map(|(key, _)| key);
        match (full(token), full(access_token)) {
            (Some(token), Some(access_token)) => {
                if token != access_token {
                    self.oddities.push(TokenOddity::TokensDiffer);
                }
                Ok(access_token)
            }
            (Some(token), None) => {
                self.oddities.push(TokenOddity::OnlyToken);
                Ok(token)
            }
            (None, Some(access_token)) => {
                self.oddities.push(TokenOddity::OnlyAccessToken);
                Ok(access_token)
            }
            (None, None) => Err(match empty {
                Some(key) => TokenResponseError::Empty { key },
                None => TokenResponseError::Missing { keys: self.keys() },
            }),
        }
    }

    fn one_token(&self, key: &'static str) -> Result<Option<String>, TokenResponseError> {
        let Some(literal) = self.literal(key) else { return Ok(None) };
        let token: String = serde_json::from_str(literal)
            .map_err(|_| TokenResponseError::NotText { key, what: kind(literal) })?;
        if token.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Some(token))
        } else {
            Err(TokenResponseError::Unsendable { key })
        }
    }

    fn expires_in(&mut self) -> Option<u64> {
        let Some(literal) = self.literal("expires_in") else {
            self.oddities.push(TokenOddity::ExpiresInMissing);
            return None;
        };
        let seconds = if let Ok(seconds) = literal.parse::<u64>() {
            Some(seconds)
        } else {
            let number: Option<f64> = literal.trim_matches('"').trim().parse().ok();
            self.oddities.push(TokenOddity::ExpiresInNotInteger);
            number
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .map(|life| life.as_secs())
        };
        if let Some(short) = seconds.filter(|seconds| *seconds < 60) {
            self.oddities.push(TokenOddity::ExpiresInShort(short));
        }
        seconds
    }

    fn issued_at(&mut self) -> Option<SystemTime> {
        let literal = self.literal("issued_at")?;
        let text: Option<String> = serde_json::from_str(literal).ok();
        let time = match &text {
            Some(text) => text.parse::<jiff::Timestamp>().ok(),
            None => {
                literal.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            }
        };
        if time.is_none() || !text.as_deref().is_some_and(go_reads) {
            self.oddities.push(TokenOddity::IssuedAtUnreadable);
        }
        time.map(SystemTime::from)
    }
}

/// Whether a time that we could read has the one form that Go's decoder takes:
/// `2024-01-02T03:04:05[.6]` and `Z` or `+01:00`.
fn go_reads(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches('0');
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    matches!(rest, "Z" | "+00:00" | "-00:00")
}

/// What a body is that no object could be read from.
fn not_an_object(body: &[u8]) -> TokenResponseError {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if let Ok(value) = serde_json::from_str::<&RawValue>(text) {
        return TokenResponseError::NotObject { what: kind(value.get()) };
    }
    let is_base64url = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if text.split('.').count() == 3 && text.split('.').all(is_base64url) {
        return TokenResponseError::Bare;
    }
    let what = match Reported::read(body) {
        Reported::Nothing => String::from("empty"),
        page @ Reported::Page(_) => page.to_string(),
        // Not shown: it may be a token in a dress of its own.
        Reported::Text(_) | Reported::Errors(_) if text.starts_with('{') => {
            String::from("a broken object")
        }
        Reported::Text(_) | Reported::Errors(_) => String::from("text"),
    };
    TokenResponseError::NotJson { what }
}

/// The kind of a JSON literal.
fn kind(literal: &str) -> &'static str {
    match literal.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// `its keys are "jwt", "status"`
struct Keys<'a>(&'a [String]);

impl fmt::Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        let Some((first, others)) = self.0.split_first() else {
            return f.write_str("it is an empty object");
        };
        write!(f, "its keys are {first:?}")?;
        for key in others.iter().take(SHOWN - 1) {
            write!(f, ", {key:?}")?;
        }
        if self.0.len() > SHOWN { write!(f, " and {} more", self.0.len() - SHOWN) } else { Ok(()) }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
