//! An archive that is written: one image, for `docker load` of any age and for OCI's tools.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use portpass_protocol::{Digest, manifest::Descriptor};
use serde_json::json;
use tar::{EntryType, Header};

use super::{
    super::{
        Folder,
        extent::{Extent, blocking},
        index::{IMAGE_NAME, REF_NAME, described},
        partial::{folder_of, sync_folder_of},
    },
    name,
};
use crate::transfer::{
    BlobOffer, Error, LayoutError, NameChange, Presence, Target, VerifiedManifest,
};

/// An archive that does not exist yet. What it will hold is gathered in a folder beside it, so that
/// an interrupted run is gone on from; then it is written in one piece, and the folder goes.
#[derive(Debug)]
pub struct ArchiveWriter {
    path: PathBuf,
    /// What `docker load` shall call the image.
    name: Option<String>,
    staging: Folder,
    /// Two runs would take each other's folder away.
    _alone: File,
}

impl ArchiveWriter {
    /// An archive to write, in place of whatever is there. `name` is `NAME:TAG`, or nothing for an
    /// image that is only known by its digest.
    pub fn new(path: &Path, name: Option<String>) -> Result<Self, LayoutError> {
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(LayoutError::NotRegular { path: path.to_owned() });
        }
        let staging = Folder::create(&folder_beside(path), None)?;
        let in_use = || LayoutError::InUse { path: path.to_owned() };
        let alone = staging.lock_exclusive()?.ok_or_else(in_use)?;
        Ok(Self { path: path.to_owned(), name, staging, _alone: alone })
    }
}

impl Drop for ArchiveWriter {
    /// Where nothing has arrived, nothing is left for the next run.
    fn drop(&mut self) {
        let beside = folder_beside(&self.path);
        if fs::remove_dir(beside.join("blobs")).is_ok() {
            let _ = fs::remove_dir_all(&beside);
        }
    }
}

#[async_trait]
impl Target for ArchiveWriter {
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        self.staging.presence(manifest).await
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        self.staging.offer(blob).await
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        self.staging.put(manifest).await
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        self.staging.put(root).await?;
        let (path, name) = (self.path.clone(), self.name.clone());
        let (staging, root) = (self.staging.clone(), root.clone());
        blocking(move || pack(&path, name.as_deref(), &staging, &root)).await?;
        Ok(NameChange::Updated)
    }

    fn max_attempts(&self) -> u32 {
        self.staging.max_attempts()
    }
}

/// `.FILE.portpass` beside `FILE`.
fn folder_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.portpass"))
}

fn pack(
    path: &Path,
    name: Option<&str>,
    staging: &Folder,
    root: &VerifiedManifest,
) -> Result<(), Error> {
    let folder = folder_of(path);
    let file = tempfile::Builder::new()
        .prefix(".portpass-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(LayoutError::io(folder))?;
    let mut packing = Packing { path, file: file.as_file(), blobs: Vec::new() };
    let name = name.map(name::whole);
    packing.document("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    packing.document("index.json", &index(name.as_deref(), root))?;
    packing.document("manifest.json", &manifest(name.as_deref(), root))?;
    packing.blob(staging, &root.descriptor())?;
    for blob in root.links().blobs() {
        packing.blob(staging, blob)?;
    }
    packing.end()?;
    file.persist(path).map_err(|error| LayoutError::io(path)(error.error))?;
    sync_folder_of(path)?;
    let beside = folder_beside(path);
    Ok(fs::remove_dir_all(&beside).map_err(LayoutError::io(&beside))?)
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

fn member(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// An archive as it grows.
struct Packing<'a> {
    path: &'a Path,
    file: &'a File,
    /// One image may have the same layer twice.
    blobs: Vec<Digest>,
}

impl Packing<'_> {
    fn document(&mut self, name: &str, content: &[u8]) -> Result<(), LayoutError> {
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.written(|file| {
            file.write_all(header(name, length)?.as_bytes())?;
            file.write_all(content)?;
            pad(file, length)
        })
    }

    fn blob(&mut self, staging: &Folder, blob: &Descriptor) -> Result<(), Error> {
        if self.blobs.contains(&blob.digest) {
            return Ok(());
        }
        self.blobs.push(blob.digest);
        let extent = staging.extent(blob)?;
        Ok(self.written(|file| {
            file.write_all(header(&member(&blob.digest), extent.length)?.as_bytes())?;
            copy(&extent, file)?;
            pad(file, extent.length)
        })?)
    }

    /// Two empty blocks end an archive.
    fn end(&mut self) -> Result<(), LayoutError> {
        self.written(|file| {
            file.write_all(&[0; 1024])?;
            file.sync_data()
        })
    }

    fn written(
        &mut self,
        write: impl FnOnce(&mut &File) -> io::Result<()>,
    ) -> Result<(), LayoutError> {
        write(&mut self.file).map_err(LayoutError::io(self.path))
    }
}

/// The same bytes always make the same archive: no times, no owners.
fn header(name: &str, length: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length);
    header.set_cksum();
    Ok(header)
}

/// From file to file, which the kernel does without us where it can.
fn copy(extent: &Extent, to: &mut &File) -> io::Result<()> {
    let mut whole: &File = &extent.file;
    let copied = io::copy(&mut whole, to)?;
    if copied == extent.length {
        return Ok(());
    }
    Err(io::Error::other("a blob changed while it was read"))
}

fn pad(file: &mut &File, length: u64) -> io::Result<()> {
    let missing = length.next_multiple_of(512) - length;
    file.write_all(&[0; 512][..usize::try_from(missing).unwrap_or_default()])
}
