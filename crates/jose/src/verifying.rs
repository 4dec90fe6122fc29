//! Keys that verify.
use crate::{Algorithm, Algorithms, KeyId, Shape, signing::KeyError};
/// A public key with the algorithms it may be used with.
#[derive(Debug, Clone)]
pub struct VerifyingKey { id: KeyId }
impl VerifyingKey {
    /// DER `SubjectPublicKeyInfo`.
    pub fn from_spki(_der: &[u8]) -> Result<Self, KeyError> { todo!() }
    /// A JWK as text.
    pub fn from_jwk(_json: &str) -> Result<Self, KeyError> { todo!() }
    /// RFC 7638 thumbprint.
    pub fn id(&self) -> &KeyId { &self.id }
    /// What it may be used with.
    pub fn algorithms(&self) -> Algorithms { todo!() }
    /// Its kind.
    pub fn shape(&self) -> Shape { todo!() }
    /// Checks a signature; false for every algorithm that is not the key's.
    pub fn verify(&self, _algorithm: Algorithm, _message: &[u8], _signature: &[u8]) -> bool { todo!() }
    /// DER `SubjectPublicKeyInfo`.
    pub fn to_spki(&self) -> &[u8] { todo!() }
}
