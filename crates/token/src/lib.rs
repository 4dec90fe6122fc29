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
//! A service that takes a registry's tokens needs this crate alone: the issuer's name, its own name, and
//! the certificates that it trusts.
//!
//! ```
//! # let key = rcgen::KeyPair::generate()?;
//! # let bundle = rcgen::CertificateParams::default().self_signed(&key)?.pem();
//! # let signing_key = portpass_token::SigningKey::from_pem(key.serialize_pem(), None)?;
//! # let in_five_minutes = std::time::SystemTime::now() + std::time::Duration::from_secs(300);
//! # let claims = portpass_token::Claims {
//! #     issuer: "portpass".into(),
//! #     subject: "ann".to_owned(),
//! #     audience: portpass_token::Audience::one("registry.example.com".into()),
//! #     expires: in_five_minutes.into(),
//! #     not_before: None,
//! #     issued_at: None,
//! #     id: None,
//! #     access: "repository:team/app:pull,push".parse()?,
//! # };
//! # let form = portpass_token::KeyIdForm::Rfc7638;
//! # let token = portpass_token::Minter::mint(&signing_key, form, &claims)?;
//! use portpass_token::{Access, Action, Trust, Verifier};
//!
//! let verifier = Verifier::new("portpass", "registry.example.com", Trust::from_pem(&bundle)?);
//! let claims = verifier.verify(&token, std::time::SystemTime::now())?;
//! assert!(claims.access.covers(&Access::repository("team/app", [Action::Push])));
//! assert!(!claims.access.covers(&Access::repository("team/app", [Action::Delete])));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The other side signs claims; [`VerifierSettings`] are for everything that is not usual:
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use portpass_token::{
//!     Algorithm, Audience, Claims, Issuer, KeyIdForm, KeySet, Minter, ServiceName, SigningKey, Verifier,
//!     VerifierSettings,
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
//! let settings =
//!     VerifierSettings { leeway: Duration::from_secs(5), ..VerifierSettings::new(issuer, service) };
//! let verifier = Verifier::with_settings(settings, keys.into());
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
pub use verifier::{Invalid, Trust, Verifier, VerifierSettings};
