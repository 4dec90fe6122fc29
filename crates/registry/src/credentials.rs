//! Who calls, and with which credentials, before anybody has looked at them.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use portpass_protocol::origin::ClientAddress;
use secrecy::SecretString;

/// Who calls, before anybody has said who it is.
#[derive(Debug)]
pub struct Caller<'a> {
    /// From where, as the listener says.
    pub address: Option<IpAddr>,
    /// With what in hand.
    pub credentials: Credentials<'a>,
}

impl<'a> Caller<'a> {
    /// Who sent a request, from what the listener has put into its extensions and from its headers.
    pub fn of(head: &'a Parts) -> Self {
        Self {
            address: head.extensions.get::<ClientAddress>().map(|address| address.0),
            credentials: Credentials::from_headers(&head.headers),
        }
    }
}

/// What a request's `Authorization` header holds.
#[derive(Debug)]
pub enum Credentials<'a> {
    /// There is no such header, or an empty one.
    Nothing,
    /// A name and a password (RFC 7617), split at the first colon.
    Basic {
        /// What stands before the colon; may be empty (HT4).
        username: String,
        /// All that stands behind it.
        password: SecretString,
    },
    /// A token, whatever it looks like (VO1).
    Bearer(&'a str),
    /// Something else.
    Other(CredentialsError),
}

impl<'a> Credentials<'a> {
    /// Reads the header as distribution does: scheme and credentials are told apart by exactly one
    /// space, and the scheme's case does not matter (VO1, HT1).
    ///
    /// Two headers are none: which of them counts would depend on who reads first (AR14).
    pub fn from_headers(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Self::Nothing,
            (Some(value), None) => value,
            (Some(_), Some(_)) => return Self::Other(CredentialsError::Several),
        };
        let Ok(text) = value.to_str() else {
            return Self::Other(CredentialsError::NotAscii);
        };
        if text.is_empty() {
            return Self::Nothing;
        }
        let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
        match (scheme.to_ascii_lowercase().as_str(), credentials) {
            ("bearer", "") => Self::Other(CredentialsError::NoToken),
            ("bearer", token) => Self::Bearer(token),
            ("basic", pair) => basic(pair).unwrap_or(Self::Other(CredentialsError::MalformedBasic)),
            _ => Self::Other(CredentialsError::Scheme),
        }
    }
}

/// Why an `Authorization` header cannot be read. Never shows what it holds: clients have put tokens
/// in all the wrong places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Basic, but not base64 of UTF-8 with a colon.
    #[error("the Authorization header says Basic, but what follows is not base64 of NAME:PASSWORD")]
    MalformedBasic,
    /// Bearer, and nothing behind it: the client had no token and went on without.
    #[error(
        "the Authorization header says Bearer, but no token follows: \
         the token service may have answered without `token` or `access_token`"
    )]
    NoToken,
    /// Bytes that no credentials have.
    #[error("the Authorization header is not ASCII")]
    NotAscii,
    /// Neither Basic nor Bearer, or no space behind it.
    #[error("the Authorization header begins neither with `Bearer ` nor with `Basic `")]
    Scheme,
    /// More than one header.
    #[error("the request has more than one Authorization header")]
    Several,
}

impl CredentialsError {
    /// A stable word for it.
    pub fn id(self) -> &'static str {
        match self {
            Self::MalformedBasic => "basic-malformed",
            Self::NoToken => "token-empty",
            Self::NotAscii => "authorization-not-ascii",
            Self::Scheme => "authorization-scheme",
            Self::Several => "authorization-repeated",
        }
    }
}

/// Splits base64 of `NAME:PASSWORD` at the first colon (HT1); `None` where there is no such thing.
fn basic(pair: &str) -> Option<Credentials<'static>> {
    let bytes = STANDARD.decode(pair).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credentials::Basic {
        username: username.to_owned(),
        password: SecretString::from(password),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn presented(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        match Credentials::from_headers(&headers) {
            Credentials::Nothing => "nothing".into(),
            Credentials::Basic { username, password } => {
                format!("basic {username:?} {:?}", password.expose_secret())
            }
            Credentials::Bearer(token) => format!("bearer {token:?}"),
            Credentials::Other(why) => why.id().into(),
        }
    }

    /// VO1, HT1, AR14
    #[test]
    fn an_authorization_header_is_read_as_distribution_reads_it() {
        for (value, expected) in [
            ("", "nothing"),
            ("Bearer a.b.c", r#"bearer "a.b.c""#),
            ("bearer a.b.c", r#"bearer "a.b.c""#),
            ("BEARER a.b.c", r#"bearer "a.b.c""#),
            ("Bearer  a.b.c", r#"bearer " a.b.c""#), // two spaces: a token that is none
            ("Bearer a b", r#"bearer "a b""#),
            ("Bearer", "token-empty"),
            ("Bearer ", "token-empty"),
            ("Bearer\ta.b.c", "authorization-scheme"),
            ("a.b.c", "authorization-scheme"),
            ("Token a.b.c", "authorization-scheme"),
            ("Negotiate abc", "authorization-scheme"),
            (" Bearer a.b.c", "authorization-scheme"),
            ("Basic YW5uOnNlY3JldA==", r#"basic "ann" "secret""#),
            ("basic YW5uOnNlY3JldA==", r#"basic "ann" "secret""#),
            ("Basic YW5uOmE6Yg==", r#"basic "ann" "a:b""#),
            ("Basic Og==", r#"basic "" """#),
            ("Basic YW5u", "basic-malformed"),           // no colon
            ("Basic YW5uOnNlY3JldA", "basic-malformed"), // no padding
            ("Basic  YW5uOnNlY3JldA==", "basic-malformed"), // two spaces
            ("Basic /zpz", "basic-malformed"),           // not UTF-8
            ("Basic !", "basic-malformed"),
            ("Basic", "basic-malformed"),
        ] {
            assert_eq!(presented(&[value.as_bytes()]), expected, "{value:?}");
        }
        assert_eq!(presented(&[]), "nothing");
        assert_eq!(presented(&[b"Bearer \xff"]), "authorization-not-ascii");
        assert_eq!(
            presented(&[b"Bearer a.b.c", b"Basic YW5uOnNlY3JldA=="]),
            "authorization-repeated"
        );
        assert_eq!(presented(&[b"Bearer a.b.c", b"Bearer a.b.c"]), "authorization-repeated");
        let umlauts = format!("Basic {}", STANDARD.encode("jürgen:pässword"));
        assert_eq!(presented(&[umlauts.as_bytes()]), r#"basic "jürgen" "pässword""#);
    }
}
