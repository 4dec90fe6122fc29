#![doc = include_str!("../README.md")]

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
pub mod scope;
pub mod secret;
pub mod token_response;

pub use access::{Access, AccessSet, Action, Actions, Resource};
pub use challenge::Challenge;
pub use change::RepositoryChange;
pub use digest::{Digest, DigestAlgorithm, HashState, Hasher};
pub use error::{ErrorBody, ErrorCode, ErrorEntry};
pub use manifest::{Links, MediaType};
pub use name::{Reference, RepositoryName, Tag};
pub use origin::{Authority, ClientAddress, Origin, RequestId, Scheme, UnnamedClient};
pub use outcome::{Refusal, RefusalDetails, RequestOutcome, TokenSummary};
pub use range::{ByteRange, ContentRange};
pub use scope::Scope;
pub use token_response::TokenResponse;
