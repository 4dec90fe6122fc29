//! The answer of a token service: [written](TokenResponse) so that every client there is takes it
//! (TG5, TP2, T3 to T5), and [`read`] from anybody, with what is wrong about it by name.

use std::{fmt, time::SystemTime};

use serde::Serialize;

mod oddity;
mod reader;

#[cfg(test)]
mod tests;

pub use oddity::TokenOddity;
pub use reader::{ReceivedToken, TokenResponseError, read};

/// The longest answer a client should have to read, in bytes (T3).
pub const MAX_LENGTH: usize = 64 * 1024;

/// What a token service answers with.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenResponse {
    /// The token, written under both of its names.
    pub token: String,
    /// Seconds until it expires: what its `exp` is after now. Clients take less than 60 for 60.
    pub expires_in: u64,
    /// Now, written in whole seconds.
    pub issued_at: SystemTime,
    /// The scopes granted, which only answers to POST have to say (TP2); may be empty.
    pub scope: Option<String>,
    /// Only where it was asked for and the POST leg takes it (T9).
    pub refresh_token: Option<String>,
    /// What was issued for another token, which RFC 8693 §2.2.1 wants to be told.
    pub issued_token_type: Option<&'static str>,
}

impl TokenResponse {
    /// As it is sent, in this order: `token`, `access_token`, `scope`, `expires_in`, `issued_at`,
    /// `refresh_token`; for a token exchange then `issued_token_type` and `token_type`.
    pub fn to_json(&self) -> String {
        let body = Body {
            token: &self.token,
            access_token: &self.token,
            scope: self.scope.as_deref(),
            expires_in: self.expires_in,
            issued_at: rfc3339(self.issued_at),
            refresh_token: self.refresh_token.as_deref(),
            issued_token_type: self.issued_token_type,
            token_type: self.issued_token_type.map(|_| "Bearer"),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl fmt::Debug for TokenResponse {
    /// Everything but the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("expires_in", &self.expires_in)
            .field("issued_at", &self.issued_at)
            .field("scope", &self.scope)
            .field("refresh_token", &self.refresh_token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    token: &'a str,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'a str>,
}

/// `2026-01-02T03:04:05Z` (T5); a time that has no such form is better left out than sent wrong.
fn rfc3339(time: SystemTime) -> Option<String> {
    let seconds = jiff::Timestamp::try_from(time).ok()?.as_second();
    Some(jiff::Timestamp::from_second(seconds).ok()?.to_string())
}
