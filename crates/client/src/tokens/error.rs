//! Errors of a token service.

use std::time::Duration;

use portpass_protocol::{
    error::reported::Reported,
    token_response::{MAX_LENGTH, TokenResponseError},
};

use super::TokenFlow;
use crate::transport::{TransportError, retry_after_text};

/// Why a token service issued no token. Messages contain its response on one line, and never what
/// was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It takes no refresh tokens, but one is all that we have.
    #[error("the token service {realm} supports no identity token (POST fails with {status})")]
    NoRefresh {
        /// Its URL.
        realm: String,
        /// 404 or 405.
        status: u16,
    },
    /// It answered 200, and what it said has no token in it.
    #[error("{error} ({realm})")]
    NoToken {
        /// Its URL.
        realm: String,
        /// What was there instead.
        error: TokenResponseError,
    },
    /// The stored credential is a token itself.
    #[error(
        "the stored credential is a token for the registry itself, which no token service accepts"
    )]
    ReadyMade,
    /// Wrong password, or a refresh token that counts no more.
    #[error("the token service {realm} {}: {said}", refuses(*flow))]
    Refused {
        /// Its URL.
        realm: String,
        /// What was sent.
        flow: TokenFlow,
        /// What it says about it.
        said: Reported,
    },
    /// Any other status.
    #[error("the token service {realm} responds with {status}{}: {said}", retry_after_text(*after))]
    Status {
        /// Its URL.
        realm: String,
        /// Of HTTP.
        status: u16,
        /// For how long it wants to be left alone, where it says so.
        after: Option<Duration>,
        /// What it says about it.
        said: Reported,
    },
    /// More than any client reads.
    #[error("the response of the token service {realm} is longer than {MAX_LENGTH} bytes")]
    TooLong {
        /// Its URL.
        realm: String,
    },
    /// It did not answer at all.
    #[error("the token service sent no response: {error}")]
    Transport {
        /// Why not.
        error: TransportError,
    },
}

impl TokenError {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoRefresh { .. } | Self::Refused { flow: TokenFlow::Refresh, .. } => {
                "log in again, with the password"
            }
            Self::NoToken { .. } | Self::TooLong { .. } => {
                "the response must be a JSON object with the token under \"token\" and \"access_token\", and \"expires_in\" in seconds"
            }
            Self::Refused { flow: TokenFlow::Anonymous, .. } => "log in first",
            Self::Status { status: 404, .. } => {
                "the path of `realm` in the registry's `auth: token:` must be the one that the token service serves"
            }
            Self::Status { status: 429, .. } => "wait a moment, then try again",
            Self::Transport { error } => return error.hints(),
            Self::ReadyMade | Self::Refused { .. } | Self::Status { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

fn refuses(flow: TokenFlow) -> &'static str {
    match flow {
        TokenFlow::Anonymous => "gives no token to anonymous users",
        TokenFlow::Basic | TokenFlow::Password => "refuses the name or the password",
        TokenFlow::Refresh => "refuses the identity token",
    }
}
