//! What a registry's answer says of the credentials in the request.

use std::time::SystemTime;

use portpass_protocol::challenge;
use reqwest::{StatusCode, header::HeaderValue};

use super::{Observations, exchange::Response, observations::RegistryAnswers};

/// An answer to a request with a token or a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They are accepted. That there is nothing there (404) is no refusal.
    Accepted,
    /// The token holds and grants too little (`insufficient_scope`).
    InsufficientScope,
    /// The token does not hold (`invalid_token`).
    InvalidToken,
    /// A 401 that says nothing of any token, as to a client without one.
    Unauthorized,
    /// Anything else.
    Other(StatusCode),
}

impl Outcome {
    /// Reads an answer.
    pub(super) fn of(response: &Response) -> Self {
        let error = error_of(response);
        match (response.status, error.as_deref()) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some("insufficient_scope")) => {
                Self::InsufficientScope
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => Self::InvalidToken,
            (StatusCode::UNAUTHORIZED, None) => Self::Unauthorized,
            (StatusCode::NOT_FOUND, _) => Self::Accepted,
            (status, _) if status.is_success() => Self::Accepted,
            (status, _) => Self::Other(status),
        }
    }

    /// Whether it says that the token is no good.
    pub(super) fn refuses(self) -> bool {
        let too_long = [
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ];
        match self {
            Self::InvalidToken | Self::Unauthorized => true,
            Self::Other(status) => too_long.contains(&status),
            Self::Accepted | Self::InsufficientScope => false,
        }
    }
}

/// The `error` of the Bearer challenge.
pub(super) fn error_of(response: &Response) -> Option<String> {
    let lines = response.headers.get_all("www-authenticate").iter().map(HeaderValue::as_bytes);
    let challenges = challenge::parse(lines);
    challenges.bearer()?.error().map(str::to_owned)
}

/// The `scope` of the Bearer challenge.
pub(super) fn scope_of(response: &Response) -> Option<String> {
    let lines = response.headers.get_all("www-authenticate").iter().map(HeaderValue::as_bytes);
    let challenges = challenge::parse(lines);
    challenges.bearer()?.scope().map(str::to_owned)
}

/// Whether the registry accepts the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenStatus {
    /// The registry took it at least once: signature, key, issuer, audience and times are good.
    Accepted,
    /// The registry refused it.
    Rejected,
    /// It was not sent, or the registry asks for none.
    Unknown,
}

impl RegistryAnswers {
    /// Every answer to the token.
    pub(super) fn to_the_token(&self) -> impl Iterator<Item = &Response> {
        self.real.iter().chain(&self.again).chain(&self.repository)
    }
}

impl Observations {
    /// Whether the registry accepts the token. A response that everybody gets proves nothing.
    pub(super) fn token_status(&self) -> TokenStatus {
        let open = |asked: &Option<Response>| {
            asked.as_ref().is_some_and(|response| response.status.is_success())
        };
        let on_ping = self.replies.real.iter().chain(&self.replies.again);
        let on_ping = on_ping.map(Outcome::of).filter(|_| !open(&self.ping));
        let on_repository = self.replies.repository.iter().map(Outcome::of);
        let on_repository = on_repository.filter(|_| !open(&self.repository));
        let replies: Vec<Outcome> = on_ping.chain(on_repository).collect();
        if replies
            .iter()
            .any(|reply| matches!(reply, Outcome::Accepted | Outcome::InsufficientScope))
        {
            TokenStatus::Accepted
        } else if replies.iter().any(|reply| reply.refuses()) {
            TokenStatus::Rejected
        } else {
            TokenStatus::Unknown
        }
    }

    /// The time at the registry when it is `now` here.
    pub(super) fn registry_time(&self, now: SystemTime) -> SystemTime {
        let RegistryAnswers { real, repository, garbage, .. } = &self.replies;
        let heard = real.iter().chain(repository).chain(garbage).chain(&self.ping);
        let clocks = heard.filter_map(|response| Some((response.date()?, response.at)));
        let Some((date, at)) = clocks.into_iter().next() else { return now };
        date + now.duration_since(at).unwrap_or_default()
    }
}
