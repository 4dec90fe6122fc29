//! The other side of registry and token service: logging in, tokens, and the content of registries.
//!
//! ```text
//! Registry ── ping ──> 401, challenge ──> Realm::check ──> Tokens ──> a token
//!    |                                                       |
//!    |  Transport: one way out; no credentials              GET with Basic, POST with a
//!    |  over redirects, short bodies, plain HTTP            refresh token; one request
//!    |  on loopback alone                                   at a time for one answer
//!    |
//!    Credentials: docker's config.json and helpers, podman's auth.json
//!
//! Remote ── manifests, blobs, tags ──> Session ── a request with the token that it needs ──> Registry
//!   checked: digests, lengths, kinds             401, 429, 503, redirects, lists: all bounded
//! ```
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use portpass_client::{Registry, Scopes, SystemClock, Transport, credentials::{CredentialFiles, CredentialPaths}};
//!
//! let places = CredentialPaths::from_environment(|name| std::env::var(name).ok());
//! let registry = Registry::new(
//!     "registry.example.com:5000".parse()?,
//!     Arc::new(Transport::default()),
//!     Arc::new(CredentialFiles::new(places)),
//!     Arc::new(SystemClock),
//! );
//! let granted = registry.token(&Scopes::parse("repository:team/app:pull")).await?;
//! assert!(granted.issued.expires_in >= 60);
//! # Ok(())
//! # }
//! ```

mod causes;
pub mod credentials;
#[cfg(test)]
mod fixture;
pub mod host;
pub mod layout;
pub mod location;
pub mod realm;
pub mod reference;
pub mod registry;
pub mod repository;
pub mod scopes;
pub mod session;
pub mod tokens;
pub mod transfer;
pub mod transport;
pub mod trust;

pub use causes::causes;
pub use host::Host;
pub use location::Location;
pub use portpass_protocol::foreign::is_obeyed;
pub use portpass_token::{Clock, SystemClock};
pub use reference::ImageReference;
pub use registry::Registry;
pub use repository::{BlobStream, Descriptor, Manifest, Mounted, Repository};
pub use scopes::Scopes;
pub use session::Session;
pub use transport::Transport;
