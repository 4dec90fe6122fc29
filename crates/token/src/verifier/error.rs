//! Why a token does not count.

use std::{fmt::Write as _, time::Duration};

use portpass_jose::{Excerpt, Malformed};

use crate::{Audience, ClaimsError, Issuer, NumericDate, ServiceName};

/// Why a token does not count: a sentence with the values that disagreed, for logs and for people who
/// run the registry. A client learns `invalid_token` and no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// It is for another service.
    #[error("{0}")]
    Audience(String),
    /// The signed payload is not a registry token's claims.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// It has ended.
    #[error("token expired {} s ago; the tolerance is {} s", ago.as_secs(), leeway.as_secs())]
    Expired {
        /// How long ago.
        ago: Duration,
        /// How long is forgiven.
        leeway: Duration,
    },
    /// Somebody else claims to have issued it.
    #[error("issuer {found} is not {expected:?}", expected = expected.as_str())]
    Issuer {
        /// Who.
        found: Excerpt,
        /// Who should have.
        expected: Issuer,
    },
    /// It is no JWT that we read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It has not begun.
    #[error("token is not valid for another {} s; the tolerance is {} s", ahead.as_secs(), leeway.as_secs())]
    NotYetValid {
        /// How far away its beginning is.
        ahead: Duration,
        /// How far is forgiven.
        leeway: Duration,
    },
    /// Its subject's tokens of that time are over ([`Revocations`](super::Revocations)).
    #[error("token was revoked: its iat is {}, and of its subject only those from {from} on count", written(*issued))]
    Revoked {
        /// When it was issued, if it says so.
        issued: Option<NumericDate>,
        /// The first second whose tokens count.
        from: NumericDate,
    },
    /// No key that is trusted has signed it.
    #[error(transparent)]
    Untrusted(#[from] portpass_jose::Invalid),
}

impl Invalid {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Audience(_) => "token-audience-mismatch",
            Self::Claims(_) => "token-claims-malformed",
            Self::Expired { .. } => "token-expired",
            Self::Issuer { .. } => "token-issuer-mismatch",
            Self::Malformed(why) => why.id(),
            Self::NotYetValid { .. } => "token-not-yet-valid",
            Self::Revoked { .. } => "token-revoked",
            Self::Untrusted(why) => why.id(),
        }
    }

    pub(super) fn issuer(found: &Issuer, expected: &Issuer) -> Self {
        Self::Issuer { found: Excerpt::of(found.as_str()), expected: expected.clone() }
    }

    pub(super) fn audience(found: &Audience, expected: &ServiceName) -> Self {
        let expected = expected.as_str();
        let mut names = found.iter().map(|name| Excerpt::of(name.as_str()));
        Self::Audience(match (names.next(), names.next()) {
            (None, _) => format!("token has no audience, expected {expected:?}"),
            (Some(one), None) => format!("audience {one} is not {expected:?}"),
            (Some(first), Some(second)) => {
                let mut list = format!("{first}, {second}");
                for name in names.by_ref().take(SHOWN - 2) {
                    let _ = write!(list, ", {name}");
                }
                let more = if names.next().is_some() { ", …" } else { "" };
                format!("none of the audiences {list}{more} is {expected:?}")
            }
        })
    }
}

fn written(date: Option<NumericDate>) -> String {
    date.map_or_else(|| "missing".to_owned(), |date| date.to_string())
}

/// How many audiences an error names.
const SHOWN: usize = 4;
