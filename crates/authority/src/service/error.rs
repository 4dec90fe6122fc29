//! Why there is no token.

use std::sync::Arc;

use portpass_password::{Limited, limits::RateExceeded};
use portpass_state::StateError;
use portpass_token::MintError;

use crate::{
    accounts::{Reason, Rejection, SecretProblem, Unavailable},
    keyring::KeyRingError,
    refresh::{LookUpError, RefreshProblem},
    request::RequestError,
    subject::AccountName,
};

/// Why there is no token. What of it the client learns is decided in [`crate::http`] alone.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The account is no longer what it was when its password was looked at.
    #[error(
        "the account {account} was disabled, removed or given another password while it logged in"
    )]
    AccountChanged {
        /// Which.
        account: AccountName,
    },
    /// Whoever asks about a token may not.
    #[error("{} may not ask about tokens: `token_service.introspection.to` does not name it", named(account.as_ref()))]
    IntrospectionDenied {
        /// Who; nobody where nobody may.
        account: Option<AccountName>,
    },
    /// There is no key that can sign at the moment.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// Too many attempts.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// Nobody may ask without credentials here.
    #[error("there are no credentials, and anonymous callers are not admitted")]
    NoCredentials,
    /// Too many requests, right or wrong.
    #[error(transparent)]
    Rate(#[from] RateExceeded),
    /// The refresh token leads to nobody.
    #[error(transparent)]
    RefreshToken(RefreshProblem),
    /// The password is a token, which is nobody's; or the account is one that counts for nothing.
    #[error("{}", reason.text)]
    Rejected {
        /// As claimed.
        account: AccountName,
        /// Why.
        reason: Reason,
    },
    /// The request itself is wrong.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The secret of a robot or an API key leads to nobody.
    #[error(transparent)]
    Secret(#[from] SecretProblem),
    /// The key does not sign.
    #[error("the token cannot be signed: {0}")]
    Sign(#[from] MintError),
    /// The rows cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The token that was to be exchanged is nobody's.
    #[error("{}", reason.text)]
    SubjectToken {
        /// Why.
        reason: Reason,
    },
    /// No client and no registry would take it.
    #[error("the token would have {length} bytes; ask for fewer resources at once")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Nobody can say who it is at the moment.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The name, the password, or both.
    #[error("{}", wrong_password(account, why.as_deref()))]
    WrongPassword {
        /// As claimed.
        account: AccountName,
        /// What its source says, where it says more.
        why: Option<Arc<str>>,
    },
}

impl TokenError {
    /// What a source's no is called.
    pub(super) fn rejected(account: AccountName, rejection: &Rejection) -> Self {
        match rejection.reason() {
            Some(reason) => Self::Rejected { account, reason: reason.clone() },
            None => Self::WrongPassword { account, why: rejection.why().cloned() },
        }
    }

    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::AccountChanged { .. } => "account-changed",
            Self::IntrospectionDenied { .. } => "introspection-denied",
            Self::Keys(_) => "signing-key-unavailable",
            Self::Limited(_) => "too-many-attempts",
            Self::NoCredentials => "credentials-missing",
            Self::Rate(_) => "too-many-requests",
            Self::RefreshToken(problem) => problem.id(),
            Self::Rejected { reason, .. } | Self::SubjectToken { reason } => reason.id,
            Self::Request(error) => error.id(),
            Self::Secret(problem) => problem.id(),
            Self::Sign(_) => "signing-failed",
            Self::State(_) => "database-unavailable",
            Self::TooLong { .. } => "token-too-long",
            Self::Unavailable(Unavailable::Busy(_)) => "password-checks-busy",
            Self::Unavailable(Unavailable::Source { .. }) => "accounts-unavailable",
            Self::WrongPassword { .. } => "wrong-password",
        }
    }

    /// Whether somebody tried a credential that was never any good: what limits count. A refresh
    /// token that has died is none of those: docker keeps sending it until its user logs in again. Nor is the secret of a
    /// robot that has expired, which a cluster goes on to pull with.
    pub fn is_wrong_credential(&self) -> bool {
        match self {
            Self::RefreshToken(RefreshProblem::Unknown)
            | Self::Secret(SecretProblem::Unknown)
            | Self::WrongPassword { .. } => true,
            Self::Rejected { reason, .. } | Self::SubjectToken { reason } => reason.is_guess,
            Self::AccountChanged { .. }
            | Self::IntrospectionDenied { .. }
            | Self::Keys(_)
            | Self::Limited(_)
            | Self::NoCredentials
            | Self::Rate(_)
            | Self::RefreshToken(_)
            | Self::Request(_)
            | Self::Secret(_)
            | Self::Sign(_)
            | Self::State(_)
            | Self::TooLong { .. }
            | Self::Unavailable(_) => false,
        }
    }
}

fn named(account: Option<&AccountName>) -> String {
    account.map_or_else(|| "nobody".to_owned(), |account| format!("the account {account}"))
}

fn wrong_password(account: &AccountName, why: Option<&str>) -> String {
    match why {
        None => {
            format!("there is no account {account} with that password, or it is disabled")
        }
        Some(why) => format!("the account {account} is not let in: {why}"),
    }
}

impl From<LookUpError> for TokenError {
    fn from(error: LookUpError) -> Self {
        match error {
            LookUpError::Invalid(problem) => Self::RefreshToken(problem),
            LookUpError::State(error) => Self::State(error),
            LookUpError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}
