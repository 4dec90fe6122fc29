//! What the service is asked.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

/// What the service is asked. More members may come, and a service has to ignore what it does not know.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "question", rename_all = "lowercase")]
pub enum Question<'a> {
    /// Whether the password is right, and whose it is.
    Login {
        /// Whom the caller says to be.
        name: &'a str,
        /// What is to prove it; not empty.
        #[serde(serialize_with = "exposed")]
        password: &'a SecretString,
        /// Which registry it is about.
        service: &'a str,
        /// Where the caller is, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// What an account is now. Nobody has proved anything.
    Lookup {
        /// Which.
        #[serde(flatten)]
        account: AccountKey<'a>,
    },
}

/// What an account is looked up by.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKey<'a> {
    /// Its name.
    Name(&'a str),
    /// The `id` of an earlier answer.
    Id(&'a str),
}

impl Question<'_> {
    /// The body of the request.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn password(&self) -> Option<&SecretString> {
        match self {
            Self::Login { password, .. } => Some(password),
            Self::Lookup { .. } => None,
        }
    }

    pub(super) fn has_empty_password(&self) -> bool {
        self.password().is_some_and(|password| password.expose_secret().is_empty())
    }
}

fn exposed<S: Serializer>(password: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(password.expose_secret())
}
