//! JWT: what the token shows of itself, before anything is compared with it. JWT-05 needs to know more,
//! and stands with the keys.

mod claims;
mod header;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portpass_jose::{Algorithm, Excerpt, Malformed, jws::Part, unverified::Unverified};
use portpass_protocol::challenge::KnownClient;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret as _;

pub(super) use self::header::{chain, read_chain, short};
use crate::{
    Check, Finding, Needs,
    observations::{RequiredAuth, Verifier},
    outcome::{Outcome, TokenStatus},
    run::Run,
};

/// All that JWT-01 has to come before.
const AFTER_PARTS: &[Check] =
    &[Check::Jwt02, Check::Jwt03, Check::Jwt04, Check::Jwt05, Check::Jwt06, Check::Jwt07];
/// All that looks into a token.
pub(super) const OF_TOKENS: &[Check] = &[
    Check::Clm01,
    Check::Clm02,
    Check::Clm03,
    Check::Clm04,
    Check::Clm05,
    Check::Key02,
    Check::Key03,
    Check::Key06,
    Check::Acc01,
    Check::Acc02,
    Check::Acc03,
    Check::Acc04,
    Check::Acc05,
];
/// From here on proxies begin to refuse the header (T12).
const LONG: usize = 4 * 1024;
/// What nginx takes at most, unless told otherwise.
const TOO_LONG: usize = 8 * 1024;

/// Answers JWT-01 to JWT-08 but JWT-05.
pub(crate) fn check(run: &mut Run) {
    let Some(token) = &run.observed.token else {
        if run.observed.required_auth == Some(RequiredAuth::Basic) {
            let why = Needs::Nothing("this registry requires the password itself, not a token");
            run.skip(&[Check::Jwt01, Check::Jwt08], &why);
            run.skip(AFTER_PARTS, &why);
            run.skip(OF_TOKENS, &why);
        }
        return;
    };
    let text = token.text.expose_secret().to_owned();
    size(run, &text);
    let bare = bare(&text);
    if !is_meant_as_jwt(&bare) {
        opaque(run, &text);
    } else if three_parts(run, &bare) {
        nothing_around(run, &text, &bare);
        header::check(run);
        claims::check(run, &bare);
    }
}

/// A token without anything around it, and without padding.
pub(super) fn bare(text: &str) -> String {
    let text = text.trim().trim_matches(['"', '\'']).trim();
    let parts: Vec<&str> = text.split('.').map(|part| part.trim_end_matches('=')).collect();
    parts.join(".")
}

/// JWT-01. A token that is none leaves nothing to look into.
fn three_parts(run: &mut Run, bare: &str) -> bool {
    let problem = match Unverified::parse(bare) {
        Err(error) => Some(error),
        Ok(opened) => opened.claims().err(),
    };
    let problem = problem.map(|error| (in_short(&error), "F70"));
    let problem = problem.or_else(|| signature(bare));
    let Some((problem, row)) = problem else {
        let summary = "three parts in base64url, two of them JSON objects";
        run.record(Finding::pass(Check::Jwt01, summary));
        return true;
    };
    let parts: Vec<String> = bare.split('.').map(|part| part.len().to_string()).collect();
    let finding = run
        .token_fault(Check::Jwt01, problem)
        .evidence(format!("parts of {} characters", parts.join(", ")))
        .breaks(&KnownClient::ALL)
        .fix("the token must be `header.claims.signature`, each part in base64url without padding, the first two JSON objects. Use a JWT library")
        .rows(&[row]);
    run.record(finding);
    no_further(run);
    false
}

fn no_further(run: &mut Run) {
    run.skip(AFTER_PARTS, &Needs::Check(Check::Jwt01));
    run.skip(OF_TOKENS, &Needs::Check(Check::Jwt01));
}

/// Whether it has parts, and begins as a JSON object does in base64. Opaque tokens have dots as well, as Google's
/// `ya29.…` and Nexus' `DockerToken.…`.
fn is_meant_as_jwt(bare: &str) -> bool {
    bare.contains('.') && ["ey", "ew"].iter().any(|brace| bare.starts_with(brace))
}

/// Somebody's own kind of token, or no token.
fn opaque(run: &mut Run, text: &str) {
    let as_distribution =
        matches!(run.observed.verifier, Some(Verifier::Distribution2 | Verifier::Distribution3));
    let refused = run.observed.token_status() == TokenStatus::Rejected;
    if HeaderValue::from_str(text).is_err() {
        let summary = "the token has characters that no header can carry, so no client can send it";
        let finding = Finding::fail(Check::Jwt01, summary)
            .breaks(&KnownClient::ALL)
            .fix("return only the token, in letters and digits; a file or a program's output often ends with a line break")
            .rows(&["F70"]);
        run.record(finding);
        return no_further(run);
    }
    if !(as_distribution && refused) {
        let why = Needs::Nothing(
            "the token is opaque, which works only if registry and token service are from one vendor",
        );
        run.skip(&[Check::Jwt01], &why);
        run.skip(AFTER_PARTS, &why);
        run.skip(OF_TOKENS, &why);
        return;
    }
    let finding = Finding::fail(
        Check::Jwt01,
        format!("the token is a string of {} characters, not a JWT", text.len()),
    )
    .breaks(&KnownClient::ALL)
    .fix("a registry like distribution accepts only signed JWTs. The token service must sign one, with `iss`, `aud`, `exp` and `access`")
    .rows(&["F70"]);
    run.record(finding);
    no_further(run);
}

