//! A registry that one works with: every request with the token it needs.

use portpass_protocol::RepositoryName;

use crate::registry::Registry;

mod error;

pub use error::Error;

/// A registry and what is known of it: how it wants to be spoken to, tokens, credentials. Shared by
/// all that works with one registry, in parallel.
#[derive(Debug)]
pub struct Session {
    registry: Registry,
}

impl Session {
    /// Nothing is sent yet.
    pub fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The names of all repositories that may be seen, in the registry's order.
    pub async fn catalog(&self) -> Result<Vec<RepositoryName>, Error> {
        todo!()
    }
}
