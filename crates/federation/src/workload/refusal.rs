//! Why a workload's token makes no account.

use std::time::Duration;

use portpass_jose::{Invalid, Malformed, json::JsonError};

use super::{
    claims::Found,
    condition::{Alternatives, Unmatched},
    template::NameError,
};

/// Why a token does not count. What it says goes to the log and to the operator; never the token itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Two mappings make two accounts of it.
    #[error("the token matches accounts of different names: {}; tell them apart with `when`", names.join(", "))]
    Ambiguous {
        /// Which.
        names: Vec<String>,
    },
    /// It was made for somebody else.
    #[error(
        "the token is for another audience: its `aud` is {found}; expected {}",
        Alternatives(expected)
    )]
    Audience {
        /// For whom.
        found: Found,
        /// What would have matched.
        expected: Vec<String>,
    },
    /// Its time is over.
    #[error("the token expired {} s ago", ago.as_secs())]
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// It says that somebody else made it.
    #[error("the token's `iss` is {found}; expected {expected:?}, byte for byte")]
    Issuer {
        /// Who.
        found: Found,
        /// Who should have.
        expected: String,
    },
    /// It is no token that we read.
    #[error(transparent)]
    Malformed(Malformed),
    /// The account would have no name.
    #[error(transparent)]
    Name(NameError),
    /// No account is configured.
    #[error("no account is configured for this issuer")]
    NoAccounts,
    /// It has no `exp`.
    #[error("the token has no `exp`: it would be valid for ever")]
    NoExpiry,
    /// It may be used once, and has nothing to tell it by.
    #[error("the token has no `jti`, and `jti: once` needs one")]
    NoTokenId,
    /// A time that is none.
    #[error("the token's `{claim}` is {found}, expected seconds since 1970")]
    NotADate {
        /// Which claim.
        claim: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// Its time has not come.
    #[error("the token's `{claim}` is {} s ahead: one of the two clocks is wrong", ahead.as_secs())]
    NotYet {
        /// Which claim.
        claim: &'static str,
        /// How far ahead.
        ahead: Duration,
    },
    /// What was signed is no claims.
    #[error("the token's payload is not a JSON object as expected: {why}")]
    Payload {
        /// What is wrong with it.
        why: JsonError,
    },
    /// No key of the issuer has signed it.
    #[error("{}", of_issuer(.0))]
    Signature(Invalid),
    /// No account is for it.
    #[error("no account is for this token: {0}")]
    Unmatched(Unmatched),
    /// It was used before.
    #[error("the token was used before, and `jti: once` accepts it once")]
    Used,
}

impl Refusal {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Ambiguous { .. } => "workload-ambiguous",
            Self::Audience { .. } => "workload-audience",
            Self::Expired { .. } => "workload-expired",
            Self::Issuer { .. } => "workload-issuer",
            Self::Malformed(_) | Self::NotADate { .. } | Self::Payload { .. } | Self::NoExpiry => {
                "workload-malformed"
            }
            Self::Name(_) => "workload-unnamed",
            Self::NoAccounts | Self::Unmatched(Unmatched::Claim(_)) => "workload-claims",
            Self::NoTokenId | Self::Used => "workload-used",
            Self::NotYet { .. } => "workload-not-yet",
            Self::Signature(Invalid::UnknownKey { .. } | Invalid::NoKeyNamed) => {
                "workload-key-unknown"
            }
            Self::Signature(_) => "workload-signature",
            Self::Unmatched(Unmatched::Trigger(_)) => "workload-trigger",
        }
    }
}

/// Registries speak of a bundle; here the keys are an issuer's.
fn of_issuer(invalid: &Invalid) -> String {
    match invalid {
        Invalid::UnknownKey { id, known, .. } => {
            format!("the token's key id {id} is none of the issuer's keys, which are {known}")
        }
        Invalid::Chain(why) => format!("the token's `x5c` is not accepted: {why}"),
        other => other.to_string(),
    }
}
