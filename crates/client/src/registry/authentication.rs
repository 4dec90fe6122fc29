//! The authentication that a 401 requires (RFC 7235).

use portpass_protocol::challenge::{self, Challenges};
use reqwest::{StatusCode, header::WWW_AUTHENTICATE};

use super::Error;
use crate::transport::BufferedResponse;

/// The authentication that the next request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequiredAuthentication {
    /// None: the request succeeded.
    None,
    /// A name and a password (RFC 7617).
    Basic,
    /// A token from this realm, for this service (RFC 6750).
    Bearer { realm: String, service: Option<String>, scope: String, error: Option<String> },
}

/// Reads the response to a request under `/v2/`. `Bearer` is preferred to `Basic`.
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
