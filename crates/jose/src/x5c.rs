//! Certificate chains and what they end at.
use std::time::SystemTime;
use crate::{Certificate, KeySet, signing::KeyError};
/// A signer's certificates, leaf first, at most five.
#[derive(Debug, Clone)]
pub struct CertificateChain(Vec<Certificate>);
impl CertificateChain {
    /// All CERTIFICATE blocks of PEM text, leaf first.
    pub fn from_pem(_pem: &str) -> Result<Self, KeyError> { todo!() }
    /// Leaf first.
    pub fn new(_certificates: Vec<Certificate>) -> Result<Self, KeyError> { todo!() }
    /// The signer's own.
    pub fn leaf(&self) -> &Certificate { todo!() }
    /// Leaf first.
    pub fn certificates(&self) -> &[Certificate] { &self.0 }
}
/// What a registry trusts for x5c: authorities, and single signers pinned byte for byte.
#[derive(Debug, Default)]
pub struct TrustRoots { certificates: Vec<Certificate> }
impl TrustRoots {
    /// Trusts no chain.
    pub fn none() -> Self { Self::default() }
    /// Every CERTIFICATE block; other blocks are skipped.
    pub fn from_pem(_pem: &str) -> Result<Self, KeyError> { todo!() }
    /// These certificates.
    pub fn new(_certificates: Vec<Certificate>) -> Self { todo!() }
    /// All.
    pub fn certificates(&self) -> &[Certificate] { &self.certificates }
    /// The key of every certificate, for tokens that name it by id.
    pub fn keys(&self) -> KeySet { todo!() }
    /// Verifies.
    pub fn verify(&self, _chain: &[Vec<u8>], _now: SystemTime) -> Result<(), KeyError> { todo!() }
}
