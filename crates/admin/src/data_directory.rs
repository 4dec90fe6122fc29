//! The data directory: made at the first start, used by one server at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory (0700) if it is not there, and takes its lock. Blocks.
    pub fn open(path: &Path) -> Result<Self, DataDirectoryError> {
        let failed = |what: &'static str| {
            let path = path.to_path_buf();
            move |source| DataDirectoryError::Io { path, what, source }
        };
        create_private_dir(path).map_err(failed("make"))?;
        let about = fs::metadata(path).map_err(failed("look at"))?;
        if !about.is_dir() {
            return Err(DataDirectoryError::NotADirectory { path: path.to_path_buf() });
        }
        let (owner, ours) = (about.uid(), rustix::process::geteuid().as_raw());
        if owner != ours && ours == ROOT {
            tracing::warn!(
                "the data directory {} belongs to user {owner}, and this runs as root: a server that runs as {owner} later \
                 cannot read what is written now",
                path.display()
            );
        }
        let mode = about.mode();
        if mode & 0o077 != 0 {
            tracing::warn!(
                "other users can enter the data directory {} (mode {:o}), which has keys and password hashes: chmod 700",
                path.display(),
                mode & 0o777
            );
        }
        let lock = lock(path).map_err(|error| match error {
            // A directory of another user may well be ours to write: volumes are, by their group.
            DataDirectoryError::Io { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied && owner != ours =>
            {
                DataDirectoryError::OtherOwner { path: path.to_path_buf(), owner, ours }
            }
            error => error,
        })?;
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    /// Whether it is a backup, on which no server has run yet.
    pub fn is_backup(&self) -> Result<bool, DataDirectoryError> {
        let path = self.path.join(BACKUP_MARKER);
        path.try_exists().map_err(|source| DataDirectoryError::Io { path, what: "look at", source })
    }

    /// It is a backup no longer: no later backup writes over what happens here.
    pub fn put_into_service(&self) -> Result<(), DataDirectoryError> {
        let path = self.path.join(BACKUP_MARKER);
        fs::remove_file(&path).map_err(|source| DataDirectoryError::Io {
            path,
            what: "remove",
            source,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Who may read a file.
pub enum FileMode {
    /// The owner alone: 0600.
    Private,
    /// Everybody who can enter the directory: 0644.
    Public,
}

/// Puts a file in place as a whole: readers see the old content or the new one, also after a crash.
pub fn write_file(path: &Path, content: &[u8], visible: &FileMode) -> io::Result<()> {
    let mode = match visible {
        FileMode::Private => 0o600,
        FileMode::Public => 0o644,
    };
    let temporary = with_suffix(path, ".new");
    // What a crash left may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        // A bare file name lies in the current directory.
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// The path of a file beside another, called as it with `suffix` behind.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a directory for the owner alone, and what leads to it, unless it is there.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// The kernel drops the lock with the process, however it ends.
fn lock(directory: &Path) -> Result<File, DataDirectoryError> {
    let path = directory.join(LOCK);
    let failed = |source| DataDirectoryError::Io { path: path.clone(), what: "lock", source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The number is for the message alone.
            let _ = (&mut file).take(20).read_to_string(&mut holder);
            return Err(DataDirectoryError::InUse {
                path: directory.to_path_buf(),
                holder: holder.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirectoryError {
    /// Another server runs on it.
    #[error(
        "another `portpass serve` (process {holder}) runs on {}: stop it, or give this one another --data",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other's process number.
        holder: String,
    },
    /// It is somebody else's, and closed to us.
    #[error(
        "the data directory {} belongs to user {owner}, and this runs as user {ours}, who may not write there: run it as {owner}, or name another \
         directory by --data or `data`",
        path.display()
    )]
    OtherOwner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// Something else lies there.
    #[error("{} is no directory: name another by --data or `data`", path.display())]
    NotADirectory {
        /// What was named.
        path: PathBuf,
    },
    /// The system does not let us.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// By which `portpass backup` knows a folder that it made.
pub(crate) const BACKUP_MARKER: &str = "portpass.backup";

const LOCK: &str = "portpass.lock";
pub(crate) const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_the_owners_alone() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a/portpass");
        let _directory = DataDirectory::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_second_server_on_a_directory_is_told_who_the_first_is() {
        let path = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(path.path()).unwrap();
        let refused = DataDirectory::open(path.path()).unwrap_err();
        let DataDirectoryError::InUse { holder, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*holder, std::process::id().to_string());
        drop(first);
        DataDirectory::open(path.path()).unwrap();
    }

    #[test]
    fn a_backup_that_is_served_from_is_none_any_more() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(BACKUP_MARKER), "").unwrap();
        let directory = DataDirectory::open(folder.path()).unwrap();
        assert!(directory.is_backup().unwrap());
        directory.put_into_service().unwrap();
        assert!(!directory.is_backup().unwrap());
        assert!(!folder.path().join(BACKUP_MARKER).exists());
    }

    #[test]
    fn what_is_no_directory_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let refused = DataDirectory::open(&path).unwrap_err();
        assert!(matches!(refused, DataDirectoryError::NotADirectory { .. }), "{refused}");
        assert!(refused.to_string().contains("--data"), "{refused}");
    }

    #[test]
    fn a_file_replaces_what_was_there_and_has_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "old").unwrap();
        fs::write(folder.path().join("secret.new"), "left by a crash").unwrap();
        write_file(&path, b"new", &FileMode::Private).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
