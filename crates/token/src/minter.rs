//! Claims in, compact token out.

use portpass_jose::{KeyIdForm, SignError, SigningKey};

use crate::Claims;

/// Writes tokens.
#[derive(Debug, Clone, Copy)]
pub struct Minter;

impl Minter {
    /// Signs claims with a key, which the token names in the given form.
    pub fn mint(key: &SigningKey, form: KeyIdForm, claims: &Claims) -> Result<String, MintError> {
        let payload = claims.to_json().map_err(|error| MintError::Write(error.to_string()))?;
        Ok(key.sign_compact(form, &payload)?)
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The key does not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The claims cannot be written.
    #[error("the claims cannot be written as JSON: {0}")]
    Write(String),
}
