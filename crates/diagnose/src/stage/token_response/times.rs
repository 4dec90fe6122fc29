//! How long the token lives, and since when.

use std::time::{Duration, SystemTime};

use portpass_protocol::{challenge::KnownClient, token_response::TokenOddity};
use serde_json::Value;

use super::{Answer, Faults};
use crate::{Check, observations::Decoded, run::Run};

/// By how much `expires_in` may differ from the token's own life.
const TOLERANCE: u64 = 30;
/// By how much `issued_at` may differ from the service's own clock.
const DRIFT: Duration = Duration::from_mins(1);

/// RESP-05 (F61, F63)
pub(super) fn life(run: &mut Run, all: &[Answer]) {
    let mut faults = Faults::default();
    for answer in all {
        let Some(token) = answer.token() else { continue };
        for oddity in &token.oddities {
            let what = format!("{oddity} ({})", answer.what);
            match oddity {
                TokenOddity::ExpiresInNotInteger => {
                    faults.fail(what, oddity.breaks(), Some("F61"));
                }
                TokenOddity::ExpiresInShort(_) => faults.fail(what, oddity.breaks(), Some("F63")),
                TokenOddity::ExpiresInMissing => faults.doubt(what, oddity.breaks(), Some("F63")),
                _ => {}
            }
        }
        let claims = Decoded::of(&token.token).map(|opened| opened.claims);
        let lives = claims.as_ref().and_then(|claims| lifetime(claims, answer.response.at));
        if let (Some(said), Some(lives)) = (token.expires_in, lives) {
            let what = format!(
                "\"expires_in\" is {said} s, but the token lives {lives} s ({})",
                answer.what
            );
            if said > lives.saturating_add(TOLERANCE) {
                faults.fail(
                    what,
                    &[
                        KnownClient::Docker,
                        KnownClient::Containerd,
                        KnownClient::Podman,
                        KnownClient::Regclient,
                    ],
                    Some("F63"),
                );
            } else if lives > said.saturating_add(TOLERANCE) {
                faults.doubt(what, &[], Some("F63"));
            }
        }
    }
    run.record(faults.finding(
        Check::Resp05,
        "`expires_in` is an integer, and matches the token's lifetime",
        "write `expires_in` as a JSON integer of 60 or more, without quotes or a decimal point: the seconds from now to `exp`. Clients use the token that long (docker treats less than 60 as 60, containerd treats none as for ever), and then say \"unauthorized\" in the middle of a push",
    ));
}

/// `exp` - `iat`, or - now where there is no `iat`.
pub(in crate::stage) fn lifetime(
    claims: &portpass_jose::json::Map<String, Value>,
    now: SystemTime,
) -> Option<u64> {
    let seconds = |name: &str| claims.get(name).and_then(Value::as_u64);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Some(seconds("exp")?.saturating_sub(seconds("iat").unwrap_or(now)))
}

/// RESP-06 (F62)
pub(super) fn issued(run: &mut Run, all: &[Answer]) {
    let mut faults = Faults::default();
    for answer in all {
        let Some(token) = answer.token() else { continue };
        let odd = token.oddities.iter().find(|odd| **odd == TokenOddity::IssuedAtUnreadable);
        if let Some(oddity) = odd {
            faults.fail(format!("{oddity} ({})", answer.what), oddity.breaks(), Some("F62"));
            continue;
        }
        // The service's own clock, so that a wrong one is NET-07's alone.
        let now = answer.response.date().unwrap_or(answer.response.at);
        let off = token
            .issued_at
            .map(|at| at.duration_since(now).unwrap_or_else(|behind| behind.duration()));
        if let Some(off) = off.filter(|off| *off > DRIFT) {
            let off = off.as_secs();
            faults.doubt(
                format!(
                    "\"issued_at\" is {off} s from the token service's own `Date` ({})",
                    answer.what
                ),
                &[KnownClient::Docker, KnownClient::Podman, KnownClient::Regclient],
                Some("F62"),
            );
        }
    }
    run.record(faults.finding(
        Check::Resp06,
        "`issued_at` is a date of RFC 3339, or absent",
        "write `issued_at` as the time of the response in the form 2026-01-02T03:04:05Z, or leave it out. It must not be empty, a number, without a zone, with +0000 (clients say: parsing time \"…\" as \"2006-01-02T15:04:05Z07:00\"), or in local time",
    ));
}
