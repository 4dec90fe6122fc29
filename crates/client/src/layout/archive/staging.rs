//! Where an archive is gathered before it is written.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::super::folder::Folder;
use crate::transfer::LayoutError;

/// A folder beside an archive that does not exist yet: what it will hold is gathered there, so that an
/// interrupted run is gone on from.
#[derive(Debug)]
pub(super) struct Staging {
    archive: PathBuf,
    folder: Folder,
    /// Two runs would take each other's folder away.
    _alone: File,
}

impl Staging {
    /// Begins or goes on.
    pub(super) fn beside(archive: &Path) -> Result<Self, LayoutError> {
        if fs::metadata(archive).is_ok_and(|there| !there.is_file()) {
            return Err(LayoutError::NotRegular { path: archive.to_owned() });
        }
        let folder = Folder::create(&folder_beside(archive), None)?;
        let in_use = || LayoutError::InUse { path: archive.to_owned() };
        let alone = folder.lock_exclusive()?.ok_or_else(in_use)?;
        // What another image left there is of use only as far as it is wanted again.
        folder.forget_names()?;
        Ok(Self { archive: archive.to_owned(), folder, _alone: alone })
    }

    /// The archive.
    pub(super) fn archive(&self) -> &Path {
        &self.archive
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Takes the folder of an archive away that is written.
pub(super) fn remove(archive: &Path) -> Result<(), LayoutError> {
    let beside = folder_beside(archive);
    fs::remove_dir_all(&beside).map_err(LayoutError::io(&beside))
}

impl Drop for Staging {
    /// Where nothing has arrived, nothing is left for the next run.
    fn drop(&mut self) {
        let beside = folder_beside(&self.archive);
        if fs::remove_dir(beside.join("blobs")).is_ok() {
            let _ = fs::remove_dir_all(&beside);
        }
    }
}

/// `.FILE.portpass` beside `FILE`.
fn folder_beside(archive: &Path) -> PathBuf {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    archive.with_file_name(format!(".{name}.portpass"))
}
