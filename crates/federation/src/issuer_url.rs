//! The URL of an issuer.

use std::{fmt, net::IpAddr, str::FromStr};

use url::{Host, Url};

/// Who signs tokens: an https URL, compared byte for byte with `iss` (OpenID Connect Discovery §4.3).
///
/// Plain HTTP is accepted on loopback alone: whoever can change what comes from there can sign for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IssuerUrl {
    text: Box<str>,
    url: Url,
}

impl IssuerUrl {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where its discovery document lies.
    pub(crate) fn discovery(&self) -> Url {
        let mut url = self.url.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{path}/.well-known/openid-configuration"));
        url
    }
}

impl FromStr for IssuerUrl {
    type Err = IssuerUrlError;

    fn from_str(text: &str) -> Result<Self, IssuerUrlError> {
        let url = secure_url(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(IssuerUrlError::Query);
        }
        Ok(Self { text: text.into(), url })
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A URL that may be asked: https, or plain HTTP on loopback.
pub fn secure_url(text: &str) -> Result<Url, IssuerUrlError> {
    let url =
        Url::parse(text).map_err(|error| IssuerUrlError::Malformed { why: error.to_string() })?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(IssuerUrlError::Malformed {
            why: "it does not begin with https://".to_owned(),
        });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(IssuerUrlError::Credentials);
    }
    if is_secure(&url) { Ok(url) } else { Err(IssuerUrlError::PlainHttp) }
}

/// Whether nobody between can change what is said.
pub(crate) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Whether it leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Why a text is no URL that is asked for accounts or keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerUrlError {
    /// With a user name or a password.
    #[error("the URL has a user name or a password in it")]
    Credentials,
    /// No URL.
    #[error("it is not a URL: {why}")]
    Malformed {
        /// Why.
        why: String,
    },
    /// Not https.
    #[error(
        "plain HTTP is only accepted on loopback: anybody on the way could sign tokens or accept passwords"
    )]
    PlainHttp,
    /// With a query or a fragment.
    #[error("the URL of an issuer has no `?` and no `#`")]
    Query,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_https_or_on_loopback() {
        for text in [
            "https://token.actions.githubusercontent.com",
            "https://gitlab.example.com/",
            "https://oidc.eks.example/id/ABC",
            "http://127.0.0.1:8080",
            "http://[::1]:8080/x",
            "http://localhost:1",
        ] {
            assert_eq!(text.parse::<IssuerUrl>().unwrap().as_str(), text);
        }
        for text in [
            "http://gitlab.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "ftp://example.com",
            "example.com",
            "https://u:p@example.com",
            "https://example.com?x",
            "https://example.com#x",
            "",
        ] {
            assert!(text.parse::<IssuerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_document_lies_below_the_path() {
        for (issuer, document) in [
            ("https://a.example", "https://a.example/.well-known/openid-configuration"),
            ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
            ("https://a.example/id/X", "https://a.example/id/X/.well-known/openid-configuration"),
        ] {
            assert_eq!(issuer.parse::<IssuerUrl>().unwrap().discovery().as_str(), document);
        }
    }
}
