//! Sets of trusted keys.
use crate::{KeyId, VerifyingKey, Certificate};
/// Trusted keys, by id.
#[derive(Debug, Clone, Default)]
pub struct KeySet { keys: Vec<VerifyingKey> }
impl KeySet {
    /// No key.
    pub fn new() -> Self { Self::default() }
    /// Reads a JWK set (RFC 7517 §5); unusable entries are skipped, see [`KeySet::skipped`].
    pub fn from_jwks(_json: &str) -> Result<Self, JwksError> { todo!() }
    /// What `from_jwks` could not use, in words.
    pub fn skipped(&self) -> &[String] { todo!() }
    /// Adds a key under its thumbprint and its libtrust fingerprint.
    pub fn insert(&mut self, _key: VerifyingKey) { todo!() }
    /// Adds a key under an id of its issuer's making, too.
    pub fn insert_named(&mut self, _id: KeyId, _key: VerifyingKey) { todo!() }
    /// Adds a certificate's key; its dates are only warned of.
    pub fn insert_certificate(&mut self, _certificate: &Certificate) { todo!() }
    /// All keys of another set, too.
    pub fn extend(&mut self, _other: KeySet) { todo!() }
    /// By any of its ids.
    pub fn get(&self, _id: &str) -> Option<&VerifyingKey> { todo!() }
    /// In order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> { self.keys.iter() }
    /// How many.
    pub fn len(&self) -> usize { todo!() }
    /// None?
    pub fn is_empty(&self) -> bool { todo!() }
    /// As a JWK set; secrets never.
    pub fn to_jwks(&self) -> String { todo!() }
}
/// Not a JWK set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JwksError(String);
