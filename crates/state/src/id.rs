//! Identifiers of rows: 128 bits each, drawn by the caller.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{StateError, sql::Value};

/// A text that is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is 32 lower-case hex digits in groups of 8-4-4-4-12")]
pub struct IdError;

macro_rules! identifier {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// From 128 random bits (a version 4 UUID; six bits are the version's).
            pub fn from_random(bits: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bits).into_uuid())
            }

            /// From the column of a row.
            pub(crate) fn read(column: &'static str, bytes: &[u8]) -> Result<Self, StateError> {
                let uuid = Uuid::from_slice(bytes);
                uuid.map(Self).map_err(|error| StateError::inconsistent(column, error.to_string()))
            }
        }

        impl From<$name> for Value {
            fn from(id: $name) -> Self {
                id.0.as_bytes().as_slice().into()
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads the form that `Display` writes, and no other: an identifier has one spelling.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let uuid: Uuid = text.parse().map_err(|_| IdError)?;
                if uuid.hyphenated().to_string() == text { Ok(Self(uuid)) } else { Err(IdError) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

identifier! {
    /// A local account, for ever: the name may be given to another account after removal, this not.
    AccountId
}
identifier! {
    /// A refresh token's row; not a secret.
    RefreshId
}
identifier! {
    /// A robot, for ever: the name may be given to another one after removal, this not.
    RobotId
}
identifier! {
    /// One secret of a robot; not the secret itself.
    SecretId
}
identifier! {
    /// An API key's row; not the key itself.
    KeyId
}
identifier! {
    /// What is told of one change or pull.
    EventId
}
identifier! {
    /// An upload session, as it stands in its URL.
    UploadId
}
identifier! {
    /// One writer of an upload session: one request, not one client.
    LeaseOwner
}
