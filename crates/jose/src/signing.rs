//! Keys that sign.
use crate::{Algorithm, CertificateChain, KeyId, KeyIdForm, VerifyingKey};
/// A signing key that has been parsed and checked once.
#[derive(Debug)]
pub struct SigningKey { public: VerifyingKey }
impl SigningKey {
    /// A fresh key.
    pub fn generate(_algorithm: Algorithm) -> Result<Self, KeyError> { todo!() }
    /// The first private key in PEM text (PKCS#8, SEC1, PKCS#1).
    pub fn from_pem(_pem: &str, _algorithm: Option<Algorithm>) -> Result<Self, KeyError> { todo!() }
    /// PKCS#8 DER.
    pub fn from_pkcs8(_der: &[u8], _algorithm: Option<Algorithm>) -> Result<Self, KeyError> { todo!() }
    /// A private JWK.
    pub fn from_jwk(_json: &str, _algorithm: Option<Algorithm>) -> Result<Self, KeyError> { todo!() }
    /// With the chain that vouches for it; its leaf must hold this key.
    pub fn with_chain(self, _chain: CertificateChain) -> Result<Self, KeyError> { todo!() }
    /// PKCS#8 DER.
    pub fn to_pkcs8(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> { todo!() }
    /// Signs.
    pub fn sign(&self, _message: &[u8]) -> Result<Signature, SignError> { todo!() }
    /// A compact JWS whose header has `typ` JWT.
    pub fn sign_compact(&self, _form: KeyIdForm, _payload: &[u8]) -> Result<String, SignError> { todo!() }
    /// The public half.
    pub fn public(&self) -> &VerifyingKey { &self.public }
    /// RFC 7638 thumbprint.
    pub fn id(&self) -> &KeyId { todo!() }
    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm { todo!() }
    /// The chain, leaf first.
    pub fn chain(&self) -> Option<&CertificateChain> { todo!() }
}
/// Raw signature bytes (`r||s` for ES*).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);
impl AsRef<[u8]> for Signature { fn as_ref(&self) -> &[u8] { &self.0 } }
/// Why a key, certificate or bundle is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {}
/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {}
