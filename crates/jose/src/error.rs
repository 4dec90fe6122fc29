//! Why a key, a certificate or a bundle of them is not usable.

use crate::{Algorithm, KeyId, KeyType, json::JsonError};

/// Why a key, a certificate or a bundle of them is not usable.
///
/// Each is found when something is read, long before the first token comes in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The leaf holds another key than the one it should vouch for.
    #[error(
        "the certificate of {subject:?} has the key {certified}, not the signing key {signing}"
    )]
    AnotherKey {
        /// Whose certificate it is.
        subject: String,
        /// The key in the certificate.
        certified: KeyId,
        /// The key that was to sign.
        signing: KeyId,
    },
    /// A certificate's bytes are not X.509.
    #[error("not a readable X.509 certificate: {0}")]
    Certificate(String),
    /// One of several certificates is unusable.
    #[error("certificate {position}: {why}")]
    CertificateAt {
        /// Counted from one.
        position: usize,
        /// What is wrong with it.
        why: Box<Self>,
    },
    /// The private key is protected by a pass phrase.
    #[error("the private key is encrypted; decrypt it with `openssl pkey -in FILE`")]
    Encrypted,
    /// A JWK lacks something, or something in it has the wrong form.
    #[error("not a usable JWK: {0}")]
    Jwk(String),
    /// A JWK is not one JSON object.
    #[error("not a usable JWK: {0}")]
    JwkJson(#[from] JsonError),
    /// The PEM text holds no certificate.
    #[error("there is no certificate; expected a PEM block `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// The PEM text holds no private key.
    #[error(
        "there is no private key; expected a PEM block PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY"
    )]
    NoPrivateKey,
    /// The text is broken PEM.
    #[error("not readable as PEM: {0}")]
    Pem(String),
    /// The private key's bytes are none of the forms we read.
    #[error(
        "the private key is not readable: expected Ed25519, RSA of 2048 to 8192 bits, or an elliptic curve key on P-256, P-384 or P-521"
    )]
    PrivateKey,
    /// An RSA key is shorter or longer than 2048 to 8192 bits.
    #[error("the RSA key has {bits} bits; 2048 to 8192 are accepted")]
    RsaSize {
        /// Its length.
        bits: usize,
    },
    /// Too short a secret for its algorithm (RFC 7518 §3.2).
    #[error("the shared secret has {bytes} bytes; HS256 needs at least 32")]
    SecretSize {
        /// Its length.
        bytes: usize,
    },
    /// The algorithm does not work with such a key.
    #[error("{algorithm} does not work with {key_type}; choose from {choice}", choice = .key_type.algorithms())]
    KeyType {
        /// What was asked for.
        algorithm: Algorithm,
        /// What the key is.
        key_type: KeyType,
    },
    /// More certificates than a chain may have.
    #[error("there are {count} certificates; a chain may have at most {limit}")]
    TooManyCertificates {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A public key of a kind that signs nothing here.
    #[error("the public key is not usable: {0}")]
    Unsupported(String),
}
