//! Giving a refresh token back.

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::Serializer;

use crate::{
    realm::Realm,
    transport::{BufferedRequest, Transport},
};

/// Where our own token service takes them back; no challenge and no document names the place.
const PATH: &str = "/oauth/revoke";

/// What became of a refresh token that is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// It is no good to anybody any more.
    Revoked,
    /// Its service takes none back: it is good until it expires there.
    Unsupported,
    /// It could not be told.
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
            "{} answers {}: {}",
            answer.shown_url(),
            answer.status,
            answer.said()
        )),
        Err(error) => Revocation::Failed(error.to_string()),
    }
}
