//! What the token's header says: algorithm, key, certificates.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use portpass_jose::{
    Algorithm, Certificate, Excerpt, KeyType, OutOfDate,
    json::{self, Map, Value},
};
use portpass_protocol::challenge::KnownClient;

use crate::{Check, Finding, Needs, observations::Verifier, run::Run, time::date};

/// A sentence with somebody's names in it, which may be long.
pub(in crate::stage) fn short(sentence: &impl std::fmt::Display) -> String {
    let sentence = sentence.to_string();
    match sentence.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &sentence[..end]),
        None => sentence,
    }
}

/// JWT-03, JWT-04 and JWT-06.
pub(super) fn check(run: &mut Run) {
    let opened = run.observed.token.as_ref().and_then(|token| token.decoded.as_ref());
    let Some(header) = opened.map(|opened| opened.header.clone()) else { return };
    let algorithm = algorithm(run, &header);
    names_its_key(run, &header);
    certificates(run, &header, algorithm);
}

/// The certificates of `x5c`, as they stand there.
pub(in crate::stage) fn chain(header: &Map<String, Value>) -> &[Value] {
    let chain = header.get("x5c").and_then(Value::as_array);
    chain.map(Vec::as_slice).unwrap_or_default()
}

/// Those of them that can be read, leaf first.
pub(in crate::stage) fn read_chain(header: &Map<String, Value>) -> Vec<Vec<u8>> {
    let entries = chain(header).iter();
    entries.filter_map(|entry| STANDARD.decode(entry.as_str()?).ok()).collect()
}

fn algorithm(run: &mut Run, header: &Map<String, Value>) -> Option<Algorithm> {
    let fix = "sign with RS256 or ES256: every registry accepts these";
    let name = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let Ok(algorithm) = name.parse::<Algorithm>() else {
        let summary = match name {
            "" => "the token's header has no `alg`".to_owned(),
            "none" | "None" | "NONE" => "the token is not signed: its `alg` is `none`".to_owned(),
            other => format!("no registry supports the signature algorithm {}", Excerpt::of(other)),
        };
        let finding = run
            .token_fault(Check::Jwt03, summary)
            .breaks(&KnownClient::ALL)
            .fix(fix)
            .rows(&["F89"]);
        run.record(finding);
        return None;
    };
    let pss = matches!(algorithm, Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512);
    let new = pss || algorithm == Algorithm::EdDsa;
    let finding = if algorithm.key_type() == KeyType::Octets {
        let summary = format!(
            "the token is signed with a shared secret ({algorithm}), which no registry has"
        );
        run.token_fault(Check::Jwt03, summary).breaks(&KnownClient::ALL).fix(fix).rows(&["F89"])
    } else if new && run.observed.verifier == Some(Verifier::Distribution2) {
        let summary =
            format!("the token is signed with {algorithm}, which distribution 2 does not support");
        run.token_fault(Check::Jwt03, summary).breaks(&KnownClient::ALL).fix(fix).rows(&["F89"])
    } else if new {
        let summary =
            format!("the token is signed with {algorithm}: distribution 2 does not support it");
        Finding::warn(Check::Jwt03, summary).fix(fix)
    } else {
        Finding::pass(Check::Jwt03, format!("the token is signed with {algorithm}"))
    };
    run.record(finding);
    Some(algorithm)
}

