//! The credentials that the registry gets.

use std::time::SystemTime;

use portpass_client::credentials::Credential;
use portpass_protocol::{
    Access, AccessSet,
    challenge::{self, ReceivedChallenge},
    token_response,
};
use reqwest::{Method, StatusCode, Url, header::WWW_AUTHENTICATE};
use secrecy::{ExposeSecret as _, SecretString};

use super::answer::is_denied;
use crate::{
    Check, Needs, Stage,
    exchange::{Authorization, Request, RequestBody, Response},
    inspect::Inspection,
    observations::RequiredAuth,
    run::Run,
};

/// What the caller sends to read the repository, or the check that has to pass first.
pub(super) fn authorization(run: &Run) -> Result<Authorization, Needs> {
    for check in [Check::Use02, Check::Acc01, Check::Use03] {
        if run.failed(check) {
            return Err(Needs::Check(check));
        }
    }
    match &run.observed.required_auth {
        None => Err(Needs::Check(Check::Ping04)),
        Some(RequiredAuth::Nothing) => Ok(Authorization::None),
        Some(RequiredAuth::Basic) => basic(run).ok_or(LOGIN),
        Some(RequiredAuth::Bearer { .. }) => {
            let refused = run.observed.replies.real.as_ref().is_some_and(is_denied);
            match &run.observed.token {
                Some(_) if refused => Err(Needs::Check(Check::Use02)),
                Some(token) => Ok(Authorization::Bearer(token.text.clone())),
                None => Err(tokenless(run)),
            }
        }
    }
}

/// Why there is no token: a check of the flow has failed, or nobody has logged in.
fn tokenless(run: &Run) -> Needs {
    let failed =
        Check::ALL.iter().find(|check| check.stage() > Stage::Local && run.failed(**check));
    failed.map_or(LOGIN, |check| Needs::Check(*check))
}

/// The password itself.
pub(super) fn basic(run: &Run) -> Option<Authorization> {
    match &run.observed.credential.as_ref()?.credential {
        Credential::Password { username, password } => {
            Some(Authorization::Basic { username: username.clone(), password: password.clone() })
        }
        Credential::IdentityToken { .. } | Credential::RegistryToken(_) => None,
    }
}

/// A token for these scopes, got as the caller would; `None` where none is given.
pub(super) async fn token(run: &Run, scopes: &str) -> Option<SecretString> {
    let realm = run.observed.realm.clone()?;
    let credential = run.observed.credential.as_ref().map(|found| &found.credential);
    let request = match credential {
        None => Request::get(query(realm, run, scopes, None)),
        Some(Credential::Password { username, .. }) => {
            let asked = Request::get(query(realm, run, scopes, Some(username)));
            asked.with(basic(run).unwrap_or(Authorization::None))
        }
        Some(Credential::IdentityToken { token, .. }) => {
            let form = form(run, scopes, token);
            Request::new(Method::POST, realm).body(RequestBody::Form(form))
        }
        Some(Credential::RegistryToken(token)) => return Some(token.clone()),
    };
    let response = run.probe.send(&request).await.ok()?;
    let read = (response.status == StatusCode::OK).then(|| token_response::read(&response.body));
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
pub(super) fn challenged(response: &Response) -> Option<ReceivedChallenge> {
    let lines = response.headers.get_all(WWW_AUTHENTICATE).iter();
    challenge::parse(lines.map(reqwest::header::HeaderValue::as_bytes)).bearer().cloned()
}

fn query(mut realm: Url, run: &Run, scopes: &str, account: Option<&str>) -> Url {
    {
        let mut query = realm.query_pairs_mut();
        if let Some(service) = service(run) {
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

fn form(run: &Run, scopes: &str, token: &SecretString) -> Vec<(&'static str, SecretString)> {
    let mut fields = vec![
        ("grant_type", SecretString::from("refresh_token")),
        ("client_id", CLIENT.into()),
        ("scope", scopes.into()),
        ("refresh_token", token.clone()),
    ];
    fields.extend(service(run).map(|service| ("service", service.into())));
    fields
}

fn service(run: &Run) -> Option<&str> {
    match &run.observed.required_auth {
        Some(RequiredAuth::Bearer { service, .. }) => {
            service.as_deref().filter(|service| !service.is_empty())
        }
        _ => None,
    }
}

pub(super) const LOGIN: Needs = Needs::Input("--username NAME, or a stored login");
pub(super) const REPOSITORY: Needs = Needs::Input("a repository: HOST/REPOSITORY");
const CLIENT: &str = "portpass";
