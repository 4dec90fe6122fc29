//! Files by their keys. Everything here waits for the disk.

use std::{
    ffi::OsStr,
    fs::{self, DirEntry, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::make_directory;
use crate::store::{Cursor, Keys, Listing, Location, Object, StoreError};

/// The directory, and the source of new names in it.
pub(super) struct Files {
    root: PathBuf,
    keys: Keys,
    /// Which directories are known to be on the disk. A file is durable when it, its name in its
    /// directory and that directory's name are; so nobody goes on before the last of these is.
    settled: Mutex<[bool; DIRECTORIES]>,
    /// Whether an upload goes on in the file of its last body.
    pub(super) resumes: bool,
}

/// The end of a file, to be written behind by us alone, as long as the file is open.
#[derive(Clone)]
pub(super) struct Tail {
    pub(super) location: Location,
    pub(super) file: Arc<File>,
    pub(super) origin: Origin,
}

/// What there was before.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    /// No such file.
    New,
    /// So many bytes, which stay.
    Behind(u64),
}

impl Files {
    pub(super) fn open(root: PathBuf, keys: Keys) -> Result<Self, StoreError> {
        make_directory(&root).map_err(failed_to("make its directory"))?;
        Ok(Self { root, keys, settled: Mutex::new([false; DIRECTORIES]), resumes: true })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A name that nothing ever had.
    pub(super) fn draw_name(&self) -> String {
        format!("{:032x}", (self.keys)())
    }

    /// A new file under such a name.
    pub(super) fn create(&self) -> Result<Tail, StoreError> {
        for _ in 0..ATTEMPTS {
            let location = Location::from(self.draw_name());
            let path = self.path(&location)?;
            self.settle_directory(&location).map_err(failed_to("make a directory"))?;
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(0o600).open(path) {
                Ok(file) => {
                    return Ok(Tail { location, file: Arc::new(file), origin: Origin::New });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed_to("make a file")(error)),
            }
        }
        Err(StoreError::NoFreshName)
    }

    /// Makes the directory of a new file, unless it is there.
    pub(super) fn settle_directory(&self, location: &Location) -> io::Result<()> {
        let name = &location.as_str()[..DIRECTORY_DIGITS];
        let number = usize::from_str_radix(name, 16).map_err(io::Error::other)?;
        // Nothing panics while it is locked.
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if !settled[number] {
            make_directory(&self.root.join(name))?;
            sync_directory(&self.root)?;
            settled[number] = true;
        }
        Ok(())
    }

    pub(super) fn read(&self, location: &Location) -> Result<File, StoreError> {
        File::open(self.path(location)?).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Lost { location: location.clone() },
            _ => failed_to("open a file")(error),
        })
    }

    pub(super) fn length(&self, location: &Location) -> Result<Option<u64>, StoreError> {
        match fs::metadata(self.path(location)?) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed_to("look at a file")(error)),
        }
    }

    pub(super) fn remove(&self, location: &Location) -> Result<(), StoreError> {
        match fs::remove_file(self.path(location)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed_to("remove a file")(error))
            }
            _ => Ok(()),
        }
    }

    /// The files of the next directory.
    pub(super) fn list(&self, cursor: Option<&Cursor>) -> Result<Listing, StoreError> {
        let last = cursor.and_then(|Cursor(name)| usize::from_str_radix(name, 16).ok());
        let number = last.map_or(0, |last| last + 1);
        let name = format!("{number:02x}");
        let objects = objects_in(&self.root.join(&name))?;
        Ok(Listing { objects, next: (number + 1 < DIRECTORIES).then_some(Cursor(name)) })
    }

    /// Only names that [`Files::create`] could have given lead to a path.
    pub(super) fn path(&self, location: &Location) -> Result<PathBuf, StoreError> {
        let foreign = || StoreError::ForeignLocation { location: location.clone() };
        path_in(&self.root, location.as_str()).ok_or_else(foreign)
    }
}

/// Where the file of this name lies below a root; `None` for other names than [`Files::create`] gives.
pub(super) fn path_in(root: &Path, name: &str) -> Option<PathBuf> {
    is_name(name).then(|| root.join(&name[..DIRECTORY_DIGITS]).join(name))
}

/// What to make of an error that came while trying to do something.
pub(super) fn failed_to(doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { source },
        _ => StoreError::Io { doing, source },
    }
}

fn objects_in(directory: &Path) -> Result<Vec<Object>, StoreError> {
    let mut objects = Vec::new();
    for entry in entries(directory)? {
        if let Some(location) = location_of(&entry.file_name()) {
            objects.extend(object(&entry, location)?);
        }
    }
    Ok(objects)
}

/// One that was removed since its directory was read is none.
fn object(entry: &DirEntry, location: Location) -> Result<Option<Object>, StoreError> {
    // An adopted object may be a link, and has the length of what it leads to.
    let metadata = match fs::metadata(entry.path()) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed_to("list its files")(error)),
    };
    let written = metadata.modified().map_err(failed_to("list its files"))?;
    let object = Object { location, length: metadata.len(), written };
    Ok(metadata.is_file().then_some(object))
}

fn location_of(name: &OsStr) -> Option<Location> {
    let name = name.to_str().filter(|name| is_name(name))?;
    Some(Location::from(name.to_owned()))
}

/// A directory that was not made yet has none.
fn entries(directory: &Path) -> Result<Vec<DirEntry>, StoreError> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(failed_to("list its files")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed_to("list its files")(error)),
    }
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn is_name(text: &str) -> bool {
    text.len() == NAME_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

const DIRECTORIES: usize = 256;
const NAME_DIGITS: usize = 32;
const DIRECTORY_DIGITS: usize = 2;
/// How often a name may be taken already: 128 random bits are not taken once.
const ATTEMPTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_told_from_other_failures() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(matches!(failed_to("write a file")(kind.into()), StoreError::Full { .. }));
        }
        let denied = failed_to("write a file")(io::ErrorKind::PermissionDenied.into());
        assert!(matches!(denied, StoreError::Io { doing: "write a file", .. }));
        assert_eq!(denied.to_string(), "blob storage failed to write a file");
    }
}
