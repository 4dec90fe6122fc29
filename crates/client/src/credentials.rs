//! Stored passwords and identity tokens: docker's `config.json` and credential helpers, podman's
//! `auth.json`.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::host::Host;

mod document;
mod error;
mod file;
mod files;
mod helper;
mod paths;
mod sources;
#[cfg(test)]
mod tests;

pub use error::CredentialsError;
pub use files::CredentialFiles;
pub use paths::CredentialPaths;
pub use sources::{Entry, Owner, SourceReport, list_sources};

/// A credential for a registry.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// Not empty, without a colon.
        username: String,
        /// As typed.
        password: SecretString,
    },
    /// A refresh token of the registry's token service, got in exchange for a password.
    IdentityToken {
        /// Whose it is, where that is known.
        username: Option<String>,
        /// The refresh token; sent by POST only.
        token: SecretString,
    },
    /// A token for the registry itself. No token service gets it.
    RegistryToken(SecretString),
}

impl Credential {
    /// Whose it is, where that is known.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(username),
            Self::IdentityToken { username, .. } => username.as_deref(),
            Self::RegistryToken(_) => None,
        }
    }
}

/// A credential, and where it was found.
#[derive(Debug, Clone)]
pub struct FoundCredential {
    /// The credential.
    pub credential: Credential,
    /// The file, or the helper and the file that names it.
    pub place: CredentialSource,
}

/// Where a credential comes from or is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// Typed, or from the environment.
    Given(&'static str),
    /// In a file, readable for everybody who can read the file.
    File(std::path::PathBuf),
    /// In a credential helper, by its name after `docker-credential-`.
    Helper(String),
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
            Self::Helper(name) => write!(f, "docker-credential-{name}"),
        }
    }
}

/// Stores credentials, by the host of the registry and never by that of its realm.
#[async_trait]
pub trait CredentialStore: fmt::Debug + Send + Sync {
    /// The credential for a registry, if there is one. A repository narrows the choice where
    /// credentials are kept per name prefix, as in podman's file.
    async fn get(
        &self,
        host: &Host,
        repository: Option<&str>,
    ) -> Result<Option<FoundCredential>, CredentialsError>;

    /// Stores a credential instead of the old one, and says where.
    async fn store(
        &self,
        host: &Host,
        credential: &Credential,
    ) -> Result<CredentialSource, CredentialsError>;

    /// Deletes the credential, and says where. Empty if there was none.
    async fn erase(&self, host: &Host) -> Result<Vec<CredentialSource>, CredentialsError>;
}
