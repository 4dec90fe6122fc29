//! A tar archive as it grows: the same content always makes the same bytes.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use portpass_protocol::{Digest, manifest::Descriptor};
use tar::{EntryType, Header};
use tempfile::NamedTempFile;

use super::super::{
    blobs::PARTIAL,
    extent::Extent,
    folder::Folder,
    partial::{folder_of, sync_folder_of},
};
use crate::transfer::{Error, LayoutError};

/// Where a layout has a blob.
pub(super) fn member(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// An archive as it grows.
pub(super) struct Packing<'a> {
    path: &'a Path,
    file: NamedTempFile,
    /// One image may have the same layer twice.
    blobs: HashSet<Digest>,
}

impl<'a> Packing<'a> {
    /// Begins an archive beside the place that it will have.
    pub(super) fn begin(path: &'a Path) -> Result<Self, LayoutError> {
        let folder = folder_of(path);
        let file = tempfile::Builder::new()
            .prefix(PARTIAL)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(LayoutError::io(folder))?;
        Ok(Self { path, file, blobs: HashSet::new() })
    }

    pub(super) fn document(&mut self, name: &str, content: &[u8]) -> Result<(), LayoutError> {
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.written(|file| {
            file.write_all(header(name, length)?.as_bytes())?;
            file.write_all(content)?;
            pad(file, length)
        })
    }

    pub(super) fn blob(&mut self, staging: &Folder, blob: &Descriptor) -> Result<(), Error> {
        if !self.blobs.insert(blob.digest) {
            return Ok(());
        }
        let extent = staging.extent(blob)?;
        Ok(self.written(|file| {
            file.write_all(header(&member(&blob.digest), extent.length)?.as_bytes())?;
            copy(&extent, file)?;
            pad(file, extent.length)
        })?)
    }

    /// Two empty blocks end an archive; it takes its place.
    pub(super) fn end(mut self) -> Result<(), LayoutError> {
        self.written(|file| {
            file.write_all(&[0; 1024])?;
            file.sync_data()
        })?;
        let Self { path, file, .. } = self;
        file.persist(path).map_err(|error| LayoutError::io(path)(error.error))?;
        sync_folder_of(path)
    }

    fn written(
        &mut self,
        write: impl FnOnce(&mut &File) -> io::Result<()>,
    ) -> Result<(), LayoutError> {
        write(&mut self.file.as_file()).map_err(LayoutError::io(self.path))
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

/// `oci-layout`
pub(super) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
