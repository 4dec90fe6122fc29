//! A second directory with the same objects, for a backup. Everything here waits for the disk.
//!
//! Blobs are never changed, so one that is there needs no second look: only what
//! is new is copied. A copy gets its name when all of it is on the disk.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use portpass_protocol::{Digest, Hasher};

use super::{
    files::{is_name, path_in, sync_directory},
    make_directory,
};
use crate::store::Location;

/// Copies objects from one directory into another.
#[derive(Debug)]
pub struct Replica {
    from: PathBuf,
    to: PathBuf,
    /// The objects that belong there, by their names' numbers.
    wanted: HashSet<u128>,
    buffer: Vec<u8>,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was there.
    Already,
    /// It was copied; its digest is right.
    Copied,
    /// There is no such object to copy.
    Missing,
    /// Its bytes are not those of its digest.
    Damaged,
}

/// Why a directory cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}", path.display())]
pub struct ReplicaError {
    /// What was tried.
    doing: &'static str,
    /// On what.
    path: PathBuf,
    /// What the system said.
    source: io::Error,
}

impl Replica {
    /// Makes `to` if it is not there; `from` is only read.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(from: PathBuf, to: PathBuf) -> Result<Self, ReplicaError> {
        make_directory(&to).map_err(failed("make", &to))?;
        Ok(Self { from, to, wanted: HashSet::new(), buffer: vec![0; BUFFER] })
    }

    /// Copies an object, unless it is there with all its bytes.
    ///
    /// # Errors
    /// When the disk fails. An object that is not as it should be is no error.
    pub fn take(
        &mut self,
        location: &Location,
        digest: &Digest,
        size: u64,
    ) -> Result<Taken, ReplicaError> {
        let name = location.as_str();
        let places = (number_of(name), path_in(&self.from, name), path_in(&self.to, name));
        let (Some(number), Some(source), Some(target)) = places else { return Ok(Taken::Missing) };
        self.wanted.insert(number);
        match fs::metadata(&target) {
            Ok(there) if there.is_file() && there.len() == size => return Ok(Taken::Already),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at", &target)(error)),
        }
        self.copy(&source, &target, digest, size)
    }

    /// Returns when the names of all objects that were taken are on the disk, those of an earlier run that
    /// was killed too.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle(&self) -> Result<(), ReplicaError> {
        for folder in self.folders()? {
            sync(&folder)?;
        }
        sync(&self.to)
    }

    /// Removes the objects that were not taken, and what a run that was killed has left; says how many
    /// objects. Files with other names are not touched.
    ///
    /// # Errors
    /// When the disk fails; what was removed by then is removed.
    pub fn prune(&self) -> Result<u64, ReplicaError> {
        let mut removed = 0;
        for folder in self.folders()? {
            for entry in fs::read_dir(&folder).map_err(failed("read", &folder))? {
                let path = entry.map_err(failed("read", &folder))?.path();
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                let object = number_of(name);
                let half = name.strip_suffix(PARTIAL_SUFFIX).and_then(number_of);
                if object.is_some_and(|number| !self.wanted.contains(&number)) || half.is_some() {
                    fs::remove_file(&path).map_err(failed("remove", &path))?;
                    removed += u64::from(object.is_some());
                }
            }
        }
        Ok(removed)
    }

    fn copy(
        &mut self,
        source: &Path,
        target: &Path,
        digest: &Digest,
        size: u64,
    ) -> Result<Taken, ReplicaError> {
        let mut from = match File::open(source) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Missing),
            Err(error) => return Err(failed("open", source)(error)),
        };
        let folder = target.parent().unwrap_or(&self.to);
        make_directory(folder).map_err(failed("make", folder))?;
        let half = with_suffix(target);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut to = options.open(&half).map_err(failed("make", &half))?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut length = 0;
        loop {
            let read = match from.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed("read", source)(error)),
            };
            let bytes = &self.buffer[..read];
            hasher.update(bytes);
            to.write_all(bytes).map_err(failed("write", &half))?;
            length += read as u64;
        }
        if length != size || hasher.finish() != *digest {
            fs::remove_file(&half).map_err(failed("remove", &half))?;
            return Ok(Taken::Damaged);
        }
        to.sync_all().map_err(failed("sync", &half))?;
        fs::rename(&half, target).map_err(failed("rename", &half))?;
        Ok(Taken::Copied)
    }

    /// The directories that objects lie in, as far as they were made.
    fn folders(&self) -> Result<Vec<PathBuf>, ReplicaError> {
        let named = (0..=u8::MAX).map(|number| self.to.join(format!("{number:02x}")));
        let mut folders = Vec::new();
        for folder in named {
            if folder.try_exists().map_err(failed("look at", &folder))? {
                folders.push(folder);
            }
        }
        Ok(folders)
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ReplicaError {
    move |source| ReplicaError { doing, path: path.to_owned(), source }
}

/// The name as a number, if it is one that a store gives.
fn number_of(name: &str) -> Option<u128> {
    is_name(name).then(|| u128::from_str_radix(name, 16).ok()).flatten()
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL_SUFFIX);
    PathBuf::from(name)
}

