//! What a 401 demands.

use portpass_protocol::challenge::{self, Challenges};
use reqwest::{StatusCode, header::WWW_AUTHENTICATE};

use super::Error;
use crate::transport::BufferedResponse;

/// How to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequiredAuthentication {
    /// It was served without.
    None,
    /// With a name and a password.
    Basic,
    /// With a token of this realm, for this service.
    Bearer { realm: String, service: Option<String>, scope: String, error: Option<String> },
}

/// Reads the answer to a request under `/v2/`. A token is what we come back with if it is offered.
pub(crate) fn required_authentication(
    answer: &BufferedResponse,
) -> Result<RequiredAuthentication, Error> {
    match answer.status {
        StatusCode::UNAUTHORIZED => {}
        status if status.is_success() => return Ok(RequiredAuthentication::None),
        status => {
            return Err(Error::Status { url: answer.shown_url(), status, said: answer.said() });
        }
    }
    let lines =
        answer.headers.get_all(WWW_AUTHENTICATE).iter().map(reqwest::header::HeaderValue::as_bytes);
    let challenges = challenge::parse(lines);
    if let Some(bearer) = challenges.bearer() {
        let Some(realm) = bearer.realm().filter(|realm| !realm.is_empty()) else {
            return Err(Error::NoRealm { url: answer.shown_url() });
        };
        return Ok(RequiredAuthentication::Bearer {
            realm: realm.to_owned(),
            service: bearer.service().filter(|service| !service.is_empty()).map(str::to_owned),
            scope: bearer.scope().unwrap_or_default().to_owned(),
            error: bearer.error().map(str::to_owned),
        });
    }
    match challenges.basic() {
        Some(_) => Ok(RequiredAuthentication::Basic),
        None => Err(Error::NoChallenge { url: answer.shown_url(), offered: offered(&challenges) }),
    }
}

fn offered(challenges: &Challenges) -> String {
    let schemes: Vec<&str> = challenges.iter().map(|challenge| challenge.scheme.as_str()).collect();
    if schemes.is_empty() { "nothing".to_owned() } else { schemes.join(", ") }
}
