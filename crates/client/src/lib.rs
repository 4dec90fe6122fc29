//! A client for OCI registries: tokens, credentials, manifests, blobs, tags, and whole images.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use portpass_client::{Registry, Scopes, layout::Folder, transfer::{RemoteImage, Transfer}};
//!
//! // With docker's and podman's credentials, and the certificates that this machine trusts.
//! let registry = Registry::open("registry.example.com:5000")?.into_session();
//! let repositories = registry.catalog().await?;
//! let tags = registry.repository("team/app")?.tags().await?;
//!
//! // Pull. To push, exchange the two.
//! let image = RemoteImage::new(registry.clone(), &"registry.example.com:5000/team/app:v1".parse()?);
//! let folder = Folder::create("app".as_ref(), None)?;
//! Transfer::new(&image, &folder).run().await?;
//!
//! // A token of the registry's token service. It is valid for `expires_in` seconds.
//! let scopes = Scopes::parse("repository:team/app:pull");
//! let granted = registry.registry().token(&scopes).await?;
//! println!("{} s", granted.issued.expires_in);
//! # Ok(())
//! # }
//! ```
//!
//! [`Registry::new`] takes the parts instead: a [`Transport`] with its settings, a
//! [`CredentialStore`](credentials::CredentialStore) and a [`Clock`].
//!
//! ```text
//! Registry ── ping ──> 401, challenge ──> Realm::check ──> Tokens ──> a token
//!    │                                                       │
//!    │  Transport: no credentials over redirects,           GET with Basic, POST with a
//!    │  short bodies, plain HTTP on loopback only           refresh token; equal requests
//!    │                                                       share one response
//!    └─ CredentialStore: docker's config.json and helpers, podman's auth.json
//!
//! Repository ── manifests, blobs, tags ──> Session ── a request with its token ──> Registry
//!   checks digests, lengths, media types     bounds 401, 429, 503, redirects, lists
//!
//! Transfer ── Source ──> Target: a registry, a folder, an archive (feature `archive`)
//! ```
//!
//! Features: `archive` (default) reads and writes the archives of `docker save`.

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
pub use portpass_protocol::printable::is_unprintable;
pub use portpass_token::{Clock, SystemClock};
pub use reference::ImageReference;
pub use registry::Registry;
pub use repository::{BlobStream, Descriptor, Manifest, Mounted, Repository};
pub use scopes::Scopes;
pub use session::Session;
pub use transport::Transport;
