//! Archives of `docker save` and of OCI image layouts: read where they lie, written in one piece.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use portpass_protocol::{
    Digest, MediaType,
    manifest::{Descriptor, MAX_LENGTH},
};

use super::{
    blobs::too_long,
    companions::Companions,
    extent::{Extent, blocking},
    folder::only,
    index::{Entry, Index},
};
use crate::transfer::{Companion, Content, Error, LayoutError, Source, VerifiedManifest};

mod members;
mod name;
mod oci_writer;
mod packing;
mod saved;
mod staging;
mod writer;

use members::Members;
pub use oci_writer::OciArchiveWriter;
pub use writer::ArchiveWriter;

/// An archive of `docker save`, and the image in it that is meant.
///
/// Docker has written two kinds. The newer (25 and later) is an OCI image layout as well, and so is
/// an archive of OCI's own tools: those are read by their `index.json`, and every digest stays what
/// it was. The older names a config and layers and has no manifest: one is made for them, and the
/// layers stay as they are.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    root: VerifiedManifest,
    blobs: BTreeMap<Digest, Extent>,
    /// What its `index.json` points at.
    entries: Vec<Entry>,
    companions: Companions,
}

impl Archive {
    /// Opens an archive. Without a name, it has to hold one image alone. Reads all of an older
    /// archive, for its layers have no digests yet; so it may take a while.
    pub async fn open(path: &Path, name: Option<&str>) -> Result<Self, Error> {
        let (path, name) = (path.to_owned(), name.map(str::to_owned));
        blocking(move || Self::read(&path, name.as_deref())).await
    }

    fn read(path: &Path, name: Option<&str>) -> Result<Self, Error> {
        let members = Members::scan(path)?;
        match members.document("index.json")? {
            Some(index) => Self::of_layout(&members, &Index::read(&index, path)?, name),
            None => Self::of_saved(&members, name),
        }
    }

    fn of_layout(members: &Members, index: &Index, name: Option<&str>) -> Result<Self, Error> {
        let path = members.path();
        let blobs: BTreeMap<Digest, Extent> = members.blobs().collect();
        let entries = index.entries(path)?;
        let root = manifest(path, &blobs, &only(&entries, name, path, is_called)?)?;
        let companions = Companions::default();
        Ok(Self { root, path: path.to_owned(), blobs, entries, companions })
    }

    fn of_saved(members: &Members, name: Option<&str>) -> Result<Self, Error> {
        let image = saved::choose(members, name)?;
        let (manifest, blobs) = saved::read(members, &image)?;
        let root = VerifiedManifest::read(Bytes::from(manifest), MediaType::OciManifest, None)?;
        let (entries, companions) = (Vec::new(), Companions::default());
        Ok(Self { path: members.path().to_owned(), root, blobs, entries, companions })
    }
}

#[async_trait]
impl Source for Archive {
    async fn root(&self) -> Result<VerifiedManifest, Error> {
        Ok(self.root.clone())
    }

    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let (path, blobs, wanted) = (self.path.clone(), self.blobs.clone(), wanted.clone());
        blocking(move || manifest(&path, &blobs, &wanted)).await
    }

    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error> {
        let extent = extent(&self.path, &self.blobs, wanted)?;
        Ok(extent.stream(from))
    }

    async fn companions(&self, subject: &Digest) -> Result<Vec<Companion>, Error> {
        let read = |wanted: &Descriptor| manifest(&self.path, &self.blobs, wanted);
        Ok(self.companions.of(subject, &self.entries, read))
    }
}

/// An entry is called by the whole reference, or by what its layout calls it.
fn is_called(entry: &Entry, name: &str) -> bool {
    entry.name.as_deref() == Some(name)
        || entry.image.as_deref().is_some_and(|image| name::same_reference(image, name))
        || entry.name.as_deref().is_some_and(|other| name::same_reference(other, name))
}

fn manifest(
    path: &Path,
    blobs: &BTreeMap<Digest, Extent>,
    wanted: &Descriptor,
) -> Result<VerifiedManifest, Error> {
    let limit = u64::try_from(MAX_LENGTH).unwrap_or(u64::MAX);
    let bytes = extent(path, blobs, wanted)?.all(limit).map_err(LayoutError::io(path))?;
    let media_type = MediaType::from_content_type(&wanted.media_type)
        .map_err(|error| Error::manifest(wanted, error))?;
    VerifiedManifest::read_described(bytes.ok_or_else(|| too_long(wanted))?, media_type, wanted)
}

/// Where a blob lies, if it is as long as it is said to be.
fn extent(
    path: &Path,
    blobs: &BTreeMap<Digest, Extent>,
    wanted: &Descriptor,
) -> Result<Extent, Error> {
    let Descriptor { digest, size, .. } = *wanted;
    let missing =
        || LayoutError::Missing { path: path.to_owned(), wanted: format!("blob {digest}") };
    let extent = blobs.get(&digest).ok_or_else(missing)?;
    if extent.length != size {
        return Err(Error::Length { digest, expected: size, found: extent.length });
    }
    Ok(extent.clone())
}
