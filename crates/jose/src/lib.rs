//! Signatures over JSON: which key a token was signed by, and whether that key is trusted.
//!
//! Knows nothing of registries, scopes or HTTP. Time is a parameter; nothing is ever fetched.
//!
//! ```text
//! "eyJ…"  ── Compact::parse ──►  Compact       length, three parts, header
//!                                   │
//!                                   │  x5c ─► TrustRoots   jwk, kid ─► KeySet
//!                                   │  alg: the key's own, and allowed
//!                                   ▼  signature
//!                                Verified      payload bytes that a trusted key has signed
//! ```
//!
//! ```
//! use std::time::SystemTime;
//! use portpass_jose::{Algorithm, Algorithms, Compact, KeyIdForm, KeySet, SigningKey, TrustRoots};
//!
//! let key = SigningKey::generate(Algorithm::Es256)?;
//! let token = key.sign_compact(KeyIdForm::Rfc7638, br#"{"iss":"portpass"}"#)?;
//!
//! let mut keys = KeySet::new();
//! keys.insert(key.public().clone());
//! let now = SystemTime::UNIX_EPOCH;
//! let verified =
//!     Compact::parse(&token)?.verify(&keys, &TrustRoots::none(), Algorithms::PUBLIC_KEY, now)?;
//! assert_eq!(verified.payload(), br#"{"iss":"portpass"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod algorithm;
mod base64url;
mod base_point;
pub mod certificate;
mod components;
mod error;
pub mod excerpt;
#[cfg(test)]
mod fixture;
pub mod id;
pub mod json;
mod jwk;
pub mod jws;
pub mod pem;
pub mod set;
pub mod signing;
mod thumbprint;
pub mod unverified;
pub mod verifying;
pub mod x5c;

pub use algorithm::{Algorithm, Algorithms, KeyType};
pub use base_point::curve_of_base_point;
pub use certificate::{Certificate, OutOfDate};
pub use error::KeyError;
pub use excerpt::Excerpt;
pub use id::{IdForm, KeyId, KeyIdForm};
pub use jwk::ChainEncoding;
pub use jws::{Compact, Invalid, Malformed, Signer, Verified};
pub use set::KeySet;
pub use signing::{SignError, Signature, SigningKey};
pub use verifying::VerifyingKey;
pub use x5c::{CertificateChain, ChainError, TrustRoots, ValidatedKey};
