//! Whose store a directory is. The rows that name its objects are in one database; any other would take them all for
//! garbage.
//!
//! ```text
//! ROOT/portpass.store        who used it last, as text
//! ROOT/portpass.store-lock   locked as long as a server runs on the store
//! ```
//! Copies of one database are told apart too: each start leaves another pairing, here and in the database, so that an
//! older copy has an older one.

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
    /// The store of this installation.
    Of(Owner),
    /// The tree of a distribution registry, and no object of ours.
    Distribution,
}

/// Who used a store last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The id of the installation.
    pub installation: String,
    /// What its database knows of this store by.
    pub pairing: String,
}

/// A store that is ours until this is dropped.
#[derive(Debug)]
pub struct Claim {
    root: PathBuf,
    _lock: Option<File>,
}

/// Whether the name of the owner could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// It stands there.
    Signed,
    /// Nothing can be written there, so nobody can do harm either.
    ReadOnly,
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
    #[error("{} does not say which installation owns these blobs: restore it from a copy, or remove it if you know that the blobs belong here", path.display())]
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

/// Proves that no other server uses the store at the moment; changes nothing.
///
/// # Errors
/// When one does.
pub fn require_unused(root: &Path) -> Result<(), OwnerError> {
    // Where there is no such file, nobody has ever used it.
    let held = File::open(root.join(LOCK)).map(|file| file.try_lock());
    match held {
        Ok(Err(TryLockError::WouldBlock)) => Err(OwnerError::Taken { root: root.to_owned() }),
        Ok(Ok(()) | Err(TryLockError::Error(_))) | Err(_) => Ok(()),
    }
}

/// Looks at what is there, and changes nothing.
///
/// # Errors
/// When it cannot be read.
pub fn inspect(root: &Path) -> Result<Found, OwnerError> {
    let path = root.join(OWNER);
    match fs::read_to_string(&path) {
        Ok(text) => {
            return Owner::read(&text).map(Found::Of).ok_or(OwnerError::Unreadable { path });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(OwnerError::File { doing: "read", path, source }),
    }
    // A version that wrote no name may have run beside such a tree.
    Ok(if holds_objects(root)? {
        Found::Objects
    } else if is_distribution_store(root) {
        Found::Distribution
    } else {
        Found::Nothing
    })
}

/// Whether a distribution registry keeps its files there.
pub fn is_distribution_store(root: &Path) -> bool {
    root.join(DISTRIBUTION).is_dir()
}

/// Takes the lock of a store in which nothing has changed since `found` was.
///
/// # Errors
/// When another server has it, or had it meanwhile; when the directory cannot be used.
pub fn claim(root: &Path, found: &Found) -> Result<Claim, OwnerError> {
    make_directory(root).map_err(failed("make", root))?;
    let lock = lock(root)?;
    if inspect(root)? != *found {
        return Err(OwnerError::Taken { root: root.to_owned() });
    }
    Ok(Claim { root: root.to_owned(), _lock: lock })
}

impl Claim {
    /// Writes down whose store it is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sign(&self, owner: &Owner) -> Result<Signed, OwnerError> {
        let path = self.root.join(OWNER);
        match write(&self.root, &path, owner) {
            Ok(()) => Ok(Signed::Signed),
            Err(error) if is_read_only(&error) => Ok(Signed::ReadOnly),
            Err(error) => Err(failed("write", &path)(error)),
        }
    }
}

impl Owner {
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix(FIRST_LINE)?.lines();
        let mut line = |word: &str| {
            let value = lines.next()?.strip_prefix(word)?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        Some(Self { installation: line("installation ")?, pairing: line("pairing ")? })
    }

    fn text(&self) -> String {
        let Self { installation, pairing } = self;
        format!(
            "{FIRST_LINE}installation {installation}\npairing {pairing}\n\nThe blobs of a portpass installation lie here. Leave \
             this file where it is.\n"
        )
    }
}

/// The kernel drops the lock with the process, however it ends. `None` where there can be none.
fn lock(root: &Path) -> Result<Option<File>, OwnerError> {
    let path = root.join(LOCK);
    let mut options = OpenOptions::new();
    let file = match options.write(true).create(true).truncate(false).mode(0o600).open(&path) {
        // A lock needs no right to write.
        Err(error) if is_read_only(&error) => match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file,
        },
        file => file,
    };
    let file = file.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OwnerError::Taken { root: root.to_owned() }),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            let root = root.display();
            tracing::warn!(
                "{root} has no locks: nothing prevents two servers from using its blobs"
            );
            Ok(None)
        }
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

/// In one step: after a crash it is there as a whole, or not.
fn write(root: &Path, path: &Path, owner: &Owner) -> io::Result<()> {
    let temporary = path.with_extension("store-new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(owner.text().as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(root)
}

/// Read only for everybody, or for us.
fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
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
        assert_eq!(inspect(&root).unwrap(), Found::Nothing);
        fs::create_dir_all(root.join("ab")).unwrap();
        fs::write(root.join("ab/not-an-object"), "").unwrap();
        assert_eq!(inspect(&root).unwrap(), Found::Nothing);
        fs::write(root.join("ab").join("ab".repeat(16)), "bytes").unwrap();
        assert_eq!(inspect(&root).unwrap(), Found::Objects);
        let mine = Owner { installation: "a1".to_owned(), pairing: "b2".to_owned() };
        let claimed = claim(&root, &Found::Objects).unwrap();
        assert_eq!(claimed.sign(&mine).unwrap(), Signed::Signed);
        assert_eq!(inspect(&root).unwrap(), Found::Of(mine));
        fs::write(root.join(OWNER), "something").unwrap();
        let told = inspect(&root).unwrap_err().to_string();
        assert!(told.contains("portpass.store"), "{told}");

        let foreign = outer.path().join("registry");
        fs::create_dir_all(foreign.join("docker/registry/v2/blobs")).unwrap();
        assert_eq!(inspect(&foreign).unwrap(), Found::Distribution);
        fs::create_dir_all(foreign.join("ab")).unwrap();
        fs::write(foreign.join("ab").join("ab".repeat(16)), "ours").unwrap();
        assert_eq!(inspect(&foreign).unwrap(), Found::Objects);
    }

    #[test]
    fn a_store_is_used_by_one_server_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        require_unused(root).unwrap();
        let first = claim(root, &Found::Nothing).unwrap();
        assert!(require_unused(root).is_err());
        let refused = claim(root, &Found::Nothing).unwrap_err();
        assert!(matches!(refused, OwnerError::Taken { .. }), "{refused}");
        let one = Owner { installation: "one".to_owned(), pairing: "1".to_owned() };
        first.sign(&one).unwrap();
        drop(first);
        // Who looked before another came and went has to look again.
        let refused = claim(root, &Found::Nothing).unwrap_err();
        assert!(matches!(refused, OwnerError::Taken { .. }), "{refused}");
        let two = Owner { installation: "two".to_owned(), ..one.clone() };
        claim(root, &Found::Of(one)).unwrap().sign(&two).unwrap();
        assert_eq!(inspect(root).unwrap(), Found::Of(two));
    }
}
