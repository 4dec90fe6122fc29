//! As whom the registry is asked.

use std::time::SystemTime;

use portpass_client::credentials::Credential;
use portpass_protocol::{
    Access, AccessSet,
    challenge::{self, Received},
    token_response,
};
use reqwest::{Method, StatusCode, Url, header::WWW_AUTHENTICATE};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Check, Needs, Stage,
    case::Case,
    facts::Demand,
    inspect::Inspection,
    probe::{Ask, Authorization, Seen, Sent, Silence, SilenceKind},
};

/// What the caller shows to read the repository, or what has to hold first.
pub(super) fn authorization(case: &Case) -> Result<Authorization, Needs> {
    for check in [Check::Use02, Check::Acc01, Check::Use03] {
        if case.failed(check) {
            return Err(Needs::Check(check));
        }
    }
    match &case.facts.demand {
        None => Err(Needs::Check(Check::Ping04)),
        Some(Demand::Nothing) => Ok(Authorization::None),
        Some(Demand::Basic) => basic(case).ok_or(LOGIN),
        Some(Demand::Bearer { .. }) => {
            let refused = case.facts.replies.real.as_ref().is_some_and(is_denied);
            match &case.facts.token {
                Some(_) if refused => Err(Needs::Check(Check::Use02)),
                Some(token) => Ok(Authorization::Bearer(token.text.clone())),
                None => Err(tokenless(case)),
            }
        }
    }
}

/// Why there is no token: a check of the flow has failed, or nobody has logged in.
fn tokenless(case: &Case) -> Needs {
    let failed =
        Check::ALL.iter().find(|check| check.stage() > Stage::Local && case.failed(**check));
    failed.map_or(LOGIN, |check| Needs::Check(*check))
}

/// The password itself.
pub(super) fn basic(case: &Case) -> Option<Authorization> {
    match &case.facts.credential.as_ref()?.credential {
        Credential::Password { username, password } => {
            Some(Authorization::Basic { username: username.clone(), password: password.clone() })
        }
        Credential::IdentityToken { .. } | Credential::RegistryToken(_) => None,
    }
}

/// A token for these scopes, got as the caller would; `None` where none is given.
pub(super) async fn token(case: &Case, scopes: &str) -> Option<SecretString> {
    let realm = case.facts.realm.clone()?;
    let credential = case.facts.credential.as_ref().map(|found| &found.credential);
    let ask = match credential {
        None => Ask::get(query(realm, case, scopes, None)),
        Some(Credential::Password { username, .. }) => {
            let asked = Ask::get(query(realm, case, scopes, Some(username)));
            asked.with(basic(case).unwrap_or(Authorization::None))
        }
        Some(Credential::IdentityToken { token, .. }) => {
            let form = form(case, scopes, token);
            Ask::new(Method::POST, realm).send(Sent::Form(form))
        }
        Some(Credential::RegistryToken(token)) => return Some(token.clone()),
    };
    let seen = case.probe.ask(&ask).await.ok()?;
    let read = (seen.status == StatusCode::OK).then(|| token_response::read(&seen.body));
    Some(read?.ok()?.token.into())
}

/// What a token grants; `None` where it cannot be read.
pub(super) fn granted(token: &SecretString, now: SystemTime) -> Option<AccessSet> {
    Inspection::of(token.expose_secret(), now).ok()?.access().cloned()
}

/// `repository:team/app:pull`
pub(super) fn scope(access: &[Access]) -> String {
    access.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The Bearer challenge of an answer.
pub(super) fn challenged(seen: &Seen) -> Option<Received> {
    let lines = seen.headers.get_all(WWW_AUTHENTICATE).iter();
    challenge::parse(lines.map(reqwest::header::HeaderValue::as_bytes)).bearer().cloned()
}

/// Whether it was for want of rights.
pub(super) fn is_denied(seen: &Seen) -> bool {
    matches!(seen.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// `GET /v2/…: 404 …`
pub(super) fn told(ask: &Ask, answer: &Result<Seen, Silence>) -> String {
    let asked = format!("{} {}", ask.method, ask.url.path());
    match answer {
        Ok(seen) if seen.status.is_success() || seen.body.is_empty() => {
            format!("{asked}: {}", seen.status)
        }
        Ok(seen) => format!("{asked}: {} {}", seen.status, seen.excerpt()),
        Err(silence) => format!("{asked}: {silence}"),
    }
}

/// Why nothing can be said where enough has been asked.
pub(super) fn spent(silence: &Silence) -> Option<Needs> {
    (silence.kind == SilenceKind::Budget).then_some(ENOUGH)
}

fn query(mut realm: Url, case: &Case, scopes: &str, account: Option<&str>) -> Url {
    {
        let mut query = realm.query_pairs_mut();
        if let Some(service) = service(case) {
            query.append_pair("service", service);
        }
        for scope in scopes.split(' ') {
            query.append_pair("scope", scope);
        }
        if let Some(account) = account {
            query.append_pair("account", account);
        }
        query.append_pair("client_id", CLIENT);
    }
    realm
}

fn form(case: &Case, scopes: &str, token: &SecretString) -> Vec<(&'static str, SecretString)> {
    let mut fields = vec![
        ("grant_type", SecretString::from("refresh_token")),
        ("client_id", CLIENT.into()),
        ("scope", scopes.into()),
        ("refresh_token", token.clone()),
    ];
    fields.extend(service(case).map(|service| ("service", service.into())));
    fields
}

fn service(case: &Case) -> Option<&str> {
    match &case.facts.demand {
        Some(Demand::Bearer { service, .. }) => {
            service.as_deref().filter(|service| !service.is_empty())
        }
        _ => None,
    }
}

pub(super) const LOGIN: Needs = Needs::Input("--username NAME, or a login that is kept");
pub(super) const REPOSITORY: Needs = Needs::Input("a repository: HOST/REPOSITORY");
const ENOUGH: Needs = Needs::Nothing("enough was asked already");
const CLIENT: &str = "portpass";
