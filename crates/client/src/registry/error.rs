//! Errors of a registry.

use portpass_protocol::error::reported::Reported;
use reqwest::StatusCode;

use crate::{
    credentials::CredentialsError, host::HostError, realm::RealmError, tokens::TokenError,
    transport::TransportError,
};

/// Why a registry or its token service could not be used. The message of every variant is a
/// complete sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kept credentials.
    #[error(transparent)]
    CredentialStore(#[from] CredentialsError),
    /// A host that no URL can be made of.
    #[error("{host:?} is not a valid host of a URL")]
    Host {
        /// As typed.
        host: String,
    },
    /// A text that names no registry.
    #[error(transparent)]
    Name(#[from] HostError),
    /// A 401 without a `Bearer` or `Basic` challenge.
    #[error(
        "{url} requires credentials, but accepts neither a token nor a password (it offers {offered})"
    )]
    NoChallenge {
        /// Without the query.
        url: String,
        /// The schemes it names.
        offered: String,
    },
    /// A `Bearer` challenge without a realm.
    #[error("{url} asks for a token, but its challenge has no realm")]
    NoRealm {
        /// Without the query.
        url: String,
    },
    /// The registry uses no tokens.
    #[error("{host} uses no tokens: {why}")]
    NoTokens {
        /// As typed.
        host: String,
        /// What it wants instead.
        why: &'static str,
    },
    /// A registry that checks passwords itself refused this one.
    #[error("{host} refuses the name or the password: {said}")]
    Password {
        /// As typed.
        host: String,
        /// What it says about it.
        said: Reported,
    },
    /// The challenge names a realm that must not get credentials.
    #[error(transparent)]
    Realm(#[from] RealmError),
    /// An unexpected status.
    #[error("{url} responds with {status}: {said}")]
    Status {
        /// Without the query.
        url: String,
        /// Of HTTP.
        status: StatusCode,
        /// What it says about it.
        said: Reported,
    },
    /// The token service.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The registry refuses a token of its own token service.
    #[error(
        "{host} refuses the token of its token service{}{}",
        error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default(),
        why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    )]
    TokenRefused {
        /// As typed.
        host: String,
        /// The challenge's `error`.
        error: Option<String>,
        /// What is wrong with the token, if the token shows it.
        why: Option<String>,
    },
    /// No response.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl Error {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::CredentialStore(error) => return error.hints(),
            Self::Realm(error) => return error.hints(),
            Self::Token(error) => return error.hints(),
            Self::Transport(error) => return error.hints(),
            Self::NoRealm { .. } => {
                "`realm` in the registry's `auth: token:` must be the token service's URL"
            }
            Self::Status { status: StatusCode::NOT_FOUND, .. } => {
                "is this a registry? its API must be under /v2/"
            }
            Self::TokenRefused { why: Some(_), .. } => {
                "the token service must issue JWTs with the registry's claims"
            }
            Self::TokenRefused { why: None, .. } => {
                "registry and token service must have the same issuer, service and keys, and correct clocks; the registry's log says what is wrong"
            }
            Self::Host { .. }
            | Self::Name(_)
            | Self::NoChallenge { .. }
            | Self::NoTokens { .. }
            | Self::Password { .. }
            | Self::Status { .. } => {
                return Vec::new();
            }
        };
        vec![hint.to_owned()]
    }
}
