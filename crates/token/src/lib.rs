#![doc = include_str!("../README.md")]

pub mod claims;
pub mod minter;
mod summary;
pub mod system;
pub mod verifier;

pub use claims::{Audience, Claims, ClaimsError, Issuer, NumericDate, ServiceName};
pub use minter::{MintError, Minter};
pub use portpass_jose::{
    Algorithm, Algorithms, Certificate, CertificateChain, ChainError, Invalid as Untrusted,
    KeyError, KeyId, KeyIdForm, KeySet, Malformed, SignError, SigningKey, TrustRoots, VerifyingKey,
    json::JsonError, set::JwksError,
};
pub use portpass_protocol::{
    TokenSummary,
    access::{Access, AccessSet, Action, Actions, Resource},
    scope::ScopeError,
};
pub use summary::unverified_summary;
pub use system::{Clock, Random, SystemClock, SystemRandom};
pub use verifier::{Invalid, Revocations, Trust, Verifier, VerifierSettings};
