//! The words of the registry protocol: names, digests, scopes, challenges, error bodies, and what a
//! manifest points at.
//!
//! Everything that arrives as text becomes one of these types at the door, or an error that names
//! it. Nothing here does I/O, reads a clock, or knows a server.
//!
//! ```text
//! /v2/library/alpine/manifests/3.20          name::RepositoryName, name::Reference
//! WWW-Authenticate: Bearer realm=…,scope=…   challenge::Challenge
//! scope=repository:library/alpine:pull       scope::Scope -> access::Access
//! "access":[{"type":"repository",…}]         access::AccessSet
//! sha256:e3b0…                               digest::Digest
//! ```
//!
//! ```
//! use portpass_protocol::{AccessSet, RepositoryName};
//!
//! let name: RepositoryName = "library/alpine".parse()?;
//! let granted: AccessSet = "repository:library/alpine:pull,push".parse()?;
//! assert!(granted.covers(&name.pull()));
//! assert!(!granted.covers(&name.delete()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod access;
pub mod advice;
pub mod challenge;
pub mod change;
pub mod digest;
pub mod error;
pub mod manifest;
pub mod name;
pub mod origin;
pub mod outcome;
pub mod printable;
pub mod range;
pub mod refresh_token;
pub mod scope;
pub mod token_response;

pub use access::{Access, AccessSet, Action, Actions, Resource};
pub use challenge::Challenge;
pub use change::RepositoryChange;
pub use digest::{Digest, DigestAlgorithm, HashState, Hasher};
pub use error::{ErrorBody, ErrorCode, ErrorEntry};
pub use manifest::{Links, MediaType};
pub use name::{Reference, RepositoryName, Tag};
pub use origin::{Authority, ClientAddress, Origin, RequestId, Scheme};
pub use outcome::{Refusal, RefusalDetails, RequestOutcome, TokenSummary};
pub use range::{ByteRange, ContentRange};
pub use scope::Scope;
pub use token_response::TokenResponse;
