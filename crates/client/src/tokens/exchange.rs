//! The two ways to ask a token service, and when one is tried after the other.

use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portpass_protocol::token_response::{self, ReceivedToken};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::Serializer;

use super::{TokenError, TokenFlow, TokenRequest};
use crate::{
    credentials::Credential,
    transport::{BufferedRequest, BufferedResponse, Transport, retry_after},
};

/// What we call ourselves; for the service's records (TG8).
const CLIENT_ID: &str = "portpass";

/// Asks for a token.
///
/// A refresh token goes by POST, a password by GET: a wrong one is refused once. A service that has no
/// GET at all (404, 405) is asked by POST.
pub(super) async fn exchange(
    transport: &Transport,
    request: &TokenRequest,
    credential: Option<&Credential>,
    now: SystemTime,
) -> Result<(ReceivedToken, TokenFlow), TokenError> {
    let flow = match credential {
        None => TokenFlow::Anonymous,
        Some(Credential::Password { .. }) => TokenFlow::Basic,
        Some(Credential::IdentityToken { .. }) => TokenFlow::Refresh,
        Some(Credential::RegistryToken(_)) => return Err(TokenError::ReadyMade),
    };
    let answer = send(transport, request, credential, flow).await?;
    let no_such_flow =
        matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    if no_such_flow && flow == TokenFlow::Basic {
        let by_post = send(transport, request, credential, TokenFlow::Password).await?;
        if !matches!(by_post.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Ok((read(request, TokenFlow::Password, &by_post, now)?, TokenFlow::Password));
        }
    }
    Ok((read(request, flow, &answer, now)?, flow))
}

async fn send(
    transport: &Transport,
    request: &TokenRequest,
    credential: Option<&Credential>,
    flow: TokenFlow,
) -> Result<BufferedResponse, TokenError> {
    let mut call = BufferedRequest::get(request.realm.url().clone(), request.realm.zone());
    match flow {
        TokenFlow::Anonymous | TokenFlow::Basic => query(&mut call.url, request, credential),
        TokenFlow::Password | TokenFlow::Refresh => {
            call.method = Method::POST;
            call.form = Some(form(request, credential));
        }
    }
    if flow == TokenFlow::Basic
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
fn query(url: &mut Url, request: &TokenRequest, credential: Option<&Credential>) {
    let mut query = url.query_pairs_mut();
    if let Some(service) = &request.service {
        query.append_pair("service", service);
    }
    for scope in request.scopes.words() {
        query.append_pair("scope", &scope);
    }
    if let Some(Credential::Password { username, .. }) = credential {
        query.append_pair("account", username);
    }
    query.append_pair("client_id", CLIENT_ID);
    if request.offline {
        query.append_pair("offline_token", "true");
    }
}

/// POST has one `scope` with spaces (TP1).
fn form(request: &TokenRequest, credential: Option<&Credential>) -> SecretString {
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
    if let Some(service) = &request.service {
        form.append_pair("service", service);
    }
    if !request.scopes.is_empty() {
        form.append_pair("scope", &request.scopes.to_string());
    }
    if request.offline {
        form.append_pair("access_type", "offline");
    }
    form.finish().into()
}

fn read(
    request: &TokenRequest,
    flow: TokenFlow,
    answer: &BufferedResponse,
    now: SystemTime,
) -> Result<ReceivedToken, TokenError> {
    let realm = request.realm.shown();
    match answer.status {
        StatusCode::OK if answer.truncated => Err(TokenError::TooLong { realm }),
        StatusCode::OK => {
            token_response::read(&answer.body).map_err(|error| TokenError::NoToken { realm, error })
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if flow == TokenFlow::Refresh => {
            Err(TokenError::NoRefresh { realm, status: answer.status.as_u16() })
        }
        StatusCode::UNAUTHORIZED => Err(TokenError::Refused { realm, flow, said: answer.said() }),
        // RFC 6749 §5.2 has 400 for a bad grant.
        StatusCode::BAD_REQUEST if answer.said().has_code("invalid_grant") => {
            Err(TokenError::Refused { realm, flow, said: answer.said() })
        }
        status => Err(TokenError::Status {
            realm,
            status: status.as_u16(),
            after: retry_after(&answer.headers, now),
            said: answer.said(),
        }),
    }
}
