#![doc = include_str!("../README.md")]

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
pub use portpass_protocol::{
    AccessSet, Digest, MediaType, Reference, RepositoryName, Tag, name::NameError,
    printable::is_unprintable,
};
pub use portpass_token::{Clock, SystemClock};
pub use reference::ImageReference;
pub use registry::Registry;
pub use repository::{BlobStream, Descriptor, Manifest, Mounted, Repository};
pub use scopes::Scopes;
pub use secrecy::{ExposeSecret, SecretString};
pub use session::Session;
pub use transport::Transport;
