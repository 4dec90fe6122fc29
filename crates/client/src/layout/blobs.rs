//! The blobs of a folder: `blobs/ALGORITHM/HEX`, or for skopeo's `dir:` simply `HEX`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use portpass_protocol::{
    Digest,
    manifest::{Descriptor, MAX_LENGTH},
};
use tempfile::NamedTempFile;

use super::{
    extent::{Extent, blocking, open_regular},
    partial::{self, PartialBlob, folder_of, sync_folder_of},
};
use crate::transfer::{BlobOffer, BlobWriter, Content, Error, LayoutError};

/// The blobs of one folder.
#[derive(Debug, Clone)]
pub(super) struct Blobs {
    layout: PathBuf,
    naming: Naming,
}

/// How the files are called.
#[derive(Debug, Clone, Copy)]
enum Naming {
    /// As the image specification says ("Image Layout").
    Layout,
    /// As skopeo's `dir:` does: manifests and blobs are told apart.
    Flat,
}

impl Blobs {
    pub(super) fn of(layout: &Path) -> Self {
        Self { layout: layout.to_owned(), naming: Naming::Layout }
    }

    /// Those of a folder of skopeo's `dir:`.
    pub(super) fn flat(folder: &Path) -> Self {
        Self { layout: folder.to_owned(), naming: Naming::Flat }
    }

    /// Where a blob is, once it is there. A digest is only hex digits, so this leads nowhere else
    /// (CVE-2024-3727).
    fn path(&self, digest: &Digest) -> PathBuf {
        match self.naming {
            Naming::Layout => {
                self.layout.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
            }
            Naming::Flat => self.layout.join(digest.hex()),
        }
    }

    /// The same for a manifest.
    fn manifest_path(&self, digest: &Digest) -> PathBuf {
        match self.naming {
            Naming::Layout => self.path(digest),
            Naming::Flat => self.layout.join(format!("{}.manifest.json", digest.hex())),
        }
    }

    fn incoming(&self) -> PathBuf {
        self.layout.join(INCOMING)
    }

    /// Whether a blob of that length is there. Whether it is the right one is seen when it is read.
    pub(super) fn has(&self, blob: &Descriptor) -> bool {
        is_as_long(&self.path(&blob.digest), blob.size)
    }

    /// The same for a manifest.
    pub(super) fn has_manifest(&self, manifest: &Descriptor) -> bool {
        is_as_long(&self.manifest_path(&manifest.digest), manifest.size)
    }

    /// What a target that has these blobs says of one that it is offered.
    pub(super) async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        let (blobs, blob) = (self.clone(), blob.clone());
        blocking(move || {
            if blobs.has(&blob) {
                return Ok(BlobOffer::Present);
            }
            let writer = blobs.begin(&blob)?;
            Ok::<_, Error>(
                writer.map_or(BlobOffer::Present, |writer| BlobOffer::Missing(Box::new(writer))),
            )
        })
        .await
    }

    /// Opens a blob. It has to be as long as it is said to be.
    pub(super) fn open(&self, blob: &Descriptor) -> Result<Extent, Error> {
        self.open_at(&self.path(&blob.digest), blob)
    }

    fn open_at(&self, path: &Path, blob: &Descriptor) -> Result<Extent, Error> {
        let file = match open_regular(path) {
            Err(LayoutError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                let wanted = format!("blob {}", blob.digest);
                return Err(LayoutError::Missing { path: self.layout.clone(), wanted }.into());
            }
            opened => opened?,
        };
        let length = file.metadata().map_err(LayoutError::io(path))?.len();
        if length != blob.size {
            let Descriptor { digest, size, .. } = *blob;
            return Err(Error::Length { digest, expected: size, found: length });
        }
        Ok(Extent { file: Arc::new(file), start: 0, length })
    }

    /// The bytes of a manifest.
    pub(super) fn manifest(&self, wanted: &Descriptor) -> Result<Bytes, Error> {
        let path = self.manifest_path(&wanted.digest);
        let extent = self.open_at(&path, wanted)?;
        let limit = u64::try_from(MAX_LENGTH).unwrap_or(u64::MAX);
        match extent.all(limit).map_err(LayoutError::io(&path))? {
            Some(bytes) => {
                let found = Digest::of(wanted.digest.algorithm(), &bytes);
                partial::check(&path, &wanted.digest, found)?;
                Ok(bytes)
            }
            None => Err(too_long(wanted)),
        }
    }

    /// Begins a blob, or goes on with it; `None` if it turns out to be there already.
    pub(super) fn begin(&self, blob: &Descriptor) -> Result<Option<FolderBlobWriter>, Error> {
        let partial = PartialBlob::begin(&self.incoming(), blob)?;
        // Another run may have been quicker.
        if self.has(blob) {
            partial.discard();
            return Ok(None);
        }
        let writer =
            FolderBlobWriter { partial, name: self.path(&blob.digest), blob: blob.clone() };
        if writer.partial.is_full() {
            return match writer.finish() {
                Ok(()) => Ok(None),
                // The file is gone now.
                Err(Error::Stale { .. }) => self.begin(blob),
                Err(error) => Err(error),
            };
        }
        Ok(Some(writer))
    }

    /// Writes a manifest all at once.
    pub(super) fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<(), LayoutError> {
        write_whole(&self.manifest_path(digest), bytes)
    }

    /// Removes the folder of what is on its way, if nothing is.
    pub(super) fn tidy(&self) {
        // It has something in it: another run is at work, or one broke off.
        let _ = fs::remove_dir(self.incoming());
    }
}

