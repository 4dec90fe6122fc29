//! Revocation of a refresh token (RFC 7009).

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::Serializer;

use crate::{
    realm::Realm,
    transport::{BufferedRequest, Transport},
};

/// The revocation endpoint of portpass's token service. No challenge names it.
const PATH: &str = "/oauth/revoke";

/// The result of revoking a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// It is no longer valid.
    Revoked,
    /// The token service has no revocation. The token stays valid until it expires.
    Unsupported,
    /// The revocation failed, for this reason.
    Failed(String),
}

/// Posts the token to the origin that it is posted to anyway.
pub(super) async fn revoke(
    transport: &Transport,
    realm: &Realm,
    token: &SecretString,
) -> Revocation {
    let mut url = realm.url().clone();
    url.set_path(PATH);
    url.set_query(None);
    let form = Serializer::new(String::new())
        .append_pair("token", token.expose_secret())
        .append_pair("token_type_hint", "refresh_token")
        .finish();
    let call = BufferedRequest {
        method: Method::POST,
        form: Some(form.into()),
        ..BufferedRequest::get(url, realm.zone())
    };
    match transport.send(call).await {
        Ok(answer) if answer.status == StatusCode::OK => Revocation::Revoked,
        Ok(answer)
            if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) =>
        {
            Revocation::Unsupported
        }
        Ok(answer) => Revocation::Failed(format!(
            "{} responds with {}: {}",
            answer.shown_url(),
            answer.status,
            answer.said()
        )),
        Err(error) => Revocation::Failed(error.to_string()),
    }
}
