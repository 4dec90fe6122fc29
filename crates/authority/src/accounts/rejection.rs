//! Why nobody got in, as the log has it.

use std::sync::Arc;

use portpass_federation::workload::ClaimedToken;
use portpass_jose::Excerpt;
use portpass_password::CostProof;

use super::Shadowed;

/// A no, which has cost what every no costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    paid: CostProof,
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    /// Name and password do not go together; with more, where the source knows it.
    Password(Option<Arc<str>>),
    /// Something else, which has a word of its own.
    Other(Reason),
}

/// Why a token or an account counts for nothing: for the log and `portpass explain`. The caller hears the same as always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable word: `workload-expired`, `account-shadowed`.
    pub id: &'static str,
    /// A sentence; never a password or a token.
    pub text: String,
    /// Whether somebody may have guessed. What an issuer has signed is no guess.
    pub is_guess: bool,
}

impl Reason {
    /// Somebody may have guessed.
    pub fn because(id: &'static str, text: String) -> Self {
        Self { id, text, is_guess: true }
    }
}

impl From<&Shadowed> for Reason {
    /// Whoever gets so far has guessed nothing.
    fn from(shadowed: &Shadowed) -> Self {
        Self { id: shadowed.id(), text: shadowed.to_string(), is_guess: false }
    }
}

/// A no to a token, which has cost what every no costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedToken {
    paid: CostProof,
    /// What is wrong with it.
    pub reason: Reason,
}

impl RejectedToken {
    /// For that reason.
    pub fn new(paid: CostProof, reason: Reason) -> Self {
        Self { paid, reason }
    }

    /// Of an issuer that nobody here knows.
    pub(super) fn of_stranger(paid: CostProof, token: &ClaimedToken) -> Self {
        let issuer = Excerpt::of(token.issuer());
        let text = format!(
            "the password is a token of the issuer {issuer}, which is not in `token_service.accounts`"
        );
        Self::new(paid, Reason::because("workload-issuer-unknown", text))
    }
}

impl From<RejectedToken> for Rejection {
    fn from(RejectedToken { paid, reason }: RejectedToken) -> Self {
        Self { paid, cause: Cause::Other(reason) }
    }
}

impl Rejection {
    /// With what the source knows of the reason. It is for the log and for `explain`; nobody outside learns it.
    pub fn because(paid: CostProof, why: impl Into<Arc<str>>) -> Self {
        Self { paid, cause: Cause::Password(Some(why.into())) }
    }

    /// Of an account that proved itself, and whose name an earlier source has.
    pub(super) fn shadowed(paid: CostProof, shadowed: &Shadowed) -> Self {
        Self { paid, cause: Cause::Other(shadowed.into()) }
    }

    /// The reason, where the source says more than that the password is wrong.
    pub fn why(&self) -> Option<&Arc<str>> {
        match &self.cause {
            Cause::Password(why) => why.as_ref(),
            Cause::Other(_) => None,
        }
    }

    /// What else is wrong, with a token or with the name.
    pub fn reason(&self) -> Option<&Reason> {
        match &self.cause {
            Cause::Password(_) => None,
            Cause::Other(reason) => Some(reason),
        }
    }
}

impl From<CostProof> for Rejection {
    fn from(paid: CostProof) -> Self {
        Self { paid, cause: Cause::Password(None) }
    }
}