/// A signature that was cut short, or is written as it is in certificates.
fn signature(bare: &str) -> Option<(String, &'static str)> {
    let opened = Unverified::parse(bare).ok()?;
    let (_, text) = bare.rsplit_once('.')?;
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else {
        return Some(("the token's signature is not base64url".to_owned(), "F70"));
    };
    let name = opened.header().get("alg")?.as_str()?;
    let expected = match name.parse::<Algorithm>().ok()? {
        Algorithm::EdDsa | Algorithm::Es256 => 64,
        Algorithm::Es384 => 96,
        Algorithm::Es512 => 132,
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => return None,
        _ if bytes.len() < 256 => 256,
        _ => return None,
    };
    let length = bytes.len();
    match bytes.first() {
        _ if length == expected => None,
        Some(0x30) if name.starts_with("ES") => Some((
            format!(
                "the token's signature is DER of {length} bytes; {name} has {expected} raw bytes (RFC 7518 §3.4)"
            ),
            "F84",
        )),
        _ => Some((
            format!(
                "the token's signature has {length} bytes, but {name} has {expected}: it was cut off"
            ),
            "F70",
        )),
    }
}

fn in_short(error: &Malformed) -> String {
    match error {
        Malformed::Parts { found: 2 } => {
            "the token has only two parts: its signature is missing".to_owned()
        }
        Malformed::Json { part: Part::Header, .. } => {
            "the token's header is not a JSON object".to_owned()
        }
        Malformed::Json { part, why } => {
            format!("the token's {part} is not a JSON object: {}", Excerpt::of(&why.to_string()))
        }
        other => other.to_string(),
    }
}

/// JWT-02
fn nothing_around(run: &mut Run, text: &str, bare: &str) {
    let padded = text.contains('=');
    let around: Vec<&str> = [
        (text.contains(['"', '\'']), "quotes"),
        (text.contains(['\n', '\r']), "a line break"),
        (text.trim() != text && !text.contains(['\n', '\r']), "spaces"),
    ]
    .into_iter()
    .filter_map(|(there, what)| there.then_some(what))
    .collect();
    let finding = if !around.is_empty() {
        run.token_fault(Check::Jwt02, format!("there is {} around the token", around.join(" and ")))
            .evidence(format!("{} characters, of which the token has {}", text.len(), bare.len()))
            .breaks(&KnownClient::ALL)
            .fix("return only the token; a file or a program's output often ends with a line break")
            .rows(&["F70"])
    } else if padded && run.observed.verifier == Some(Verifier::Distribution2) {
        Finding::warn(
            Check::Jwt02,
            "the token is padded with `=`: distribution 2 accepts that, distribution 3 does not",
        )
        .fix("encode the parts in base64url without padding (RFC 7515 §2)")
        .rows(&["F71"])
    } else if padded {
        run.token_fault(
            Check::Jwt02,
            "the token is padded with `=`, which only distribution 2 accepts",
        )
        .breaks(&KnownClient::ALL)
        .fix("encode the parts in base64url without padding (RFC 7515 §2)")
        .rows(&["F71"])
    } else {
        Finding::pass(Check::Jwt02, "it has no padding, and nothing around it")
    };
    run.record(finding);
}

/// JWT-08
fn size(run: &mut Run, text: &str) {
    let length = text.len();
    let refused =
        run.observed.replies.to_the_token().map(Outcome::of).find_map(|reply| match reply {
            Outcome::Other(status) if reply.refuses() => Some(status),
            _ => None,
        });
    let finding = if let Some(status) = refused.filter(|_| length > LONG) {
        let summary = format!("the token has {length} bytes, and the response is {status}");
        Finding::fail(Check::Jwt08, summary).breaks(&KnownClient::ALL)
    } else if length > TOO_LONG {
        run.token_fault(
            Check::Jwt08,
            format!("the token has {length} bytes; many proxies accept headers of at most 8 KiB"),
        )
        .breaks(&KnownClient::ALL)
    } else if length > LONG {
        Finding::warn(
            Check::Jwt08,
            format!("the token has {length} bytes; from 4 KiB on some proxies refuse the header"),
        )
    } else {
        return run.record(Finding::pass(Check::Jwt08, format!("the token has {length} bytes")));
    };
    let finding = finding
        .fix("request fewer scopes at once, keep groups and other claims out of the token, and leave unneeded certificates out of `x5c`. Nginx accepts more with `large_client_header_buffers 4 32k`")
        .rows(&["F79"]);
    run.record(finding);
}
