//! Identifiers of rows: 128 bits each, drawn by the caller.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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

            pub(crate) fn to_bytes(self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                // Only the canonical form: an identifier has one spelling in a URL.
                let uuid: Uuid = text.parse()?;
                if uuid.hyphenated().to_string() == text { Ok(Self(uuid)) } else { Uuid::parse_str("").map(Self) }
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
    /// An upload session, as it stands in its URL.
    UploadId
}
identifier! {
    /// One writer of an upload session: one request, not one client.
    LeaseOwner
}