/// A place in a folder for one blob.
#[derive(Debug)]
pub(super) struct FolderBlobWriter {
    partial: PartialBlob,
    name: PathBuf,
    blob: Descriptor,
}

impl FolderBlobWriter {
    fn finish(self) -> Result<(), Error> {
        let Self { partial, name, .. } = self;
        make_folder_of(&name)?;
        partial.finish(&name)
    }
}

#[async_trait]
impl BlobWriter for FolderBlobWriter {
    fn offset(&self) -> u64 {
        self.partial.length()
    }

    async fn write_all(self: Box<Self>, mut content: Content) -> Result<(), Error> {
        let Self { mut partial, name, blob } = *self;
        let mut broken = None;
        // The connection fetches ahead by itself; whatever else were held here would be held for nothing.
        while let Some(piece) = content.next().await {
            match piece {
                Ok(piece) => {
                    partial = blocking(move || partial.append(&piece).map(|()| partial)).await?;
                }
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        if broken.is_none() && partial.is_full() {
            let writer = Self { partial, name, blob };
            return blocking(move || writer.finish()).await;
        }
        let reason = broken
            .unwrap_or_else(|| format!("only {} of {} bytes arrived", partial.length(), blob.size));
        Err(Error::Interrupted { digest: blob.digest, reason })
    }
}

fn is_as_long(path: &Path, size: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_file() && there.len() == size)
}

/// Writes a file that nobody sees before it is whole and on disk.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let file = written(path, bytes)?;
    file.persist(path).map_err(|error| LayoutError::io(path)(error.error))?;
    sync_folder_of(path)
}

/// The same, but one that is there stays.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    match written(path, bytes)?.persist_noclobber(path) {
        Ok(_) => sync_folder_of(path),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(LayoutError::io(path)(error.error)),
    }
}

/// A file beside the one it is to become.
fn written(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, LayoutError> {
    make_folder_of(path)?;
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(PARTIAL)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(LayoutError::io(folder))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_data())
        .map_err(LayoutError::io(file.path()))?;
    Ok(file)
}

fn make_folder_of(path: &Path) -> Result<(), LayoutError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(LayoutError::io(folder))
}

/// A manifest that nobody reads to its end.
pub(super) fn too_long(wanted: &Descriptor) -> Error {
    let length = usize::try_from(wanted.size).unwrap_or(usize::MAX);
    let error = portpass_protocol::manifest::ManifestError::TooLong { length };
    Error::Manifest { digest: wanted.digest, error: Box::new(error) }
}

/// Opens a blob for reading, on a thread that may wait.
pub(super) async fn stream(
    blobs: &Blobs,
    wanted: &Descriptor,
    from: u64,
) -> Result<Content, Error> {
    let (blobs, blob) = (blobs.clone(), wanted.clone());
    let extent = blocking(move || blobs.open(&blob)).await?;
    Ok(extent.stream(from))
}

const INCOMING: &str = ".portpass-incoming";
/// How the names of files begin that are not whole yet.
pub(super) const PARTIAL: &str = ".portpass-";
