//! Whose store a directory is. The rows that name its objects are in one database; any other would take them all for
//! garbage.
//!
//! ```text
//! ROOT/portpass.store        the id of the installation, as text
//! ROOT/portpass.store-lock   locked as long as a server runs on the store
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    files::{is_name, sync_directory},
    make_directory,
};

/// What lies in a directory that is to be a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No object and no owner: a directory that is new, or not mounted.
    Nothing,
    /// Objects, and nobody's name: a store of a version that wrote none.
    Objects,
    /// The store of the installation with this id.
    Of(String),
    /// The tree of a distribution registry.
    Distribution,
}

/// A store that is ours until this is dropped.
#[derive(Debug)]
pub struct Claim {
    _lock: Option<File>,
}

/// Why a directory cannot be looked at or claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// Another server runs on it.
    #[error("another server uses the blobs in {}: stop it, or name another directory", root.display())]
    Taken {
        /// The directory.
        root: PathBuf,
    },
    /// The file with the owner's id says something else.
    #[error("{} does not say whose blobs these are: put it back from a copy, or remove it if you know that they belong here", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let us.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Looks at what is there, and changes nothing.
///
/// # Errors
/// When it cannot be read.
pub fn look(root: &Path) -> Result<Found, OwnerError> {
    let path = root.join(OWNER);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.strip_prefix(FIRST_LINE).map(str::trim).filter(|id| !id.is_empty());
            return id.map(|id| Found::Of(id.to_owned())).ok_or(OwnerError::Unreadable { path });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(OwnerError::File { doing: "read", path, source }),
    }
    if root.join(DISTRIBUTION).is_dir() {
        return Ok(Found::Distribution);
    }
    Ok(if holds_objects(root)? { Found::Objects } else { Found::Nothing })
}

/// Takes the lock of a store, and writes down whose it is unless that stands there.
///
/// # Errors
/// When another server has it, or the directory cannot be written to.
pub fn claim(root: &Path, id: &str) -> Result<Claim, OwnerError> {
    make_directory(root).map_err(failed("make", root))?;
    let lock = lock(root)?;
    if look(root)? != Found::Of(id.to_owned()) {
        let path = root.join(OWNER);
        write(root, &path, id).map_err(failed("write", &path))?;
    }
    Ok(Claim { _lock: lock })
}

/// The kernel drops the lock with the process, however it ends. `None` where the file system has no locks.
fn lock(root: &Path) -> Result<Option<File>, OwnerError> {
    let path = root.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OwnerError::Taken { root: root.to_owned() }),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            let root = root.display();
            tracing::warn!("{root} has no locks: nothing keeps two servers from using its blobs");
            Ok(None)
        }
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

/// In one step: after a crash it is there as a whole, or not.
fn write(root: &Path, path: &Path, id: &str) -> io::Result<()> {
    let temporary = path.with_extension("store-new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(format!("{FIRST_LINE}{id}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(root)
}

fn holds_objects(root: &Path) -> Result<bool, OwnerError> {
    for folder in entries(root)? {
        let name = folder.file_name();
        let is_ours = name.len() == 2
            && name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !is_ours {
            continue;
        }
        for entry in entries(&folder.path())? {
            if entry.file_name().to_str().is_some_and(is_name) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn entries(path: &Path) -> Result<Vec<fs::DirEntry>, OwnerError> {
    match fs::read_dir(path) {
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(failed("list", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("list", path)(error)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OwnerError {
    let path = path.to_owned();
    move |source| OwnerError::File { doing, path, source }
}

const OWNER: &str = "portpass.store";
const LOCK: &str = "portpass.store-lock";
const FIRST_LINE: &str = "portpass store 1\n";
/// Where distribution keeps everything, below its own `rootdirectory`.
const DISTRIBUTION: &str = "docker/registry/v2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_known_by_what_lies_there() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("blobs");
        assert_eq!(look(&root).unwrap(), Found::Nothing);
        fs::create_dir_all(root.join("ab")).unwrap();
        fs::write(root.join("ab/not-an-object"), "").unwrap();
        assert_eq!(look(&root).unwrap(), Found::Nothing);
        fs::write(root.join("ab").join("ab".repeat(16)), "bytes").unwrap();
        assert_eq!(look(&root).unwrap(), Found::Objects);
        drop(claim(&root, "mine").unwrap());
        assert_eq!(look(&root).unwrap(), Found::Of("mine".to_owned()));
        fs::write(root.join(OWNER), "something").unwrap();
        let told = look(&root).unwrap_err().to_string();
        assert!(told.contains("portpass.store"), "{told}");

        let foreign = outer.path().join("registry");
        fs::create_dir_all(foreign.join("docker/registry/v2/blobs")).unwrap();
        assert_eq!(look(&foreign).unwrap(), Found::Distribution);
    }

    #[test]
    fn a_store_is_used_by_one_server_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = claim(root.path(), "mine").unwrap();
        let refused = claim(root.path(), "mine").unwrap_err();
        assert!(matches!(refused, OwnerError::Taken { .. }), "{refused}");
        drop(first);
        drop(claim(root.path(), "mine").unwrap());
        // Who takes a store over writes its own name.
        drop(claim(root.path(), "other").unwrap());
        assert_eq!(look(root.path()).unwrap(), Found::Of("other".to_owned()));
    }
}
