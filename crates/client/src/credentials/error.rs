//! What can be wrong with kept credentials.

use std::path::PathBuf;

use portpass_protocol::printable::on_one_line;

use super::CredentialSource;

/// Why a credential cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The entry of a registry says something that is none.
    #[error("the entry {key:?} of {place} {why}")]
    Entry {
        /// Its key.
        key: String,
        /// Which file.
        place: CredentialSource,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A helper failed, and this is what it said.
    #[error("docker-credential-{} {action} failed: {said}", on_one_line(helper, 128))]
    Helper {
        /// Its name.
        helper: String,
        /// `get`, `store`, `erase`.
        action: &'static str,
        /// In one line.
        said: String,
    },
    /// A helper is named, and is not there.
    #[error("{} names the credential helper {helper:?}, but there is no docker-credential-{} in PATH", path.display(), on_one_line(helper, 128))]
    HelperMissing {
        /// Its name.
        helper: String,
        /// Which file names it.
        path: PathBuf,
    },
    /// The file is not what it should be.
    #[error("{place} is not a credential file: {reason}")]
    Malformed {
        /// Which file.
        place: CredentialSource,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nowhere to keep credentials.
    #[error("there is no place to store credentials: neither HOME nor DOCKER_CONFIG is set")]
    NoPlace,
    /// The system does not let us.
    #[error("{} cannot be {action}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// What the system says.
        error: std::io::Error,
    },
    /// A name or password that the file's format has no room for.
    #[error("a user name must not be empty or contain a colon")]
    Username,
}

impl CredentialsError {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Entry { .. } => vec!["log out and log in again".to_owned()],
            Self::HelperMissing { path, .. } => {
                vec![format!(
                    "install it, or remove \"credsStore\" or its line of \"credHelpers\" from {}",
                    path.display()
                )]
            }
            Self::Malformed { .. } => {
                vec!["repair it or move it away; nothing was changed".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
