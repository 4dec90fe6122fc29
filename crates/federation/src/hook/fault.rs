//! Why a service said nothing that could be used. For the log alone.

use std::{num::NonZeroUsize, time::Duration};

use reqwest::{StatusCode, Url};

use super::{Garbled, MAX_ANSWER};
use crate::web::{WebError, shown};

/// Why a service said nothing that could be used. Never a no, and never a yes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// All questions that may be open at once are open.
    #[error(
        "{url} has {calls} questions open and answered none within {} ms: it is too slow, or raise `calls`",
        after.as_millis()
    )]
    Busy {
        /// Where.
        url: String,
        /// How many.
        calls: NonZeroUsize,
        /// How long it was waited for.
        after: Duration,
    },
    /// An answer that makes no sense.
    #[error("{url} answered what nobody can read: {why}")]
    Garbled {
        /// Where.
        url: String,
        /// Why.
        why: Garbled,
    },
    /// The service does not let us ask.
    #[error("{url} answered {status}: it does not take the bearer token or the certificate")]
    NotLetIn {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// It leads elsewhere.
    #[error(
        "{url} answered {status}: redirects are not followed, since the question has a password in it; name the last URL in `url`"
    )]
    Redirect {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// Another status than 200.
    #[error("{url} answered {status}; an answer has the status 200")]
    Status {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// It took too long.
    #[error("{url} did not answer within {} ms (`timeout`)", after.as_millis())]
    TimedOut {
        /// Where.
        url: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// More than any account needs.
    #[error("{url} answered with more than {MAX_ANSWER} bytes")]
    TooLong {
        /// Where.
        url: String,
    },
    /// No connection, no TLS, or it broke.
    #[error("{error}{}", hint(error))]
    Unreachable {
        /// What happened.
        error: WebError,
    },
}

impl Fault {
    /// Of an answer that is none.
    pub(super) fn status(url: &Url, status: StatusCode) -> Self {
        let url = shown(url);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::NotLetIn { url, status },
            status if status.is_redirection() => Self::Redirect { url, status },
            status => Self::Status { url, status },
        }
    }
}

impl From<WebError> for Fault {
    fn from(error: WebError) -> Self {
        match error {
            WebError::TooLong { url, most: _ } => Self::TooLong { url },
            WebError::Timeout { url, timeout } => Self::TimedOut { url, after: timeout },
            WebError::Status { url, status } => Self::Status { url, status },
            WebError::Failed { .. } | WebError::Tls { .. } => Self::Unreachable { error },
        }
    }
}

/// rustls names the fault, and not the way out.
fn hint(error: &WebError) -> &'static str {
    let WebError::Failed { why, .. } = error else { return "" };
    if why.contains("NotValidForName") || why.contains("not valid for name") {
        "; the certificate has to name the host in its subjectAltName, as `url` does"
    } else if why.contains("UnknownIssuer") || why.contains("BadSignature") {
        "; `ca` has to name the authority that signed the certificate"
    } else if why.contains("CertificateRequired") || why.contains("BadCertificate") {
        "; it wants a certificate of ours: set `client`"
    } else if why.contains("Expired") || why.contains("expired") {
        "; the service needs a new certificate"
    } else {
        ""
    }
}