fn sync(folder: &Path) -> Result<(), ReplicaError> {
    sync_directory(folder).map_err(failed("sync", folder))
}

/// What a file is called before all of it is there.
const PARTIAL_SUFFIX: &str = ".new";

const BUFFER: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_there_is_not_copied_again_and_what_nobody_wants_goes() {
        let place = Place::new();
        let [first, second] = [place.object(1, b"one"), place.object(2, b"two")];
        let mut replica = place.replica();
        assert_eq!(take(&mut replica, &first, b"one"), Taken::Copied);
        assert_eq!(take(&mut replica, &second, b"two"), Taken::Copied);
        replica.settle().unwrap();
        assert_eq!(replica.prune().unwrap(), 0);
        let copy = path_in(&place.to(), first.as_str()).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), b"one");
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let folder = copy.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);

        // Nothing is read of what is there.
        fs::remove_file(path_in(&place.from(), first.as_str()).unwrap()).unwrap();
        fs::write(with_suffix(&copy), "of a run that was killed").unwrap();
        fs::write(folder.join("note.txt"), "somebody's").unwrap();
        let mut replica = place.replica();
        assert_eq!(take(&mut replica, &first, b"one"), Taken::Already);
        assert_eq!(replica.prune().unwrap(), 1, "the second");
        let mut left: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [first.as_str(), "note.txt"]);
    }

    #[test]
    fn what_is_missing_or_damaged_is_told_and_leaves_nothing() {
        let place = Place::new();
        let object = place.object(1, b"one");
        let mut replica = place.replica();
        assert_eq!(take(&mut replica, &object, b"One"), Taken::Damaged, "other bytes");
        assert_eq!(take(&mut replica, &object, b"one and more"), Taken::Damaged, "fewer bytes");
        let absent = Location::from(format!("{:032x}", 7));
        assert_eq!(take(&mut replica, &absent, b"one"), Taken::Missing);
        for foreign in ["../../etc/passwd", "", "ab"] {
            let foreign = Location::from(foreign.to_owned());
            assert_eq!(take(&mut replica, &foreign, b"one"), Taken::Missing);
        }
        let folder = place.to().join("00");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }

    #[test]
    fn half_a_copy_is_copied_again() {
        let place = Place::new();
        let object = place.object(1, b"one");
        let mut replica = place.replica();
        let copy = path_in(&place.to(), object.as_str()).unwrap();
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(&copy, "on").unwrap();
        assert_eq!(take(&mut replica, &object, b"one"), Taken::Copied);
        assert_eq!(fs::read(&copy).unwrap(), b"one");
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn from(&self) -> PathBuf {
            self.0.path().join("from")
        }

        fn to(&self) -> PathBuf {
            self.0.path().join("to")
        }

        fn replica(&self) -> Replica {
            Replica::new(self.from(), self.to()).unwrap()
        }

        fn object(&self, number: u128, bytes: &[u8]) -> Location {
            let name = format!("{number:032x}");
            let path = path_in(&self.from(), &name).unwrap();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
            Location::from(name)
        }
    }

    fn take(replica: &mut Replica, location: &Location, bytes: &[u8]) -> Taken {
        replica.take(location, &Digest::sha256(bytes), bytes.len() as u64).unwrap()
    }
}
