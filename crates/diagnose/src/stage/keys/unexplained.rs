//! KEY-06: what is left to be wrong with a token that the registry refuses and that looks well, and what would
//! tell which it is (failure catalogue, section 2, rules 2 and 3).

use portpass_jose::{Excerpt, IdForm, json::Value};
use portpass_protocol::challenge::KnownClient;

use super::request_id;
use crate::{
    Check, Finding, Needs,
    observations::Verifier,
    outcome::{Outcome, TokenStatus},
    run::Run,
    stage::{jwt, requests},
};

pub(super) fn check(run: &mut Run) {
    let check = Check::Key06;
    let opened = run.observed.token.as_ref().is_some_and(|token| token.decoded.is_some());
    let Some(real) = run.observed.replies.real.as_ref().filter(|_| opened) else { return };
    let finding = match (run.observed.token_status(), Outcome::of(real)) {
        (TokenStatus::Accepted, _) => Finding::pass(
            check,
            "the registry accepts the token: it trusts the key, and the signature is valid",
        ),
        (TokenStatus::Unknown, _) => {
            let why = Needs::Nothing("the registry's response says nothing about the token");
            return run.skip(&[check], &why);
        }
        _ if requests::header_is_seen(run) == Some(false) => {
            return run.skip(&[check], &Needs::Check(Check::Use01));
        }
        _ if earlier(run).is_some() => {
            let earlier = earlier(run).unwrap_or(Check::Jwt01);
            return run.skip(&[check], &Needs::Check(earlier));
        }
        (_, Outcome::Unauthorized) if run.observed.verifier == Some(Verifier::Distribution3) => {
            bad_signature()
        }
        (_, Outcome::InvalidToken) => what_is_left(run),
        _ => {
            return run.skip(&[check], &Needs::Check(Check::Use02));
        }
    };
    let said = format!("to the token on /v2/: {}", requests::words(real));
    let finding = match request_id(run).filter(|_| finding.failed()) {
        Some(id) => finding.evidence(format!(
            "request {}: if the registry is portpass, `portpass explain` says why; otherwise its log may",
            Excerpt::of(&id)
        )),
        None => finding,
    };
    run.record(finding.evidence(said));
}

/// The first failure before this check.
fn earlier(run: &Run) -> Option<Check> {
    let before = Check::ALL.iter().filter(|check| (Check::Jwt01..Check::Key06).contains(*check));
    before.copied().find(|check| run.failed(*check))
}

/// Distribution 3 answers `invalid_token` to all but what its JOSE library itself refuses.
fn bad_signature() -> Finding {
    Finding::fail(
        Check::Key06,
        "the registry has the key that the token names, but the signature was made with another key",
    )
    .evidence("distribution 3 leaves out `error` for an invalid signature and for claims of wrong types, and these claims have the right types")
    .evidence("excluded: an unknown key id, the issuer, the audience, the times")
    .breaks(&KnownClient::ALL)
    .fix("key and certificate must match: the registry has the certificate, or the JWK of that `kid`, of another key than the one that signs. An RSA key with `alg` ES256 looks the same. --bundle FILE or --jwks FILE proves it")
    .rows(&["F84", "F89"])
}

fn what_is_left(run: &Run) -> Finding {
    let issuer = run.has_passed(Check::Clm02);
    let signature = run.has_passed(Check::Key02) && run.has_passed(Check::Key03);
    let (mut rows, mut left) = (Vec::new(), Vec::new());
    if !issuer {
        rows.push("F75");
        left.push("its issuer is not the registry's `issuer`".to_owned());
    }
    if signature {
        left.push("the registry has another bundle than this file, or has not been restarted since the file was written".to_owned());
        rows.extend(["F92", "F85"]);
    } else {
        keys(run, &mut rows, &mut left);
    }
    if is_elliptic(run) && run.observed.verifier == Some(Verifier::Distribution3) {
        rows.push("F91");
        left.push("early releases of distribution 3 compute wrong ids of elliptic curve and Ed25519 keys: run the latest, or sign with RS256".to_owned());
    }
    let mut inputs = Vec::new();
    if !issuer {
        inputs.push("--issuer NAME");
    }
    if !signature {
        inputs.push("--bundle FILE or --jwks FILE");
    }
    let tell = match &*inputs {
        [] => "compare the files with those that the registry reads, and restart it".to_owned(),
        inputs => {
            format!("give {}, or --registry-config FILE, to find out which", inputs.join(" and "))
        }
    };
    let finding = Finding::fail(
        Check::Key06,
        "the token looks valid, but the registry refuses it: it does not trust its key or its issuer",
    )
    .evidence(excluded(run))
    .breaks(&KnownClient::ALL)
    .fix(format!("{tell}; the registry's log names the reason: `untrusted issuer`, `untrusted key with ID`, `verification error`"))
    .rows(&rows);
    left.into_iter().fold(finding, |finding, line| finding.evidence(format!("possible: {line}")))
}

/// What may be wrong with the key, by how it is named.
fn keys(run: &Run, rows: &mut Vec<&'static str>, left: &mut Vec<String>) {
    let opened = run.observed.token.as_ref().and_then(|token| token.decoded.as_ref());
    let Some(header) = opened.map(|opened| &opened.header) else { return };
    if !jwt::chain(header).is_empty() {
        rows.extend(["F85", "F87", "F88"]);
        left.push("the registry's bundle has neither its certificate nor the authority that issued it, or the chain between them is incomplete".to_owned());
        left.push("a certificate above it has expired".to_owned());
        return;
    }
    let form = header.get("kid").and_then(Value::as_str).map(IdForm::of);
    rows.extend(["F81", "F85", "F84"]);
    left.push("the registry's bundle does not have the token service's certificate, but an old one or the TLS one".to_owned());
    left.push("its key id is not computed correctly from the public key".to_owned());
    if run.observed.verifier != Some(Verifier::Distribution2) {
        rows.push("F83");
        left.push("the registry's JWK set has another name for the key".to_owned());
        if form == Some(IdForm::Libtrust) {
            rows.push("F82");
            left.push("it is distribution 3, which does not support libtrust ids".to_owned());
        }
    }
}

fn is_elliptic(run: &Run) -> bool {
    let opened = run.observed.token.as_ref().and_then(|token| token.decoded.as_ref());
    let name = opened.and_then(|opened| opened.header.get("alg")?.as_str());
    name.is_some_and(|name| name.starts_with("ES") || name == "EdDSA")
}

/// What has been looked at and is well.
fn excluded(run: &Run) -> String {
    let looked = [
        (Check::Jwt01, "its form"),
        (Check::Jwt07, "the types of its claims"),
        (Check::Clm01, "its audience"),
        (Check::Clm04, "its times"),
        (Check::Jwt05, "the form of its key id"),
        (Check::Clm02, "its issuer"),
        (Check::Key02, "its key"),
        (Check::Key03, "its signature"),
    ];
    let well = looked.iter().filter(|(check, _)| run.has_passed(*check));
    format!("excluded: {}", well.map(|(_, what)| *what).collect::<Vec<_>>().join(", "))
}
