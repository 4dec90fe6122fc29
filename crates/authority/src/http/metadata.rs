//! RFC 8414: where the endpoints are and what they take.

use std::fmt;

use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{Method, Request, Uri, header, uri::Scheme};
use portpass_protocol::origin::Origin;
use portpass_token::Issuer;
use serde::Serialize;

use super::{
    INTROSPECT_PATH, JWKS_CACHING, JWKS_PATH, REVOKE_PATH, TokenPath, json, options, refusal, set,
};
use crate::request::grants;

/// The metadata of a token service, written down.
#[derive(Debug, Clone)]
pub struct Metadata {
    path: Box<str>,
    body: Bytes,
}

/// What the metadata speaks of beside the issuer.
#[derive(Debug)]
pub struct Endpoints<'a> {
    /// How clients reach the service; absent: where the issuer's URL leads.
    pub url: Option<&'a Origin>,
    /// Where the token endpoint lies.
    pub token: &'a TokenPath,
    /// Whether there is introspection.
    pub introspection: bool,
    /// Whether there are issuers of tokens that can be exchanged (RFC 8693).
    pub token_exchange: bool,
}

impl Metadata {
    /// Of a service whose issuer is a URL that clients can make the metadata's URL of (RFC 8414 §2, §3).
    ///
    /// # Errors
    /// If it is none. Registries compare `iss` letter by letter and need no URL; the metadata would have to
    /// name another issuer than the tokens do.
    pub fn new(issuer: &Issuer, endpoints: &Endpoints<'_>) -> Result<Self, NoMetadata> {
        let (origin, path) = split(issuer.as_str())?;
        let base = endpoints.url.map_or(origin, ToString::to_string);
        let at = |path: &str| format!("{base}{path}");
        let introspection = endpoints.introspection;
        let document = Document {
            issuer: issuer.as_str(),
            token_endpoint: at(endpoints.token.as_str()),
            jwks_uri: at(JWKS_PATH),
            scopes_supported: &["registry:catalog:*"],
            response_types_supported: &[],
            grant_types_supported: grants(endpoints.token_exchange).collect(),
            token_endpoint_auth_methods_supported: &["none"],
            revocation_endpoint: at(REVOKE_PATH),
            revocation_endpoint_auth_methods_supported: &["none"],
            introspection_endpoint: introspection.then(|| at(INTROSPECT_PATH)),
            introspection_endpoint_auth_methods_supported: introspection
                .then_some(&["client_secret_basic"]),
        };
        let text = serde_json::to_string(&document).unwrap_or_default();
        Ok(Self { path: format!("{METADATA_PATH}{path}").into(), body: text.into() })
    }

    /// Where it lies: behind the well-known path stands that of the issuer (RFC 8414 §3).
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// RFC 8414 §2. `scopes_supported` has the one scope that is always the same: those of repositories are as many
/// as repositories. There is no authorization endpoint, so there are no response types; the member is required
/// all the same.
#[derive(Debug, Serialize)]
struct Document<'a> {
    issuer: &'a str,
    token_endpoint: String,
    jwks_uri: String,
    scopes_supported: &'static [&'static str],
    response_types_supported: &'static [&'static str],
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_methods_supported: Option<&'static [&'static str; 1]>,
}

pub(super) async fn metadata(State(metadata): State<Metadata>, request: Request<Body>) -> Response {
    if *request.method() == Method::OPTIONS {
        return options("GET, HEAD");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return refusal::method("GET, HEAD");
    }
    let mut response = Response::new(Body::from(metadata.body));
    json(response.headers_mut());
    set(response.headers_mut(), header::CACHE_CONTROL, JWKS_CACHING);
    response
}

/// Why a service has no metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the issuer {issuer:?} {why}")]
pub struct NoMetadata {
    issuer: Box<str>,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    NoUrl,
    Query,
    Scheme,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "is no URL of a host and a path",
            Self::Query => "has a query or a fragment",
            Self::Scheme => "is no https URL",
        })
    }
}

