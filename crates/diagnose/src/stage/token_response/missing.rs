//! No token, or only one of its two names.

use portpass_protocol::{
    challenge::KnownClient,
    token_response::{TokenOddity, TokenResponseError},
};
use serde_json::Value;

use super::{Answer, Faults, NOBODY, Read};
use crate::{Check, Finding, Needs, run::Run, token_endpoint::cut};

/// What clients say to an answer without a token, and the log line that is no trace of it.
const WORDS: &[&str] = &[
    "docker and containerd say: authorization server did not include a token in the response",
    "crane says: no token in bearer response; oras and helm say: empty token returned",
    "podman and regclient continue with an empty token, and say: unauthorized: authentication required",
    "the registry's log line \"authorization token required\" is not about this: every login starts with an unauthenticated request, which logs it",
];
const FIX: &str = "the token service must respond with {\"token\": \"…\", \"access_token\": \"…\", \"expires_in\": 300}, with the same token under both names, to GET and to POST";
/// Names under which token services put what should be `token`.
const LOOK_ALIKES: &[&str] = &[
    "jwt",
    "id_token",
    "idtoken",
    "accesstoken",
    "access-token",
    "auth_token",
    "authtoken",
    "bearer",
    "bearer_token",
    "registry_token",
    "registrytoken",
    "token",
    "access_token",
    "value",
];

/// RESP-03 (F60)
pub(super) fn token(run: &mut Run, all: &[Answer]) {
    let mut case_of_key = None;
    let mut failed: Vec<(&Answer, &TokenResponseError)> = Vec::new();
    for answer in all {
        match &answer.read {
            // There is a token; what is wrong with its characters is JWT-02's question.
            Read::None(TokenResponseError::Unsendable { .. }) | Read::NoObject(_) | Read::Cut => {}
            Read::None(error) => failed.push((answer, error)),
            Read::Token(token) => {
                let odd = token.oddities.iter().find(|odd| matches!(odd, TokenOddity::KeyCase(_)));
                case_of_key = case_of_key.or(odd);
            }
        }
    }
    let Some((answer, error)) = failed.first() else {
        run.record(match case_of_key {
            Some(odd) => Finding::warn(
                Check::Resp03,
                format!("{}: only clients written in Go find it", cut(&odd.to_string())),
            )
            .rows(&["F60"])
            .fix(FIX),
            None => Finding::pass(Check::Resp03, "every response has a token"),
        });
        return;
    };
    // Who logs in is served.
    let of_nobody = failed.iter().all(|(answer, _)| answer.what == NOBODY);
    let mut finding = if of_nobody && all.iter().any(|answer| answer.token().is_some()) {
        Finding::warn(Check::Resp03, format!("anonymous requests get none: {error}"))
    } else {
        Finding::fail(Check::Resp03, error.to_string())
    };
    finding = finding
        .breaks(if failed.iter().all(|(answer, _)| answer.post) {
            BY_POST
        } else {
            &KnownClient::ALL
        })
        .rows(&["F60"]);
    for (answer, _) in &failed {
        finding = finding.evidence(format!(
            "{}: {}, {}",
            answer.what,
            answer.response.status,
            keys(answer)
        ));
    }
    if let Some(path) = look_alike(answer) {
        finding = finding.evidence(format!("the token seems to be under {path:?}"));
    }
    for words in WORDS {
        finding = finding.evidence(*words);
    }
    run.record(finding.fix(FIX));
}

/// Who asks by POST, as soon as there is something to send.
const BY_POST: &[KnownClient] = &[KnownClient::Docker, KnownClient::Containerd, KnownClient::Oras];

/// The names in an object, never the values.
fn keys(answer: &Answer) -> String {
    match serde_json::from_slice(&answer.response.body) {
        Ok(Value::Object(fields)) if fields.is_empty() => "an empty object".to_owned(),
        Ok(Value::Object(fields)) => {
            let names: Vec<String> = fields.keys().take(12).map(|name| cut(name)).collect();
            format!("the keys {}", names.join(", "))
        }
        _ => "no keys that can be read".to_owned(),
    }
}

/// Where the token may be meant to be: a JWT anywhere, else a well-known name.
fn look_alike(answer: &Answer) -> Option<String> {
    let value: Value = serde_json::from_slice(&answer.response.body).ok()?;
    let mut strings = Vec::new();
    walk(&value, "", 0, &mut strings);
    let jwt = strings.iter().find(|(_, text)| is_jwt(text));
    let named = || {
        let known = |path: &str| {
            let name = path.rsplit('.').next().unwrap_or_default();
            LOOK_ALIKES.iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        strings.iter().find(|(path, text)| !text.is_empty() && known(path))
    };
    jwt.or_else(named).map(|(path, _)| cut(path))
}

/// Texts in the value, three levels deep: each with its path. No name that anybody would look for is
/// longer than 64 characters.
fn walk<'a>(value: &'a Value, path: &str, depth: usize, found: &mut Vec<(String, &'a str)>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields.iter().filter(|(name, _)| name.len() <= 64).take(100) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::String(text) => found.push((path, text)),
            Value::Object(_) if depth < 2 => walk(value, &path, depth + 1, found),
            _ => {}
        }
    }
}

fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3
}

/// RESP-04 (F44)
pub(super) fn both(run: &mut Run, all: &[Answer]) {
    let mut faults = Faults::default();
    let mut notes = Vec::new();
    for answer in all {
        let oddities = answer.token().map(|token| token.oddities.as_slice()).unwrap_or_default();
        for oddity in oddities {
            let what = format!("{oddity} ({})", answer.what);
            match oddity {
                TokenOddity::OnlyToken if answer.post => {
                    faults.fail(what, oddity.breaks(), Some("F44"));
                }
                // By GET every client of the record reads it.
                TokenOddity::OnlyToken => notes.push(what),
                TokenOddity::OnlyAccessToken
                | TokenOddity::EmptyToken(_)
                | TokenOddity::TokensDiffer => faults.doubt(what, oddity.breaks(), None),
                _ => {}
            }
        }
    }
    if all
        .iter()
        .any(|answer| matches!(answer.read, Read::None(TokenResponseError::Unsendable { .. })))
    {
        run.skip(&[Check::Resp04], &Needs::Check(Check::Jwt02));
    }
    let good = if notes.is_empty() {
        "`token` and `access_token` are present, and equal"
    } else {
        "every client finds the token"
    };
    let finding = faults.finding(
        Check::Resp04,
        good,
        "write the same token under both names, `token` and `access_token`, in every response to GET and to POST. In the response to POST, containerd, docker and oras read only `access_token` (\"authorization server did not include a token in the response\"), while login by GET works",
    );
    run.record(notes.into_iter().fold(finding, Finding::evidence));
}
