//! Signatures over JSON.
pub mod algorithm;
pub mod certificate;
pub mod danger;
pub mod id;
pub mod json;
pub mod jws;
pub mod set;
pub mod signing;
pub mod verifying;
pub mod x5c;

pub use algorithm::{Algorithm, Algorithms, Shape};
pub use certificate::Certificate;
pub use id::{IdForm, KeyId, KeyIdForm};
pub use jws::{Compact, Invalid, Malformed, Signer, Verified};
pub use set::KeySet;
pub use signing::{KeyError, Signature, SigningKey};
pub use verifying::VerifyingKey;
pub use x5c::{CertificateChain, TrustRoots};
