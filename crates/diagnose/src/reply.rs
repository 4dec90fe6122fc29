//! What a registry's answer says of the credentials that came with the question.

use std::time::SystemTime;

use portpass_protocol::challenge;
use reqwest::{StatusCode, header::HeaderValue};

use super::{Facts, facts::Replies, probe::Seen};

/// An answer to somebody with a token or a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// Whoever it was may have it; that there is nothing to have is no refusal.
    Taken,
    /// The token holds and grants too little (`insufficient_scope`).
    TooSmall,
    /// The token does not hold (`invalid_token`).
    Invalid,
    /// A 401 that says nothing of any token, as to those who show none.
    Unnamed,
    /// Anything else.
    Else(StatusCode),
}

impl Reply {
    /// Reads an answer.
    pub(super) fn of(seen: &Seen) -> Self {
        let error = error_of(seen);
        match (seen.status, error.as_deref()) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some("insufficient_scope")) => {
                Self::TooSmall
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => Self::Invalid,
            (StatusCode::UNAUTHORIZED, None) => Self::Unnamed,
            (StatusCode::NOT_FOUND, _) => Self::Taken,
            (status, _) if status.is_success() => Self::Taken,
            (status, _) => Self::Else(status),
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
            Self::Invalid | Self::Unnamed => true,
            Self::Else(status) => too_long.contains(&status),
            Self::Taken | Self::TooSmall => false,
        }
    }
}

/// The `error` of the Bearer challenge.
pub(super) fn error_of(seen: &Seen) -> Option<String> {
    let lines = seen.headers.get_all("www-authenticate").iter().map(HeaderValue::as_bytes);
    let challenges = challenge::parse(lines);
    challenges.bearer()?.error().map(str::to_owned)
}

/// The `scope` of the Bearer challenge.
pub(super) fn scope_of(seen: &Seen) -> Option<String> {
    let lines = seen.headers.get_all("www-authenticate").iter().map(HeaderValue::as_bytes);
    let challenges = challenge::parse(lines);
    challenges.bearer()?.scope().map(str::to_owned)
}

/// Where a token stands with its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The registry took it at least once: signature, key, issuer, audience and times are good.
    Taken,
    /// The registry refused it.
    Refused,
    /// It was not shown, or nobody had to show anything.
    Unknown,
}

impl Replies {
    /// Every answer to the token.
    pub(super) fn to_the_token(&self) -> impl Iterator<Item = &Seen> {
        self.real.iter().chain(&self.again).chain(&self.repository)
    }
}

impl Facts {
    /// Where the token stands. What is open to everybody proves nothing.
    pub(super) fn standing(&self) -> Standing {
        let open =
            |asked: &Option<Seen>| asked.as_ref().is_some_and(|seen| seen.status.is_success());
        let on_ping = self.replies.real.iter().chain(&self.replies.again);
        let on_ping = on_ping.map(Reply::of).filter(|_| !open(&self.ping));
        let on_repository = self.replies.repository.iter().map(Reply::of);
        let on_repository = on_repository.filter(|_| !open(&self.repository));
        let replies: Vec<Reply> = on_ping.chain(on_repository).collect();
        if replies.iter().any(|reply| matches!(reply, Reply::Taken | Reply::TooSmall)) {
            Standing::Taken
        } else if replies.iter().any(|reply| reply.refuses()) {
            Standing::Refused
        } else {
            Standing::Unknown
        }
    }

    /// The time at the registry when it is `now` here.
    pub(super) fn registry_time(&self, now: SystemTime) -> SystemTime {
        let Replies { real, repository, garbage, .. } = &self.replies;
        let heard = real.iter().chain(repository).chain(garbage).chain(&self.ping);
        let clocks = heard.filter_map(|seen| Some((seen.date()?, seen.at)));
        let Some((date, at)) = clocks.into_iter().next() else { return now };
        date + now.duration_since(at).unwrap_or_default()
    }
}