/// JWT-04, in the order in which registries look (VO3).
fn names_its_key(run: &mut Run, header: &Map<String, Value>) {
    let id = |holder: &Map<String, Value>| {
        let id = holder.get("kid").and_then(Value::as_str)?;
        Some(id.to_owned()).filter(|id| !id.is_empty())
    };
    let embedded = header.get("jwk").and_then(Value::as_object);
    let named = if !chain(header).is_empty() {
        Some(format!("it contains {} certificates", chain(header).len()))
    } else if let Some(jwk) = embedded {
        let points = id(jwk).is_some() || jwk.contains_key("x5c");
        points.then(|| "it contains its key, which points to a trusted one".to_owned())
    } else {
        id(header).map(|id| format!("its key id is {}", Excerpt::of(&id)))
    };
    let members: Vec<&str> = header.keys().take(10).map(String::as_str).collect();
    let finding = match named {
        Some(summary) => Finding::pass(Check::Jwt04, summary),
        None => run
            .token_fault(Check::Jwt04, "the token names no key: its header has neither `kid` nor `x5c`")
            .evidence(format!("its header has: {}", Excerpt::of(&members.join(", "))))
            .breaks(&KnownClient::ALL)
            .fix("write `kid` into the header: the libtrust fingerprint of the public key for distribution 2, its RFC 7638 thumbprint for distribution 3. Or write `x5c` with the certificate, which both accept. A token for another use, such as an ID token, does not work")
            .rows(&["F80"]),
    };
    run.record(finding);
}

fn certificates(run: &mut Run, header: &Map<String, Value>, algorithm: Option<Algorithm>) {
    if chain(header).is_empty() {
        let why = Needs::Nothing("the token has no certificate");
        return run.skip(&[Check::Jwt06], &why);
    }
    let read = chain(header).iter().enumerate();
    let read: Result<Vec<Certificate>, String> = read.map(certificate).collect();
    let leaf = match &read {
        Ok(certificates) => &certificates[0],
        Err(why) => {
            let finding = run
                .token_fault(Check::Jwt06, why.clone())
                .breaks(&KnownClient::ALL)
                .fix("`x5c` must be a list of certificates, the signer's first. Each is DER in plain base64 (with `+`, `/` and padding), without PEM lines (RFC 7515 §4.1.6)")
                .rows(&["F87"]);
            return run.record(finding);
        }
    };
    let shown = format!(
        "{}, issued by {}, valid until {}",
        Excerpt::of(leaf.subject()),
        Excerpt::of(leaf.issuer()),
        date(leaf.not_after())
    );
    let now = run.registry_time();
    let unfit = algorithm.filter(|algorithm| !leaf.key().algorithms().contains(*algorithm));
    let finding = if let Err(out_of_date) = leaf.validity(now) {
        let fix = match out_of_date {
            OutOfDate::Expired { .. } => {
                "renew the token service's certificate, and give it to the registry. This does not affect tokens that name their key by `kid` instead of `x5c`"
            }
            OutOfDate::NotYetValid { .. } => "set the clocks, or reissue the certificate",
        };
        run.token_fault(Check::Jwt06, short(&out_of_date))
            .breaks(&KnownClient::ALL)
            .fix(fix)
            .rows(&["F88"])
    } else if let Some(algorithm) = unfit {
        let summary = format!(
            "the token says {algorithm}, but its certificate has {}",
            leaf.key().key_type()
        );
        run.token_fault(Check::Jwt06, summary)
            .breaks(&KnownClient::ALL)
            .fix(format!("sign with {}", leaf.key().key_type().default_algorithm()))
            .rows(&["F89"])
    } else {
        Finding::pass(Check::Jwt06, "its certificates can be read, and are valid now")
    };
    run.record(finding.evidence(shown));
}

fn certificate((at, entry): (usize, &Value)) -> Result<Certificate, String> {
    let Some(text) = entry.as_str() else {
        return Err(format!("entry {at} of `x5c` is {}, expected a string", json::kind(entry)));
    };
    let Ok(der) = STANDARD.decode(text) else {
        let other = URL_SAFE.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text));
        return Err(match other {
            Ok(_) => {
                format!("entry {at} of `x5c` is in base64url; certificates are in plain base64")
            }
            Err(_) if text.contains("-----BEGIN") => {
                format!("entry {at} of `x5c` is PEM, not DER in base64")
            }
            Err(_) => format!("entry {at} of `x5c` is not base64"),
        });
    };
    Certificate::from_der(&der).map_err(|error| {
        format!("entry {at} of `x5c` is not a certificate: {}", Excerpt::of(&error.to_string()))
    })
}
