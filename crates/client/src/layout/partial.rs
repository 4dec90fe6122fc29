//! A blob on its way into a folder.
//!
//! ```text
//! begin ── lock, hash what is there ──> append … ──> finish ── fsync, rename, fsync ──> blobs/sha256/HEX
//!    └─ somebody else has the lock: a file of our own, which goes with us
//! ```
//!
//! What an interrupted run has fetched stays under a name of its own and is gone on from. No reader
//! of the layout ever sees half a blob: it gets its name in `blobs` when it is whole and on disk.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use portpass_protocol::{Digest, Hasher, manifest::Descriptor};
use tempfile::TempPath;

use crate::transfer::{Error, LayoutError};

/// A blob on its way, locked against other runs.
#[derive(Debug)]
pub(super) struct PartialBlob {
    file: File,
    at: PartialPath,
    hasher: Hasher,
    length: u64,
    /// What an earlier run has left.
    resumed: u64,
    blob: Descriptor,
}

/// Where it lies until it is whole.
#[derive(Debug)]
enum PartialPath {
    /// Under the name by which the next run finds it.
    Shared(PathBuf),
    /// Under one that nobody else knows.
    Private(TempPath),
}

impl PartialPath {
    fn path(&self) -> &Path {
        match self {
            Self::Shared(path) => path,
            Self::Private(path) => path,
        }
    }
}

impl PartialBlob {
    /// Begins a blob, or goes on with it.
    pub(super) fn begin(folder: &Path, blob: &Descriptor) -> Result<Self, LayoutError> {
        let Descriptor { digest, .. } = blob;
        let path = folder.join(format!("{}-{}", digest.algorithm(), digest.hex()));
        let hasher = Hasher::new(digest.algorithm());
        let Some(file) = lock(folder, &path)? else {
            let ours = tempfile::Builder::new().prefix("other-").tempfile_in(folder);
            let (file, path) = ours.map_err(LayoutError::io(folder))?.into_parts();
            let at = PartialPath::Private(path);
            return Ok(Self { file, at, hasher, length: 0, resumed: 0, blob: blob.clone() });
        };
        let mut partial = Self {
            file,
            at: PartialPath::Shared(path),
            hasher,
            length: 0,
            resumed: 0,
            blob: blob.clone(),
        };
        partial.resume().map_err(LayoutError::io(partial.at.path()))?;
        Ok(partial)
    }

    /// How many bytes are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether all bytes are there that the blob is said to have.
    pub(super) fn is_full(&self) -> bool {
        self.length == self.blob.size
    }

    /// Takes the next bytes; never more than the blob is said to have.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let found = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if found > self.blob.size {
            let Descriptor { digest, size, .. } = self.blob;
            return Err(self.wrong(Error::Length { digest, expected: size, found }));
        }
        self.file.write_all(bytes).map_err(LayoutError::io(self.at.path()))?;
        self.hasher.update(bytes);
        self.length = found;
        Ok(())
    }

    /// Makes the whole blob seen under its name.
    pub(super) fn finish(self, name: &Path) -> Result<(), Error> {
        let expected = self.blob.digest;
        let found = self.hasher.clone().finish();
        if found != expected {
            return Err(self.wrong(Error::DigestMismatch { expected, found: found.to_string() }));
        }
        let here = self.at.path();
        self.file.sync_data().map_err(LayoutError::io(here))?;
        fs::rename(here, name).map_err(LayoutError::io(name))?;
        sync_folder_of(name)?;
        if let PartialPath::Private(path) = self.at {
            // It is where it belongs; there is nothing to remove.
            let _ = path.keep();
        }
        Ok(())
    }

    /// Throws away what is there.
    pub(super) fn discard(&self) {
        // A process that waits for the lock sees that the name is gone, and starts again.
        let _ = fs::remove_file(self.at.path());
    }

    /// Throws away bytes that are not those of the blob. If some of them are from an earlier run,
    /// those may be to blame: a machine that lost power keeps files longer than their content.
    fn wrong(&self, error: Error) -> Error {
        self.discard();
        if self.resumed > 0 { Error::Stale { digest: self.blob.digest } } else { error }
    }

    /// Hashes what an earlier run has left.
    fn resume(&mut self) -> std::io::Result<()> {
        if self.file.metadata()?.len() > self.blob.size {
            self.file.set_len(0)?;
        }
        let mut piece = vec![0; PIECE];
        loop {
            // Leaves the file at its end, where the next bytes go.
            match self.file.read(&mut piece)? {
                0 => break,
                read => {
                    self.hasher.update(&piece[..read]);
                    self.length += u64::try_from(read).unwrap_or_default();
                }
            }
        }
        self.resumed = self.length;
        Ok(())
    }
}

/// Opens the file under the common name for this run alone; `None` if another run has it.
fn lock(folder: &Path, path: &Path) -> Result<Option<File>, LayoutError> {
    loop {
        fs::create_dir_all(folder).map_err(LayoutError::io(folder))?;
        let mut options = OpenOptions::new();
        let file = match options.read(true).write(true).create(true).truncate(false).open(path) {
            Ok(file) => file,
            // Another run has just ended and removed the empty folder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LayoutError::io(path)(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(LayoutError::io(path)(error)),
        }
        // Whoever had it before us may have renamed it since we opened it: then it is a blob.
        let ours = file.metadata().map_err(LayoutError::io(path))?;
        let same = fs::symlink_metadata(path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if same {
            return Ok(Some(file));
        }
    }
}

/// The folder that a file is in; of a bare name it is the current one.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes a name last that was just given.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), LayoutError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(LayoutError::io(folder))
}

/// Whether a file holds what its name says.
pub(super) fn check(path: &Path, expected: &Digest, found: Digest) -> Result<(), LayoutError> {
    if found == *expected {
        Ok(())
    } else {
        Err(LayoutError::Damaged {
            path: path.to_owned(),
            expected: *expected,
            found: found.to_string(),
        })
    }
}

const PIECE: usize = 256 * 1024;
