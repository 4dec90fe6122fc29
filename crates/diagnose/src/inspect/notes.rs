//! What is worth telling about a token before a registry refuses it.

use std::time::{Duration, SystemTime};

use portpass_jose::{
    IdForm, curve_of_base_point,
    json::{Map, Value},
};
use portpass_token::{Claims, verifier::LEEWAY};

use crate::{
    base_point,
    time::{distance, span},
};

/// Above this, proxies on the way begin to refuse the header (T12).
const LONG: usize = 4096;

pub(super) fn header(header: &Map<String, Value>, notes: &mut Vec<String>) {
    let brings_key = ["x5c", "jwk"].iter().any(|name| header.contains_key(*name));
    match header.get("kid").and_then(Value::as_str) {
        None if !brings_key => {
            notes.push("it names no key, so no registry can find its key".to_owned());
        }
        Some(id) if !brings_key => notes.push(known_to(id)),
        _ => {}
    }
}

/// Which registries can find a key by this id.
fn known_to(id: &str) -> String {
    if let Some(curve) = curve_of_base_point(id) {
        let (summary, fix) = (base_point::summary(curve), base_point::FIX);
        return format!("{summary} ({row}): {fix}", row = base_point::ROW);
    }
    match IdForm::of(id) {
        IdForm::Libtrust => "only distribution 2 finds a key by this id; distribution 3 needs an RFC 7638 thumbprint or a certificate chain",
        IdForm::Rfc7638 => "only distribution 3 finds a key by this id; distribution 2 needs a libtrust fingerprint or a certificate chain",
        IdForm::Other => "only a registry with a JWK set that has this key id finds the key",
    }
    .to_owned()
}

pub(super) fn claims(
    claims: &Map<String, Value>,
    read: Option<&Claims>,
    now: SystemTime,
    notes: &mut Vec<String>,
) {
    if claims.get("aud").is_some_and(Value::is_array) {
        notes.push("distribution 2 accepts `aud` only as a string, not as a list".to_owned());
    }
    let Some(read) = read else { return };
    times(read, now, notes);
    if read.access.is_empty() {
        notes
            .push("it grants nothing: you can log in with it, but not use a repository".to_owned());
    }
    for access in read.access.iter().filter(|access| access.actions.is_empty()) {
        notes.push(format!("{} was requested, but no action on it is granted", access.resource));
    }
}

fn times(claims: &Claims, now: SystemTime, notes: &mut Vec<String>) {
    let at = |seconds: i64| {
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        SystemTime::UNIX_EPOCH.checked_add(seconds).unwrap_or(now)
    };
    let (expires, begins) = (at(claims.expires.0), claims.not_before.map(|date| at(date.0)));
    if let Ok(past) = now.duration_since(expires) {
        let still = if past <= LEEWAY { "; registries accept that difference" } else { "" };
        notes.push(format!("it expired {}{still}", distance(expires, now)));
    }
    if let Some(begins) = begins.filter(|begins| *begins > now) {
        notes.push(format!("it becomes valid {}; are both clocks right?", distance(begins, now)));
    }
    let begins = begins.or(claims.issued_at.map(|date| at(date.0)));
    let life = begins.and_then(|begins| expires.duration_since(begins).ok());
    if let Some(short) = life.filter(|life| *life < LEEWAY) {
        notes.push(format!("it lives {}; clients treat less than 60 s as 60 s", span(short)));
    }
}

pub(super) fn length(token: &str, notes: &mut Vec<String>) {
    if token.len() > LONG {
        notes.push(format!("it has {} bytes; proxies may refuse such a long header", token.len()));
    }
}
