//! Giving a refresh token back.

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::Serializer;

use crate::{
    realm::Realm,
    transport::{Call, Transport},
};

/// Where our own token service takes them back; no challenge and no document names the place.
const PATH: &str = "/oauth/revoke";

/// What became of a refresh token that is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenBack {
    /// It is no good to anybody any more.
    Yes,
    /// Its service takes none back: it is good until it expires there.
    NotTaken,
    /// It could not be told.
    No(String),
}

/// Posts the token to the origin that it is posted to anyway.
pub(super) async fn revoke(
    transport: &Transport,
    realm: &Realm,
    token: &SecretString,
) -> GivenBack {
    let mut url = realm.url().clone();
    url.set_path(PATH);
    url.set_query(None);
    let form = Serializer::new(String::new())
        .append_pair("token", token.expose_secret())
        .append_pair("token_type_hint", "refresh_token")
        .finish();
    let call =
        Call { method: Method::POST, form: Some(form.into()), ..Call::get(url, realm.reach()) };
    match transport.send(call).await {
        Ok(answer) if answer.status == StatusCode::OK => GivenBack::Yes,
        Ok(answer)
            if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) =>
        {
            GivenBack::NotTaken
        }
        Ok(answer) => GivenBack::No(format!(
            "{} answers {}: {}",
            answer.shown_url(),
            answer.status,
            answer.said()
        )),
        Err(error) => GivenBack::No(error.to_string()),
    }
}
