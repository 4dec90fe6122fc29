//! Who is asking, and how to ask them: the seam between the registry and its ways to authenticate.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use portpass_password::Limited;
use portpass_protocol::{
    Access, AccessSet, Challenge, Origin, TokenSummary, printable::on_one_line, secret::SecretForm,
};

use crate::{
    credentials::{Caller, CredentialsError},
    grant::Grant,
};

mod htpasswd;
mod silly;
mod token;

pub use htpasswd::HtpasswdController;
pub use silly::SillyController;
pub use token::{Realm, TokenController};

/// What stands in front of a registry.
#[derive(Debug, Clone)]
pub enum Guard {
    /// A controller.
    Controller(Arc<dyn AccessController>),
    /// Nobody: everything is allowed to everybody (NO1). Not a controller of its own, for it could
    /// not say how to come back.
    Open,
}

/// Decides who is asking and how far they reach.
///
/// The caller compares the reach with what the route needs; no controller can forget to.
#[async_trait]
pub trait AccessController: fmt::Debug + Send + Sync {
    /// Reads what the caller presents and says who it is.
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial>;

    /// Says how to come back with what is missing. `origin` is the address that the client used.
    fn challenge(&self, origin: &Origin, needed: &[Access], denial: &Denial) -> Challenge;
}

/// Why a controller grants nothing, or its grant is too small.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// Who it is, is known, but not enough is granted to them.
    #[error("the caller is granted {}, which does not cover {lacking}", given(granted))]
    InsufficientScope {
        /// What was granted, with what was asked for and denied.
        granted: AccessSet,
        /// What was needed and is not covered.
        lacking: AccessSet,
    },
    /// A token came, and it is none of ours or no longer one.
    #[error("{0}")]
    InvalidToken(Reason),
    /// Nothing came that this controller reads.
    #[error(transparent)]
    Missing(MissingCredentials),
    /// Whoever would have to say it does not answer: that is not a no.
    #[error("{what}")]
    Unavailable {
        /// What does not answer, and why.
        what: String,
        /// When it may be worth coming back.
        retry_after: Duration,
    },
    /// Too many wrong passwords came before.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// A name and a password came that do not belong together, or to nobody.
    #[error("the password for {username:?} is wrong, or there is no such user")]
    WrongPassword {
        /// As presented, shortened.
        username: String,
    },
}

impl Denial {
    /// A stable word for it, for metrics and searching.
    pub fn id(&self) -> &'static str {
        match self {
            Self::InsufficientScope { .. } => "insufficient-scope",
            Self::InvalidToken(reason) => reason.id,
            Self::Missing(absence) => absence.id(),
            Self::Unavailable { .. } => "unavailable",
            Self::Limited(_) => "too-many-attempts",
            Self::WrongPassword { .. } => "wrong-password",
        }
    }
}

/// Why a token does not count, for the log alone (VO13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable word: `token-expired`.
    pub id: &'static str,
    /// A sentence with the values that disagreed; never the token.
    pub text: String,
    /// What the token says of itself, where it can be read.
    pub token: Option<Box<TokenSummary>>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What came instead of the credentials that a controller reads. All of these get the same
/// challenge; the log tells them apart, for each has another cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingCredentials {
    /// Nothing at all.
    #[error(
        "no credentials were sent: the request has no Authorization header (clients begin so; the challenge tells them how to go on)"
    )]
    Nothing,
    /// A password where a token is read.
    #[error("a token is missing: the Authorization header holds a name and a password (Basic)")]
    BasicForBearer,
    /// A token where a password is read.
    #[error("a password is missing: the Authorization header holds a token (Bearer)")]
    BearerForBasic,
    /// A header that nobody can read.
    #[error(transparent)]
    Unreadable(CredentialsError),
}

impl MissingCredentials {
    fn id(self) -> &'static str {
        match self {
            Self::Nothing => "credentials-missing",
            Self::BasicForBearer => "token-missing",
            Self::BearerForBasic => "password-missing",
            Self::Unreadable(error) => error.id(),
        }
    }
}

/// What a grant gives, for people: a token may name what it was asked for and does not give.
fn given(granted: &AccessSet) -> String {
    let given = |access: &&Access| !access.actions.is_empty();
    let given: AccessSet = granted.iter().filter(given).cloned().collect();
    if given.is_empty() { "nothing".to_owned() } else { shortened(&given.to_string()) }
}

/// What a client sent, or a token said, for one line of a log. Some send a secret in place of the name.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 256;
    if let Some(form) = SecretForm::of(text) {
        return format!("{}…", form.prefix());
    }
    on_one_line(text, SHOWN)
}
