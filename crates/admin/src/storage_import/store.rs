//! The store that an import puts its objects into.

use std::path::Path;

use portpass_storage::{Adopter, owner::Found};

use super::ImportError;
use crate::{
    Installation,
    blob_directory::{BlobDirectory, BlobDirectoryError},
    blocking,
};

impl Installation {
    /// Puts objects into the store, beside a server or without one.
    pub(super) async fn adopter(&self, tree: &Path) -> Result<Adopter, ImportError> {
        let BlobDirectory { root, found } = self.blob_directory().await?;
        if found == Found::Distribution {
            let why = if tree.starts_with(&root) {
                "the old registry's tree lies there"
            } else {
                "the tree of a distribution registry lies there"
            };
            return Err(BlobDirectoryError::Foreign { root, why }.into());
        }
        let keys = self.object_names();
        Ok(blocking(move || Adopter::open(root, keys)).await?)
    }
}
