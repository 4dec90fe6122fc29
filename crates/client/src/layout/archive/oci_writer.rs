//! An OCI image layout as an archive, as `skopeo copy … oci-archive:FILE` writes it.

use std::path::Path;

use async_trait::async_trait;
use portpass_protocol::manifest::Descriptor;

use super::{
    super::{extent::blocking, folder::Folder, index::RefName},
    packing::{LAYOUT, Packing},
    staging::{self, Staging},
};
use crate::transfer::{
    BlobOffer, Companion, Error, LayoutError, NameChange, Presence, Target, VerifiedManifest,
};

/// An archive of an OCI image layout that does not exist yet: an image or a whole index, and what is about it. As
/// with [`ArchiveWriter`](super::ArchiveWriter), an interrupted run is gone on from.
#[derive(Debug)]
pub struct OciArchiveWriter {
    name: Option<RefName>,
    staging: Staging,
}

impl OciArchiveWriter {
    /// An archive to write, in place of whatever is there.
    pub fn new(path: &Path, name: Option<RefName>) -> Result<Self, LayoutError> {
        Ok(Self { name, staging: Staging::beside(path)? })
    }
}

#[async_trait]
impl Target for OciArchiveWriter {
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        self.staging.folder().presence(manifest).await
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        self.staging.folder().offer(blob).await
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        self.staging.folder().put(manifest).await
    }

    async fn attach(
        &self,
        companion: &Companion,
        _manifest: &VerifiedManifest,
    ) -> Result<(), Error> {
        let folder = self.staging.folder().clone();
        let (folder, manifest) = folder.for_companion(companion);
        blocking(move || folder.list(&manifest).map(drop)).await
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        self.staging.folder().put(root).await?;
        let path = self.staging.archive().to_owned();
        let folder = self.staging.folder().clone().named(self.name.clone());
        let root = root.descriptor();
        blocking(move || {
            folder.list(&root)?;
            pack(&path, &folder)
        })
        .await?;
        Ok(NameChange::Updated)
    }

    fn max_attempts(&self) -> u32 {
        self.staging.folder().max_attempts()
    }
}

fn pack(path: &Path, folder: &Folder) -> Result<(), Error> {
    let (index, blobs) = folder.reachable()?;
    let mut packing = Packing::begin(path)?;
    packing.document("oci-layout", LAYOUT)?;
    packing.document("index.json", &index)?;
    for blob in &blobs {
        packing.blob(folder, blob)?;
    }
    packing.end()?;
    Ok(staging::remove(path)?)
}
