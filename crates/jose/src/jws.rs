//! Compact JWS.
use std::{sync::Arc, time::SystemTime};
use crate::{Algorithm, Algorithms, KeyId, KeySet, TrustRoots};
/// Split and decoded, not believed.
#[derive(Debug)]
pub struct Compact<'a> { signed: &'a str }
impl<'a> Compact<'a> {
    /// Splits and decodes.
    pub fn parse(_token: &'a str) -> Result<Self, Malformed> { todo!() }
    /// Checks the signature by a trusted key.
    pub fn verify(self, _keys: &KeySet, _roots: &TrustRoots, _allowed: Algorithms, _now: SystemTime) -> Result<Verified, Invalid> { let _ = self.signed; todo!() }
}
/// Not a compact JWS that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {}
impl Malformed {
    /// Stable kebab-case word.
    pub fn id(&self) -> &'static str { todo!() }
}
/// Not signed by a key that we trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {}
impl Invalid {
    /// Stable kebab-case word.
    pub fn id(&self) -> &'static str { todo!() }
}
/// Bytes that somebody we trust has signed. Only [`Compact::verify`] makes one.
#[derive(Debug)]
pub struct Verified { payload: Vec<u8>, signer: Signer }
impl Verified {
    /// What was signed.
    pub fn payload(&self) -> &[u8] { &self.payload }
    /// Who signed.
    pub fn signer(&self) -> &Signer { &self.signer }
}
/// The key that signed, and how it came to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// RFC 7638 thumbprint of the key.
    pub key_id: KeyId,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// After this the chain that vouches for the key is no longer valid; none for keys trusted by id.
    pub valid_until: Option<SystemTime>,
    /// Something an operator should hear: the key's certificate has expired.
    pub warning: Option<Arc<str>>,
}
