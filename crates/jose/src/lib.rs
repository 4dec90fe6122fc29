#![doc = include_str!("../README.md")]

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
