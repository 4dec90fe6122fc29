//! Claims in, compact token out.
use portpass_jose::{KeyIdForm, SigningKey, signing::SignError};
use crate::Claims;
/// Writes tokens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Minter;
impl Minter {
    /// Signs claims.
    pub fn mint(_key: &SigningKey, _form: KeyIdForm, _claims: &Claims) -> Result<String, MintError> { todo!() }
}
/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct MintError(#[from] SignError);
