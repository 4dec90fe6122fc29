//! The registry's claims, and what makes them valid.
//!
//! ```text
//! Claims ── Minter ──► "eyJ…" ── Verifier ──► Arc<Claims>
//!                                   │
//!                                   │  jose: header, key, algorithm, signature
//!                                   │  claims: JSON read strictly, each key once
//!                                   │  iss, aud, exp, nbf ± leeway
//!                                   └► Invalid: which step, and the values that disagreed
//! ```
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use portpass_jose::{Algorithm, KeySet, SigningKey, TrustRoots};
//! use portpass_protocol::AccessSet;
//! use portpass_token::{
//!     Audience, Claims, Issuer, KeyIdForm, Minter, ServiceName, Trust, Verifier, VerifierSettings,
//! };
//!
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let (issuer, service) = (Issuer::new("portpass"), ServiceName::new("registry"));
//! let claims = Claims {
//!     issuer: issuer.clone(),
//!     subject: "ann".to_owned(),
//!     audience: Audience::one(service.clone()),
//!     expires: (now + Duration::from_secs(300)).into(),
//!     not_before: None,
//!     issued_at: Some(now.into()),
//!     id: None,
//!     access: "repository:ann/app:pull,push".parse()?,
//! };
//! let key = SigningKey::generate(Algorithm::Es256)?;
//! let token = Minter::mint(&key, KeyIdForm::Rfc7638, &claims)?;
//!
//! let mut keys = KeySet::new();
//! keys.insert(key.public().clone());
//! let verifier =
//!     Verifier::with_settings(VerifierSettings::new(issuer, service), Trust::new(TrustRoots::none(), keys));
//! assert_eq!(verifier.verify(&token, now)?.subject, "ann");
//! let late = verifier.verify(&token, now + Duration::from_secs(375)).unwrap_err();
//! assert!(late.to_string().starts_with("token expired 75 s ago"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod claims;
pub mod minter;
mod summary;
pub mod system;
pub mod verifier;

pub use claims::{Audience, Claims, ClaimsError, Issuer, NumericDate, ServiceName};
pub use minter::{MintError, Minter};
pub use portpass_jose::KeyIdForm;
pub use summary::unverified_summary;
pub use system::{Clock, Random, SystemClock, SystemRandom};
pub use verifier::{Invalid, Trust, Verifier, VerifierSettings};
