//! Errors of an operation on a registry.

use std::time::Duration;

use portpass_protocol::{Digest, error::reported::Reported, manifest::ManifestError};
use reqwest::StatusCode;

use crate::{
    registry,
    transport::{TransportError, retry_after_text},
};

/// Why an operation on a registry failed. Every variant is a sentence of its own; URLs are shown
/// without their query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream that was to be uploaded.
    #[error("the content to send cannot be read: {0}")]
    Body(#[source] std::io::Error),
    /// 429 or 503 after all retries.
    #[error("{url} responds with {status}{}: {said}", retry_after_text(*after))]
    Busy {
        /// What was asked for.
        url: String,
        /// Of HTTP.
        status: StatusCode,
        /// For how long it wants to be left alone, where it says so.
        after: Option<Duration>,
        /// What it says about it.
        said: Reported,
    },
    /// The rights do not suffice, with the best token that there is.
    #[error("{host} does not allow it: {needed} is not granted to {whom} ({said})")]
    Denied {
        /// As typed.
        host: String,
        /// The scopes that were asked for.
        needed: String,
        /// Whose token it was.
        whom: String,
        /// What it says about it.
        said: Reported,
    },
    /// Bytes that are not what their digest says.
    #[error("{what} has the wrong content: its digest is {found}, not {expected}")]
    Digest {
        /// A URL, or what was to be sent.
        what: String,
        /// What was asked for or announced.
        expected: Box<Digest>,
        /// Of the bytes that came.
        found: Box<Digest>,
    },
    /// A response in an encoding that was not requested: its size after decoding has no limit.
    #[error("{url} responds with the encoding {encoding:?}, which was not requested")]
    Encoded {
        /// What was asked for.
        url: String,
        /// `Content-Encoding`, shortened.
        encoding: String,
    },
    /// A header that has to be there and is not, or cannot be used.
    #[error("{url} responds with {}", header_fault(name, value.as_deref()))]
    Header {
        /// What was asked for.
        url: String,
        /// Of the header.
        name: &'static str,
        /// What is there, shortened.
        value: Option<String>,
    },
    /// More or fewer bytes than announced.
    #[error("{what} has {}{found} bytes, not {expected}", if found > expected { "at least " } else { "" })]
    Length {
        /// A URL, or what was to be sent.
        what: String,
        /// What the descriptor says.
        expected: u64,
        /// What came, or was announced; at least so many if it was cut off.
        found: u64,
    },
    /// A list without an end.
    #[error("the list {url} does not end: {why}")]
    Listing {
        /// The first page.
        url: String,
        /// Which bound it passes.
        why: &'static str,
    },
    /// A list that cannot be read.
    #[error("the list {url} cannot be read: {reason}")]
    ListingUnreadable {
        /// The page.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A manifest that is not what it came as, or that two clients could read differently.
    #[error("{what}: {error}")]
    Manifest {
        /// A URL, or what was to be sent.
        what: String,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// `Location` or `Link` to somebody else, to whom neither credentials nor content go.
    #[error("{url} leads to {to} ({header}), where the request's content must not be sent")]
    Origin {
        /// What was asked for.
        url: String,
        /// Where it leads.
        to: String,
        /// `Location` or `Link`.
        header: &'static str,
    },
    /// The registry, its token service, or the way to them.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// An answer longer than anything of its kind.
    #[error("the response of {url} is longer than {limit} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The bound.
        limit: usize,
    },
}

impl Error {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Registry(error) => return error.hints(),
            Self::Busy { .. } => "the registry is overloaded; try again later",
            Self::Denied { .. } => {
                "log in as a user with that right, or change the token service's rules (portpass policy explain ACCOUNT SCOPE)"
            }
            Self::Origin { header: "Location", .. } => {
                "behind a proxy, the registry must build its URLs from the public name: check X-Forwarded-Proto, X-Forwarded-Host, or the registry's own host setting"
            }
            Self::Encoded { .. } => {
                "a proxy in between compresses; it must not change the registry's responses"
            }
            Self::Body(_)
            | Self::Digest { .. }
            | Self::Header { .. }
            | Self::Length { .. }
            | Self::Listing { .. }
            | Self::ListingUnreadable { .. }
            | Self::Manifest { .. }
            | Self::Origin { .. }
            | Self::TooLong { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }

    pub(crate) fn digest(what: &str, expected: Digest, found: Digest) -> Self {
        let what = what.to_owned();
        Self::Digest { what, expected: Box::new(expected), found: Box::new(found) }
    }

    /// The status of the answer that it was, where there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Busy { status, .. } | Self::Registry(registry::Error::Status { status, .. }) => {
                Some(*status)
            }
            _ => None,
        }
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// For how long the registry wants to be left alone, where it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => *after,
            _ => None,
        }
    }

    /// Whether the same may work a moment later: it broke off, or the registry is busy. What was
    /// wrong about the content or the rights stays wrong.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Registry(registry::Error::Transport(error)) => error.is_transient(),
            _ => self.status().is_some_and(|status| status.is_server_error()),
        }
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Registry(error.into())
    }
}

fn header_fault(name: &str, value: Option<&str>) -> String {
    match value {
        None => format!("no header {name}"),
        Some(value) => format!("an unusable header {name}: {value:?}"),
    }
}
