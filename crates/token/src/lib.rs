//! The registry's claims and what makes them valid.
pub mod claims;
pub mod minter;
pub mod source;
pub mod verifier;

pub use claims::{Audience, Claims, Issuer, NumericDate, ServiceName};
pub use minter::{MintError, Minter};
pub use portpass_jose::KeyIdForm;
pub use source::{Clock, Random, SystemClock, SystemRandom};
pub use verifier::{Invalid, Trust, Verifier, VerifierSettings};
