//! The directory of the blobs: whether it is this installation's, before anything is put there.

use std::{path::Path, sync::Arc};

use portpass_storage::{
    Adopter, Keys,
    owner::{self, Found},
};

use super::ImportError;
use crate::{Installation, blocking};

impl Installation {
    /// Puts objects into the store, beside a server or without one.
    pub(super) async fn adopter(&self, tree: &Path) -> Result<Adopter, ImportError> {
        let registry = self.config.registry.as_ref().ok_or(ImportError::NoRegistry)?;
        let root = registry.blobs.clone();
        let foreign = |why| ImportError::Store { root: root.clone(), why };
        let path = root.clone();
        let found = blocking(move || owner::inspect(&path)).await?;
        match found {
            Found::Of(found) => {
                let fresh = format!("{:032x}", u128::from_be_bytes(self.random_id()));
                if found.installation != self.db.installation(&fresh).await? {
                    return Err(foreign("another installation's name stands there"));
                }
                if !self.db.pairing().await?.is_of(&found.pairing) {
                    return Err(foreign("they belong to another copy of its database"));
                }
            }
            Found::Distribution if tree.starts_with(&root) => {
                return Err(foreign("the old registry's tree lies there"));
            }
            Found::Distribution => {
                return Err(foreign("the tree of a distribution registry lies there"));
            }
            Found::Nothing if !self.db.held_blobs(None, 1).await?.is_empty() => {
                return Err(foreign("the directory is empty; is its volume mounted?"));
            }
            // A server that starts later compares them with the rows.
            Found::Nothing | Found::Objects => {}
        }
        let random = Arc::clone(&self.random);
        let keys: Keys = Arc::new(move || {
            let mut bits = [0; 16];
            random.fill(&mut bits);
            u128::from_be_bytes(bits)
        });
        Ok(blocking(move || Adopter::open(root, keys)).await?)
    }
}
