//! The directory of the blobs: whether it is this installation's, before anything is put there or taken from there.

use std::{path::PathBuf, sync::Arc};

use portpass_state::StateError;
use portpass_storage::{
    BlobStore, FsStore, Keys, StoreError,
    owner::{self, Found, OwnerError},
};

use crate::{Installation, blocking};

/// Why the blobs of an installation cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobDirectoryError {
    /// The configuration names no registry.
    #[error("this configuration runs no registry: it has no `registry`")]
    NoRegistry,
    /// The blobs of this installation are not where they should be, or another's lie there.
    #[error(
        "the blobs in {} are not those of this installation: {why}; start `portpass serve` to see what to do",
        root.display()
    )]
    Foreign {
        /// The directory.
        root: PathBuf,
        /// How that can be seen.
        why: &'static str,
    },
    /// The directory of the blobs cannot be looked at.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The blobs.
    #[error(transparent)]
    Blobs(#[from] StoreError),
}

/// A directory that no other installation has.
#[derive(Debug)]
pub(crate) struct BlobDirectory {
    pub(crate) root: PathBuf,
    pub(crate) found: Found,
}

impl Installation {
    /// The directory of the blobs, unless another installation's blobs lie there, or it is not mounted.
    pub(crate) async fn blob_directory(&self) -> Result<BlobDirectory, BlobDirectoryError> {
        let registry = self.config.registry.as_ref().ok_or(BlobDirectoryError::NoRegistry)?;
        let root = registry.blobs.clone();
        let foreign = |why| Err(BlobDirectoryError::Foreign { root: root.clone(), why });
        let path = root.clone();
        let found = blocking(move || owner::inspect(&path)).await?;
        match &found {
            Found::Of(owner) => {
                let fresh = format!("{:032x}", u128::from_be_bytes(self.random_id()));
                if owner.installation != self.db.installation(&fresh).await? {
                    return foreign("another installation's name stands there");
                }
                if !self.db.pairing().await?.is_of(&owner.pairing) {
                    return foreign("they belong to another copy of its database");
                }
            }
            Found::Nothing if !self.db.held_blobs(None, 1).await?.is_empty() => {
                return foreign("the directory is empty; is its volume mounted?");
            }
            // A server that starts later compares them with the rows.
            Found::Nothing | Found::Objects | Found::Distribution => {}
        }
        Ok(BlobDirectory { root, found })
    }

    /// The store of an installation on which a server has started.
    pub(crate) async fn blob_store(&self) -> Result<Arc<dyn BlobStore>, BlobDirectoryError> {
        let BlobDirectory { root, found } = self.blob_directory().await?;
        match found {
            Found::Of(_) => {
                let keys = self.object_names();
                Ok(Arc::new(blocking(move || FsStore::open(root, keys)).await?))
            }
            Found::Nothing | Found::Objects | Found::Distribution => {
                Err(BlobDirectoryError::Foreign { root, why: "no name stands there" })
            }
        }
    }

    /// Names of new objects.
    pub(crate) fn object_names(&self) -> Keys {
        let random = Arc::clone(&self.random);
        Arc::new(move || {
            let mut bits = [0; 16];
            random.fill(&mut bits);
            u128::from_be_bytes(bits)
        })
    }
}
