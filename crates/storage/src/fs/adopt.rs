//! Files of another program as objects of a store. Everything here waits for the disk.
//!
//! ```text
//! ROOT/ab/ab3f…   a second name of the file (hard link), a copy of it, or a symbolic link to it
//! ```
//! A name that is shared with somebody else is only ever read, renamed or removed here: nothing writes to an object,
//! and [`super::tail`] goes on only in files of uploads. So the other's file stays as it is, with its mode and times.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown, symlink},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, linkat};

use super::files::{Files, failed_to};
use crate::store::{Keys, Location, StoreError};

/// How a file becomes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// By a second name: no byte is copied, and each of the two may be removed without the other.
    HardLink,
    /// By its bytes.
    Copy,
    /// By a symbolic link: the file must stay where it is for as long as the object is needed.
    SymbolicLink,
}

/// Makes objects of files.
pub struct Adopter {
    files: Files,
    /// Whose the store is, if we are root and it is not: what we make there has to be theirs.
    owner: Option<(u32, u32)>,
}

/// Why a file did not become an object.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The file is gone, or is no file.
    #[error("{} is gone", file.display())]
    Gone {
        /// Which.
        file: PathBuf,
    },
    /// It has another length than it had.
    #[error("{} has {found} bytes by now", file.display())]
    Changed {
        /// Which.
        file: PathBuf,
        /// Its length.
        found: u64,
    },
    /// It lies on another file system than the store.
    #[error("{} lies on another file system than the blobs", file.display())]
    OtherFileSystem {
        /// Which.
        file: PathBuf,
    },
    /// The system does not let us.
    #[error("may not use {}: {source}", file.display())]
    Denied {
        /// Which.
        file: PathBuf,
        /// As the system put it.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Adopter {
    /// For the store in `root`, which is made if it is not there.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(root: PathBuf, keys: Keys) -> Result<Self, StoreError> {
        let files = Files::open(root, keys)?;
        let about = fs::metadata(files.root()).map_err(failed_to("look at its directory"))?;
        let owner = (about.uid(), about.gid());
        let is_others = rustix::process::geteuid().is_root() && about.uid() != 0;
        Ok(Self { files, owner: is_others.then_some(owner) })
    }

    /// A name for a new object. Nothing has it yet.
    pub fn draw_name(&self) -> Location {
        Location::from(self.files.draw_name())
    }

    /// Makes `file`, which has `length` bytes, the object of this name. It is durable after [`Adopter::settle`].
    ///
    /// # Errors
    /// When the file is not as it was, cannot be used, or the store fails. Then there is no object.
    pub fn adopt(
        &self,
        file: &Path,
        length: u64,
        name: &Location,
        how: Adoption,
    ) -> Result<(), AdoptError> {
        let target = self.files.path(name)?;
        self.files.settle_directory(name).map_err(failed_to("make a directory"))?;
        if let Some(directory) = target.parent() {
            self.give_away(directory)?;
        }
        match how {
            Adoption::HardLink => {
                linkat(CWD, file, CWD, &target, AtFlags::SYMLINK_FOLLOW)
                    .map_err(|error| unusable(file, "link a file", error.into()))?;
            }
            Adoption::Copy => {
                copy(file, &target)?;
                self.give_away(&target)?;
            }
            Adoption::SymbolicLink => {
                let file = fs::canonicalize(file)
                    .map_err(|error| unusable(file, "look at a file", error))?;
                symlink(file, &target).map_err(failed_to("make a link"))?;
            }
        }
        check(file, length, &target).inspect_err(|_| {
            // What cannot be removed is found by a sweep: no row names it.
            let _ = self.files.remove(name);
        })
    }

    /// Makes what root has made here the owner's of the store. Never a linked file: it is somebody else's too.
    fn give_away(&self, path: &Path) -> Result<(), StoreError> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        let failed = failed_to("give a file to its owner");
        if fs::metadata(path).map_err(&failed)?.uid() == user {
            return Ok(());
        }
        chown(path, Some(user), Some(group)).map_err(failed)
    }

    /// Returns when all that was adopted is on the disk, the bytes too: whoever wrote them may never have synced them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle(&self, files: &Path) -> Result<(), StoreError> {
        for directory in [files, self.files.root()] {
            sync_file_system(directory).map_err(failed_to("sync its file system"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Adopter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adopter({})", self.files.root().display())
    }
}

/// Returns when all that was written to the file system of a directory is on the disk: one sync for many files.
///
/// # Errors
/// When the directory cannot be opened, or the disk fails.
#[cfg(target_os = "linux")]
pub fn sync_file_system(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

/// As on Linux, of all file systems.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn sync_file_system(_: &Path) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

fn copy(file: &Path, target: &Path) -> Result<(), AdoptError> {
    let mut from = File::open(file).map_err(|error| unusable(file, "open a file", error))?;
    let mut options = OpenOptions::new();
    let to = options.write(true).create_new(true).mode(0o400).open(target);
    let mut to = to.map_err(failed_to("make a file"))?;
    match io::copy(&mut from, &mut to) {
        Ok(_) => Ok(()),
        Err(error) => {
            let _ = fs::remove_file(target);
            Err(failed_to("copy a file")(error).into())
        }
    }
}

/// Whether the object is what its row will say.
fn check(file: &Path, length: u64, object: &Path) -> Result<(), AdoptError> {
    let found = fs::metadata(object).map_err(|error| unusable(file, "look at a file", error))?;
    if !found.is_file() {
        return Err(AdoptError::Gone { file: file.to_owned() });
    }
    // What nobody here may read is no blob.
    File::open(object).map_err(|error| unusable(file, "open a file", error))?;
    if found.len() == length {
        Ok(())
    } else {
        Err(AdoptError::Changed { file: file.to_owned(), found: found.len() })
    }
}

fn unusable(file: &Path, doing: &'static str, source: io::Error) -> AdoptError {
    let file = file.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => AdoptError::Gone { file },
        io::ErrorKind::CrossesDevices => AdoptError::OtherFileSystem { file },
        io::ErrorKind::PermissionDenied => AdoptError::Denied { file, source },
        _ => AdoptError::Store(failed_to(doing)(source)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        os::unix::fs::PermissionsExt as _,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::{BlobStore as _, FsStore, conformance::keys};

    const ALL: [Adoption; 3] = [Adoption::HardLink, Adoption::Copy, Adoption::SymbolicLink];

    fn foreign(folder: &Path) -> PathBuf {
        let file = folder.join("data");
        fs::write(&file, "hello").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        file
    }

    /// Reading, setting aside, emptying the trash, deleting: the other's file has its bytes, mode and times after it.
    #[tokio::test]
    async fn a_file_that_was_adopted_stays_as_it_is_whatever_becomes_of_the_object() {
        for how in ALL {
            let folder = tempfile::tempdir().unwrap();
            let file = foreign(folder.path());
            let before = fs::metadata(&file).unwrap();
            let root = folder.path().join("blobs");
            let adopter = Adopter::open(root.clone(), keys()).unwrap();
            let store = FsStore::open(root, keys()).unwrap();
            let names = [adopter.draw_name(), adopter.draw_name()];
            for name in &names {
                adopter.adopt(&file, 5, name, how).unwrap();
            }
            adopter.settle(folder.path()).unwrap();
            assert_eq!(store.lengths(names.to_vec()).await.unwrap(), [Some(5), Some(5)], "{how:?}");
            assert_eq!(store.open(&names[0], 5, 0..5).await.unwrap().length(), 5);
            store.set_aside(&names[0], SystemTime::UNIX_EPOCH).await.unwrap();
            store.empty_trash(SystemTime::UNIX_EPOCH + Duration::from_hours(48)).await.unwrap();
            store.delete(&names[1]).await.unwrap();
            assert_eq!(store.lengths(names.to_vec()).await.unwrap(), [None, None], "{how:?}");
            let after = fs::metadata(&file).unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"hello");
            assert_eq!(
                (after.mode(), after.mtime(), after.uid(), after.nlink()),
                (before.mode(), before.mtime(), before.uid(), 1),
                "{how:?}"
            );
        }
    }

    /// A link that no row names is cleared away like every object, and what it leads to is not.
    #[tokio::test]
    async fn what_was_adopted_and_has_no_row_is_swept() {
        for how in ALL {
            let folder = tempfile::tempdir().unwrap();
            let file = foreign(folder.path());
            let root = folder.path().join("blobs");
            let adopter = Adopter::open(root.clone(), keys()).unwrap();
            adopter.adopt(&file, 5, &adopter.draw_name(), how).unwrap();
            let store = FsStore::open(root, keys()).unwrap();
            let none_live = async |_| Ok::<_, StoreError>(HashSet::new());
            let later = SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into());
            let swept = crate::sweep(&store, none_live, Duration::from_mins(1), later);
            assert_eq!(swept.await.unwrap().removed, 1, "{how:?}");
            assert!(file.exists());
        }
    }

    /// The server that runs there is not root, and has to get at what an import by root leaves.
    #[test]
    fn what_root_makes_in_the_store_of_another_is_that_others_but_no_linked_file() {
        let ours = rustix::process::geteuid();
        // Only root can give files away; what others make stays theirs.
        let heir = if ours.is_root() { 1234 } else { ours.as_raw() };
        for how in ALL {
            let folder = tempfile::tempdir().unwrap();
            let (file, root) = (foreign(folder.path()), folder.path().join("blobs"));
            fs::create_dir(&root).unwrap();
            chown(&root, Some(heir), None).unwrap();
            let adopter = Adopter::open(root.clone(), keys()).unwrap();
            let name = adopter.draw_name();
            adopter.adopt(&file, 5, &name, how).unwrap();
            let object = adopter.files.path(&name).unwrap();
            let owner = |path: &Path| fs::metadata(path).unwrap().uid();
            assert_eq!(owner(object.parent().unwrap()), heir, "{how:?}");
            let expected = if how == Adoption::Copy { heir } else { ours.as_raw() };
            assert_eq!(owner(&object), expected, "{how:?}");
            assert_eq!(owner(&file), ours.as_raw(), "{how:?}");
        }
    }

    #[test]
    fn what_changes_meanwhile_is_no_object() {
        for how in ALL {
            let folder = tempfile::tempdir().unwrap();
            let file = foreign(folder.path());
            let adopter = Adopter::open(folder.path().join("blobs"), keys()).unwrap();
            let name = adopter.draw_name();
            let changed = adopter.adopt(&file, 6, &name, how).unwrap_err();
            assert!(matches!(changed, AdoptError::Changed { found: 5, .. }), "{changed}");
            let gone = adopter.adopt(&folder.path().join("other"), 5, &name, how).unwrap_err();
            assert!(matches!(gone, AdoptError::Gone { .. }), "{how:?}: {gone}");
            assert_eq!(adopter.files.length(&name).unwrap(), None, "{how:?}");
        }
    }
}