/// The origin and the path of an issuer, without a slash at its end.
fn split(issuer: &str) -> Result<(String, &str), NoMetadata> {
    let refuse = |why| NoMetadata { issuer: issuer.into(), why };
    if issuer.contains(['?', '#']) {
        return Err(refuse(Why::Query));
    }
    let uri: Uri = issuer.parse().map_err(|_| refuse(Why::NoUrl))?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(refuse(Why::NoUrl));
    };
    // On this machine nobody listens in: for tests, and for a proxy's sake.
    let loopback = ["localhost", "127.0.0.1", "[::1]"].contains(&authority.host());
    if *scheme != Scheme::HTTPS && !(*scheme == Scheme::HTTP && loopback) {
        return Err(refuse(Why::Scheme));
    }
    let origin = format!("{scheme}://{authority}");
    let path = issuer.strip_prefix(&origin).ok_or_else(|| refuse(Why::NoUrl))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b);
    if authority.as_str().contains('@') || !path.bytes().all(plain) {
        return Err(refuse(Why::NoUrl));
    }
    Ok((origin, path.strip_suffix('/').unwrap_or(path)))
}

/// Where metadata lies, but for the path of the issuer.
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoints(token: &TokenPath) -> Endpoints<'_> {
        Endpoints { url: None, token, introspection: false, token_exchange: false }
    }

    #[test]
    fn an_issuer_that_is_no_https_url_has_no_metadata() {
        let token = TokenPath::default();
        for (issuer, why) in [
            ("portpass", "is no URL of a host and a path"),
            ("", "is no URL of a host and a path"),
            ("/auth", "is no URL of a host and a path"),
            ("auth.example.com", "is no URL of a host and a path"),
            ("https:auth.example.com", "is no URL of a host and a path"),
            ("https://ann@auth.example.com", "is no URL of a host and a path"),
            ("https://auth.example.com/a b", "is no URL of a host and a path"),
            ("https://auth.example.com/{a}", "is no URL of a host and a path"),
            ("http://auth.example.com", "is no https URL"),
            ("ftp://auth.example.com", "is no https URL"),
            ("https://auth.example.com/?a", "has a query or a fragment"),
            ("https://auth.example.com#a", "has a query or a fragment"),
        ] {
            let error = Metadata::new(&Issuer::new(issuer), &endpoints(&token)).unwrap_err();
            assert_eq!(error.to_string(), format!("the issuer {issuer:?} {why}"));
        }
    }

    /// RFC 8414 §3.1
    #[test]
    fn the_path_of_the_issuer_stands_behind_the_well_known_one() {
        let token = TokenPath::default();
        for (issuer, path) in [
            ("https://auth.example.com", ""),
            ("https://auth.example.com/", ""),
            ("https://auth.example.com:8443/registry", "/registry"),
            ("https://[2001:db8::1]/a/b/", "/a/b"),
            ("http://127.0.0.1:5000", ""),
        ] {
            let metadata = Metadata::new(&Issuer::new(issuer), &endpoints(&token)).unwrap();
            assert_eq!(metadata.path(), format!("{METADATA_PATH}{path}"), "{issuer}");
            let document: serde_json::Value = serde_json::from_slice(&metadata.body).unwrap();
            assert_eq!(document["issuer"], issuer, "letter by letter (RFC 8414 §3.3)");
        }
    }

    proptest! {
        #[test]
        fn any_issuer_has_metadata_at_a_plain_path_or_none(issuer in "(https://|http://|)[a-z\\[\\]:@./?#{}%* \\\\-]{0,24}") {
            let token = TokenPath::default();
            if let Ok(metadata) = Metadata::new(&Issuer::new(issuer.clone()), &endpoints(&token)) {
                let router = axum::Router::<()>::new().route(metadata.path(), axum::routing::any(|| async {}));
                drop(router);
                let document: serde_json::Value = serde_json::from_slice(&metadata.body).unwrap();
                prop_assert_eq!(&document["issuer"], &issuer);
                let endpoint: Uri = document["token_endpoint"].as_str().unwrap().parse().unwrap();
                prop_assert_eq!(endpoint.path(), "/token");
            }
        }
    }
}
