//! Why an image did not arrive.

use std::time::Duration;

use portpass_protocol::{
    Digest, MediaType,
    manifest::{Descriptor, ManifestError},
};

use super::Platform;
use crate::session;

mod layout;

pub use layout::{LayoutError, MemberFault};

/// Why an image did not arrive. Every variant is a sentence of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes of a blob ceased to come.
    #[error("blob {digest} ended early: {reason}")]
    Interrupted {
        /// Of the blob.
        digest: Digest,
        /// What happened.
        reason: String,
    },
    /// Other bytes than were asked for.
    #[error("requested {expected}, but received content with the digest {found}")]
    DigestMismatch {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: String,
    },
    /// A folder or an archive.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// More bytes than were promised, or fewer.
    #[error("{digest} should have {expected} bytes, but has {found}")]
    Length {
        /// Of the thing.
        digest: Digest,
        /// As its descriptor says.
        expected: u64,
        /// As they came; of a blob that is longer, as many as were looked at.
        found: u64,
    },
    /// A manifest that cannot be passed on.
    #[error("manifest {digest} cannot be copied: {error}")]
    Manifest {
        /// Of the manifest.
        digest: Digest,
        /// What is wrong with it.
        error: Box<ManifestError>,
    },
    /// A registry.
    #[error(transparent)]
    Registry(Box<session::Error>),
    /// A registry that wants every image of an index, and an index without some.
    #[error("the target does not take an index without all its images: {error}")]
    Sparse {
        /// What the registry says.
        error: Box<session::Error>,
    },
    /// The bytes of a blob that its source cannot give, however often it is asked.
    #[error("blob {digest} is not available: {reason}")]
    Source {
        /// Of the blob.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// An index without an image for a platform.
    #[error("the index has no image for {platform}{}", having(there))]
    NoPlatform {
        /// What was asked for.
        platform: Platform,
        /// What there is.
        there: Vec<String>,
    },
    /// A manifest that is of one kind to those who read the index, and of another to those who read
    /// its own media type.
    #[error("{digest} should be {said:?}, but is {came_as}")]
    MediaTypeMismatch {
        /// Of the manifest.
        digest: Digest,
        /// In its descriptor.
        said: String,
        /// From its source.
        came_as: MediaType,
    },
    /// One image, and it is for another platform.
    #[error("the image is {}, not for {platform}", of_platform(found.as_deref()))]
    PlatformMismatch {
        /// What was asked for.
        platform: Platform,
        /// What it is; artifacts are for none.
        found: Option<Box<Platform>>,
    },
    /// What an earlier run had fetched is not the beginning of the blob; it has been thrown away.
    #[error("the stored part of blob {digest} was damaged")]
    Stale {
        /// Of the blob.
        digest: Digest,
    },
    /// Indexes within indexes, or one of endless length.
    #[error("index {digest} exceeds the limit of {limit}")]
    LimitExceeded {
        /// Of the outermost.
        digest: Digest,
        /// What was exceeded.
        limit: &'static str,
    },
}

impl Error {
    /// For `map_err`: what is wrong with a manifest.
    pub(crate) fn manifest(manifest: &Descriptor, error: ManifestError) -> Self {
        Self::Manifest { digest: manifest.digest, error: Box::new(error) }
    }

    /// Whether the same may work when it is tried again, at once or after the time that the registry
    /// [wants](Self::retry_after), which has to be one that we wait for.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Interrupted { .. } | Self::Stale { .. } => true,
            Self::Registry(error) => {
                error.is_transient() && self.retry_after() <= session::MAX_WAIT
            }
            _ => false,
        }
    }

    /// For how long a registry wants to be left alone.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Registry(error) => error.retry_after().unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Layout(error) => return error.hints(),
            Self::Registry(error) => return error.hints(),
            Self::Interrupted { .. } => {
                "run the same command again: it continues with what is missing"
            }
            Self::DigestMismatch { .. } | Self::Length { .. } | Self::Source { .. } => {
                "the source is damaged, or something changes it in transit; nothing of it was stored"
            }
            Self::MediaTypeMismatch { .. } => {
                "clients would read it as two different things; push it again"
            }
            Self::Sparse { .. } => {
                "leave out --sparse to copy every image, or let the registry take such an index"
            }
            Self::PlatformMismatch { .. } => "leave out --platform to use the only image",
            Self::Manifest { .. }
            | Self::NoPlatform { .. }
            | Self::Stale { .. }
            | Self::LimitExceeded { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

impl From<session::Error> for Error {
    fn from(error: session::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

fn having(there: &[String]) -> String {
    const SHOWN: usize = 16;
    match there {
        [] => "; it names no platforms".to_owned(),
        few if few.len() <= SHOWN => format!("; it has {}", few.join(", ")),
        many => format!("; it has {}, …", many[..SHOWN].join(", ")),
    }
}

fn of_platform(found: Option<&Platform>) -> String {
    found.map_or_else(|| "for no platform".to_owned(), |found| format!("for {found}"))
}

#[cfg(test)]
mod tests {
    use portpass_protocol::error::reported::Reported;
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn a_registry_that_wants_to_be_left_alone_is() {
        for (seconds, again) in [(1, true), (60, true), (61, false), (3600, false)] {
            let error = Error::from(session::Error::Busy {
                url: String::new(),
                status: StatusCode::TOO_MANY_REQUESTS,
                after: Some(Duration::from_secs(seconds)),
                said: Reported::Nothing,
            });
            assert_eq!(error.is_transient(), again, "{seconds}");
            assert_eq!(error.retry_after(), Duration::from_secs(seconds));
        }
    }
}
