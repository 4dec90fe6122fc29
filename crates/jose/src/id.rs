//! Names of keys: RFC 7638 thumbprints, libtrust fingerprints, and names that a JWKS gives.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::base64url;

/// The name of a key, as a header's `kid` carries it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// As it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it looks like, which is all that an id says about itself.
    pub fn form(&self) -> IdForm {
        IdForm::of(&self.0)
    }
}

impl Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KeyId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for KeyId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key id looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdForm {
    /// Twelve groups of four base32 letters.
    Libtrust,
    /// Anything else: a name that an issuer made up.
    Other,
    /// 43 base64url letters, as SHA-256 makes them.
    Rfc7638,
}

impl IdForm {
    /// What an id looks like.
    pub fn of(id: &str) -> Self {
        let groups = || id.split(':').all(|group| group.len() == 4 && group.bytes().all(is_base32));
        if id.len() == 59 && groups() {
            Self::Libtrust
        } else if id.len() == 43 && base64url::decode(id).is_ok() {
            Self::Rfc7638
        } else {
            Self::Other
        }
    }
}

/// How a token of ours names the key that signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyIdForm {
    /// By the libtrust fingerprint: distribution 2 with the signing certificate in its bundle.
    Libtrust,
    /// By the RFC 7638 thumbprint: distribution 3 with the signing certificate or a JWKS.
    Rfc7638,
    /// By the certificate chain: every registry whose bundle holds the root.
    X5c,
}

fn is_base32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7')
}
