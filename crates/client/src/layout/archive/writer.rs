//! An archive that is written: one image, for `docker load` of any age and for OCI's tools.

use std::path::Path;

use async_trait::async_trait;
use portpass_protocol::manifest::Descriptor;
use serde_json::json;

use super::{
    super::{
        extent::blocking,
        folder::Folder,
        index::{IMAGE_NAME, REF_NAME, described},
    },
    name,
    packing::{LAYOUT, Packing, member},
    staging::{self, Staging},
};
use crate::transfer::{
    BlobOffer, Companion, Error, LayoutError, NameChange, Presence, Target, VerifiedManifest,
};

/// An archive that does not exist yet. What it will hold is gathered in a folder beside it, so that
/// an interrupted run is gone on from; then it is written in one piece, and the folder goes.
#[derive(Debug)]
pub struct ArchiveWriter {
    /// What `docker load` shall call the image.
    name: Option<String>,
    staging: Staging,
}

impl ArchiveWriter {
    /// An archive to write, in place of whatever is there. `name` is `NAME:TAG`, or nothing for an
    /// image that is only known by its digest.
    pub fn new(path: &Path, name: Option<String>) -> Result<Self, LayoutError> {
        Ok(Self { name, staging: Staging::beside(path)? })
    }
}

#[async_trait]
impl Target for ArchiveWriter {
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        self.staging.folder().presence(manifest).await
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        self.staging.folder().offer(blob).await
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        self.staging.folder().put(manifest).await
    }

    /// `docker load` takes one image, and nothing that is about it.
    async fn attach(
        &self,
        _companion: &Companion,
        _manifest: &VerifiedManifest,
    ) -> Result<(), Error> {
        Err(LayoutError::NoCompanions { path: self.staging.archive().to_owned() }.into())
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        self.staging.folder().put(root).await?;
        let (path, name) = (self.staging.archive().to_owned(), self.name.clone());
        let (staging, root) = (self.staging.folder().clone(), root.clone());
        blocking(move || pack(&path, name.as_deref(), &staging, &root)).await?;
        Ok(NameChange::Updated)
    }

    fn max_attempts(&self) -> u32 {
        self.staging.folder().max_attempts()
    }
}

fn pack(
    path: &Path,
    name: Option<&str>,
    staging: &Folder,
    root: &VerifiedManifest,
) -> Result<(), Error> {
    let mut packing = Packing::begin(path)?;
    let name = name.map(name::whole);
    packing.document("oci-layout", LAYOUT)?;
    packing.document("index.json", &index(name.as_deref(), root))?;
    packing.document("manifest.json", &manifest(name.as_deref(), root))?;
    packing.blob(staging, &root.descriptor())?;
    for blob in root.links().blobs() {
        packing.blob(staging, blob)?;
    }
    packing.end()?;
    Ok(staging::remove(path)?)
}

/// What OCI's tools and newer dockers read.
fn index(name: Option<&str>, root: &VerifiedManifest) -> Vec<u8> {
    let mut entry = described(&root.descriptor());
    if let Some(name) = name {
        entry["annotations"] = json!({ IMAGE_NAME: name, REF_NAME: name::tag(name) });
    }
    json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().into_bytes()
}

/// What every docker reads.
fn manifest(name: Option<&str>, root: &VerifiedManifest) -> Vec<u8> {
    let links = root.links();
    let config = links.config.as_ref().map(|config| member(&config.digest));
    let layers: Vec<String> = links.layers.iter().map(|layer| member(&layer.digest)).collect();
    let tags: Vec<&str> = name.into_iter().collect();
    json!([{ "Config": config, "RepoTags": tags, "Layers": layers }]).to_string().into_bytes()
}
