//! Looks into a token: what it says, what of it some registry will not like, and, where somebody
//! says whom to trust, whether it holds.

use std::time::{Duration, SystemTime};

use portpass_jose::{
    Compact, Malformed,
    json::{Map, Value},
    unverified::{NamedKey, Unverified},
};
use portpass_protocol::{
    Access, AccessSet,
    printable::on_one_line,
    token_response::{self, TokenResponseError},
};
use portpass_token::Claims;

use crate::time::{date, distance};

mod key;
mod notes;
#[cfg(test)]
mod tests;
mod trust_settings;

pub use self::{
    key::{ChainEntry, KeyIds},
    trust_settings::{Refusal, TrustError, TrustSettings, Trusted},
};

/// A token that has been opened. Nobody has vouched for what it says.
#[derive(Debug)]
pub struct Inspection {
    /// Its header.
    pub header: Map<String, Value>,
    /// Its payload.
    pub claims: Map<String, Value>,
    /// What some registry will refuse or read otherwise, one sentence each.
    pub notes: Vec<String>,
    key: NamedKey,
    read: Option<Claims>,
}

impl Inspection {
    /// Opens a token. One that is no JWT is the error, and says what it is instead.
    pub fn of(token: &str, now: SystemTime) -> Result<Self, Malformed> {
        let opened = Unverified::parse(token)?;
        let claims = opened.claims()?;
        let header = opened.header().clone();
        let read = Claims::from_json(opened.payload());
        let mut notes = Vec::new();
        notes.extend(Compact::parse(token).err().map(|error| error.to_string()));
        notes.extend(read.as_ref().err().map(ToString::to_string));
        let read = read.ok();
        notes::header(&header, &mut notes);
        notes::claims(&claims, read.as_ref(), now, &mut notes);
        notes::length(token, &mut notes);
        let notes = notes.iter().map(|note| line(note)).collect();
        Ok(Self { key: opened.key(), header, claims, notes, read })
    }

    /// What it grants, if its claims are those of a registry token.
    pub fn access(&self) -> Option<&AccessSet> {
        self.read.as_ref().map(|claims| &claims.access)
    }

    /// What it grants, as people read it: resources and their actions.
    pub fn access_rows(&self) -> Vec<(String, String)> {
        let entries = self.access().into_iter().flatten();
        let row = |access: &Access| {
            (line(&access.resource.to_string()), line(&access.actions.to_string()))
        };
        entries.map(row).collect()
    }

    /// Which key it names, in the order in which registries look (VO3), for people.
    pub fn key(&self) -> String {
        line(&self.key.to_string())
    }

    /// Both ids of the key that it names, where the key itself is known: the token brings it, or it is
    /// among those that are trusted.
    pub fn key_ids(&self, trusted: Option<&Trusted>) -> Option<KeyIds> {
        KeyIds::of(&self.key, trusted)
    }

    /// The certificates that it brings, leaf first.
    pub fn chain(&self, now: SystemTime) -> Vec<ChainEntry> {
        self.key.certificates().map(|entry| ChainEntry::of(entry, now)).collect()
    }

    /// Its header without keys, as people read it.
    pub fn header_rows(&self) -> Vec<(String, String)> {
        let plain = |name: &str| !matches!(name, "kid" | "x5c" | "jwk");
        let shown = self.header.iter().filter(|(name, _)| plain(name));
        shown.map(|(name, value)| (line(name), text(value))).collect()
    }

    /// Its claims but `access`, as people read them: times with how far away they are.
    pub fn claim_rows(&self, now: SystemTime) -> Vec<(String, String)> {
        let shown = self.claims.iter().filter(|(name, _)| *name != "access");
        shown.map(|(name, value)| (line(name), claim(name, value, now))).collect()
    }
}

/// Takes the token out of what a token service answered; anything that is no JSON object is taken
/// for the token itself.
pub fn token_in(text: &str) -> Result<String, TokenResponseError> {
    let text = text.trim();
    if text.starts_with('{') {
        return token_response::read(text.as_bytes()).map(|answer| answer.token);
    }
    Ok(text.strip_prefix("Bearer ").unwrap_or(text).trim().to_owned())
}

/// One claim for people.
fn claim(name: &str, value: &Value, now: SystemTime) -> String {
    let seconds = value.as_i64().filter(|_| matches!(name, "exp" | "nbf" | "iat"));
    let time = seconds.and_then(|seconds| {
        let seconds = Duration::from_secs(u64::try_from(seconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    });
    match time {
        Some(time) => format!("{} ({})", date(time), distance(time, now)),
        None => text(value),
    }
}

fn text(value: &Value) -> String {
    line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// What strangers wrote into a token moves no cursor.
fn line(text: &str) -> String {
    on_one_line(text, usize::MAX)
}
