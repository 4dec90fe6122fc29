//! Which repository has which blob, over several transfers into one registry.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use portpass_protocol::{Digest, RepositoryName};

/// Which repository of a registry has which blob, as far as transfers have seen. What one repository has
/// another can mount. Share one for all transfers into a registry.
#[derive(Debug, Default)]
pub struct KnownBlobs(Mutex<HashMap<Digest, RepositoryName>>);

impl KnownBlobs {
    /// A repository has a blob. The first that is known to have it stays.
    pub(super) fn note(&self, blob: &Digest, repository: &RepositoryName) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KNOWN {
            known.entry(*blob).or_insert_with(|| repository.clone());
        }
    }

    /// Another repository than this one that has a blob.
    pub(super) fn elsewhere(
        &self,
        blob: &Digest,
        repository: &RepositoryName,
    ) -> Option<RepositoryName> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(blob).filter(|other| *other != repository).cloned()
    }
}

/// So many blobs are remembered: some hundred megabytes at the most.
const MAX_KNOWN: usize = 1_000_000;
