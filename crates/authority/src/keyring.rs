//! The keys that sign, and when.

use std::sync::Arc;

use portpass_token::{Claims, KeyIdForm, MintError};

/// All keys.
#[derive(Debug)]
pub struct KeyRing {}

impl KeyRing {
    /// The keys at this moment.
    pub fn current(&self) -> Arc<Ring> {
        todo!()
    }
}

/// The keys at one moment.
#[derive(Debug)]
pub struct Ring {}

impl Ring {
    /// Signs claims with the signing key.
    pub fn mint(&self, _form: KeyIdForm, _claims: &Claims) -> Result<String, MintError> {
        todo!()
    }

    /// The public keys as a JWKS.
    pub fn jwks(&self) -> bytes::Bytes {
        todo!()
    }

    /// Changes with the JWKS: a quoted entity tag.
    pub fn jwks_tag(&self) -> &str {
        todo!()
    }
}
