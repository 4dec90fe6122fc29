//! JWT-05: whether the key id has the form that this registry looks for.

use portpass_jose::{Excerpt, IdForm, curve_of_base_point, json::Value};
use portpass_protocol::challenge::KnownClient;

use super::{request_id, trusted::Trusted};
use crate::{
    Check, Finding, Needs, base_point,
    observations::Verifier,
    outcome::{Outcome, TokenStatus},
    run::Run,
    stage::jwt,
};

/// What is wrong for certain; a form that does not fit is then only the next thing.
const CERTAIN: &[Check] = &[
    Check::Jwt01,
    Check::Jwt02,
    Check::Jwt03,
    Check::Jwt04,
    Check::Jwt06,
    Check::Jwt07,
    Check::Jwt08,
    Check::Clm01,
    Check::Clm02,
    Check::Clm03,
    Check::Clm04,
];

pub(super) fn check(run: &mut Run, trusted: &Trusted) {
    let opened = run.observed.token.as_ref().and_then(|token| token.decoded.as_ref());
    let Some(header) = opened.map(|opened| opened.header.clone()) else { return };
    if !jwt::chain(&header).is_empty() {
        let summary =
            "the token contains its certificate, so the form of its key id does not matter";
        return run.record(Finding::pass(Check::Jwt05, summary));
    }
    let Some(id) = header.get("kid").and_then(Value::as_str).filter(|id| !id.is_empty()) else {
        return run.skip(&[Check::Jwt05], &Needs::Check(Check::Jwt04));
    };
    let form = IdForm::of(id);
    let shown = format!("its key id is {}, {}", Excerpt::of(id), shape(form));
    if let Some(curve) = curve_of_base_point(id) {
        return of_base_point(run, trusted, id, curve);
    }
    let in_jwks = trusted.keys.iter().any(|key| key.name.as_deref() == Some(id));
    let finding = match (wrong(run, form), run.observed.verifier) {
        _ if in_jwks => Finding::pass(Check::Jwt05, "its key id is in the JWK set"),
        (_, None) => {
            let why =
                Needs::Nothing("the registry's responses do not tell which key ids it expects");
            Finding::skip(Check::Jwt05, why)
        }
        (None, _) => {
            Finding::pass(Check::Jwt05, "its key id may be one that this registry expects")
        }
        (Some(wrong), _) => judge(run, &wrong),
    };
    run.record(finding.evidence(shown));
}

/// An id that is of no key. Only a JWK set can hold a key under it, and a registry with the same fault.
fn of_base_point(run: &mut Run, trusted: &Trusted, id: &str, curve: &str) {
    let summary = base_point::summary(curve);
    let in_jwks = trusted.keys.iter().any(|key| key.name.as_deref() == Some(id));
    let finding = if in_jwks {
        Finding::pass(Check::Jwt05, "its key id is in the JWK set")
    } else if run.observed.token_status() == TokenStatus::Accepted {
        let summary = format!(
            "{summary}; this registry finds the key by it, as distribution 3.0.0 does, but later versions do not"
        );
        Finding::warn(Check::Jwt05, summary)
            .evidence("every certificate with a key of that curve has the same id there, so the registry finds only one of them in a bundle")
            .fix(base_point::FIX)
            .rows(&[base_point::ROW])
    } else {
        run.token_fault(Check::Jwt05, summary)
            .breaks(&KnownClient::ALL)
            .fix(base_point::FIX)
            .rows(&[base_point::ROW])
    };
    run.record(finding.evidence(format!("its key id is {}", Excerpt::of(id))));
}

/// A form that a registry does not look for.
struct Wrong {
    summary: &'static str,
    fix: &'static str,
    rows: &'static [&'static str],
}

fn judge(run: &Run, wrong: &Wrong) -> Finding {
    let Wrong { summary, fix, rows } = *wrong;
    let refused = Outcome::InvalidToken;
    let replies = &run.observed.replies;
    let so = replies.real.as_ref().is_none_or(|response| Outcome::of(response) == refused);
    let certain = CERTAIN.iter().any(|check| run.failed(*check));
    if run.observed.token_status() == TokenStatus::Accepted || !so {
        return Finding::pass(Check::Jwt05, "this registry finds the key by its id");
    }
    // Portpass looks for both forms, and answers two spaces as distribution 3 does.
    let either =
        run.observed.verifier == Some(Verifier::Distribution3) && request_id(run).is_some();
    let finding = if certain || either {
        Finding::warn(Check::Jwt05, summary)
    } else {
        Finding::fail(Check::Jwt05, summary)
            .evidence(
                "a request with two spaces before the token tells which of the two it is (USE-04)",
            )
            .breaks(&KnownClient::ALL)
    };
    finding.fix(fix).rows(rows)
}

fn wrong(run: &Run, form: IdForm) -> Option<Wrong> {
    Some(match (run.observed.verifier?, form) {
        (Verifier::Distribution3, IdForm::Libtrust) => Wrong {
            summary: "the key id is a libtrust fingerprint, as in distribution 2; distribution 3 no longer supports those",
            fix: "name keys by their RFC 7638 thumbprint or send the certificate in `x5c` (portpass: `key_id: rfc7638` or `x5c` at the service). Or give the registry a JWK set with this `kid`, `auth: token: jwks`. Or stay with distribution 2.8 until then",
            rows: &["F82"],
        },
        (Verifier::Distribution2, IdForm::Rfc7638) => Wrong {
            summary: "the key id is an RFC 7638 thumbprint, as in distribution 3; this registry is like distribution 2, which supports only libtrust fingerprints",
            fix: "name keys by their libtrust fingerprint or send the certificate in `x5c` (portpass: `key_id: libtrust` or `x5c` at the service); or run distribution 3",
            rows: &["F82"],
        },
        (Verifier::Distribution2, IdForm::Other) => Wrong {
            summary: "the key id is the issuer's own name for it; this registry is like distribution 2, which supports only libtrust fingerprints",
            fix: "compute the key id from the public key: DER, SHA-256, its first 30 bytes in base32, twelve groups of four with colons between (portpass: `key_id: libtrust`). Or send the certificate in `x5c`. Or run distribution 3 with a JWK set",
            rows: &["F81", "F83"],
        },
        _ => return None,
    })
}

fn shape(form: IdForm) -> &'static str {
    match form {
        IdForm::Libtrust => "a libtrust fingerprint",
        IdForm::Rfc7638 => "the length of an RFC 7638 thumbprint",
        IdForm::Other => "the issuer's own name",
    }
}
