//! The two ways to ask a token service, and when one is tried after the other.

use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portpass_protocol::token_response::{self, ReceivedToken};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::Serializer;

use super::{Ask, Leg, TokenError};
use crate::{
    credentials::Credential,
    transport::{Answer, Call, Transport, retry_after},
};

/// What we call ourselves; for the service's records (TG8).
const CLIENT_ID: &str = "portpass";

/// Asks for a token.
///
/// A refresh token goes by POST, a password by GET: a wrong one is refused once. A service that has no
/// GET at all (404, 405) is asked by POST.
pub(super) async fn exchange(
    transport: &Transport,
    ask: &Ask,
    credential: Option<&Credential>,
    now: SystemTime,
) -> Result<(ReceivedToken, Leg), TokenError> {
    let leg = match credential {
        None => Leg::Anonymous,
        Some(Credential::Password { .. }) => Leg::Basic,
        Some(Credential::IdentityToken { .. }) => Leg::Refresh,
        Some(Credential::RegistryToken(_)) => return Err(TokenError::ReadyMade),
    };
    let answer = send(transport, ask, credential, leg).await?;
    let no_such_leg =
        matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    if no_such_leg && leg == Leg::Basic {
        let by_post = send(transport, ask, credential, Leg::Password).await?;
        if !matches!(by_post.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Ok((read(ask, Leg::Password, &by_post, now)?, Leg::Password));
        }
    }
    Ok((read(ask, leg, &answer, now)?, leg))
}

async fn send(
    transport: &Transport,
    ask: &Ask,
    credential: Option<&Credential>,
    leg: Leg,
) -> Result<Answer, TokenError> {
    let mut call = Call::get(ask.realm.url().clone(), ask.realm.reach());
    match leg {
        Leg::Anonymous | Leg::Basic => query(&mut call.url, ask, credential),
        Leg::Password | Leg::Refresh => {
            call.method = Method::POST;
            call.form = Some(form(ask, credential));
        }
    }
    if leg == Leg::Basic
        && let Some(Credential::Password { username, password }) = credential
    {
        call.authorization = Some(basic(username, password));
    }
    transport.send(call).await.map_err(|error| TokenError::Transport { error })
}

/// `Basic …`, as UTF-8 (TG2).
pub(crate) fn basic(username: &str, password: &SecretString) -> SecretString {
    let pair = SecretString::from(format!("{username}:{}", password.expose_secret()));
    format!("Basic {}", STANDARD.encode(pair.expose_secret())).into()
}

/// GET names the account, repeats `scope`, and keeps the query that the realm had (TG1, T6).
fn query(url: &mut Url, ask: &Ask, credential: Option<&Credential>) {
    let mut query = url.query_pairs_mut();
    if let Some(service) = &ask.service {
        query.append_pair("service", service);
    }
    for scope in ask.scopes.words() {
        query.append_pair("scope", &scope);
    }
    if let Some(Credential::Password { username, .. }) = credential {
        query.append_pair("account", username);
    }
    query.append_pair("client_id", CLIENT_ID);
    if ask.offline {
        query.append_pair("offline_token", "true");
    }
}

/// POST has one `scope` with spaces (TP1).
fn form(ask: &Ask, credential: Option<&Credential>) -> SecretString {
    let mut form = Serializer::new(String::new());
    form.append_pair("client_id", CLIENT_ID);
    match credential {
        Some(Credential::Password { username, password }) => {
            form.append_pair("grant_type", "password");
            form.append_pair("username", username);
            form.append_pair("password", password.expose_secret());
        }
        Some(Credential::IdentityToken { token, .. }) => {
            form.append_pair("grant_type", "refresh_token");
            form.append_pair("refresh_token", token.expose_secret());
        }
        Some(Credential::RegistryToken(_)) | None => {}
    }
    if let Some(service) = &ask.service {
        form.append_pair("service", service);
    }
    if !ask.scopes.is_empty() {
        form.append_pair("scope", &ask.scopes.to_string());
    }
    if ask.offline {
        form.append_pair("access_type", "offline");
    }
    form.finish().into()
}

fn read(
    ask: &Ask,
    leg: Leg,
    answer: &Answer,
    now: SystemTime,
) -> Result<ReceivedToken, TokenError> {
    let realm = ask.realm.shown();
    match answer.status {
        StatusCode::OK if answer.truncated => Err(TokenError::TooLong { realm }),
        StatusCode::OK => {
            token_response::read(&answer.body).map_err(|error| TokenError::NoToken { realm, error })
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if leg == Leg::Refresh => {
            Err(TokenError::NoRefresh { realm, status: answer.status.as_u16() })
        }
        StatusCode::UNAUTHORIZED => Err(TokenError::Refused { realm, leg, said: answer.said() }),
        // RFC 6749 §5.2 has 400 for a bad grant.
        StatusCode::BAD_REQUEST if answer.said().has_code("invalid_grant") => {
            Err(TokenError::Refused { realm, leg, said: answer.said() })
        }
        status => Err(TokenError::Status {
            realm,
            status: status.as_u16(),
            after: retry_after(&answer.headers, now),
            said: answer.said(),
        }),
    }
}
