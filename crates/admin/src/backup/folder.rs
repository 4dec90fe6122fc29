//! The folder of a backup: known by a marker, locked while it is written. Everything here waits for the disk.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::BackupError;
use crate::data_directory::{
    BACKUP_MARKER, DataDirectory, DataDirectoryError, FileMode, ROOT, create_private_dir,
    with_suffix, write_file,
};

/// A folder that is ours to write a backup to.
#[derive(Debug)]
pub(super) struct Folder {
    /// Nobody serves from it, and no other backup is made there, until this is dropped.
    lock: DataDirectory,
}

impl Folder {
    /// Opens the backup of `installation` at `path`, or begins one in a new or an empty folder. `places` are
    /// what is to be backed up.
    pub(super) fn open(
        path: &Path,
        places: &[PathBuf],
        installation: &str,
    ) -> Result<Self, BackupError> {
        let path = resolve(path)?;
        for place in places {
            let place = resolve(place)?;
            if path.starts_with(&place) || place.starts_with(&path) {
                return Err(BackupError::Nested { folder: path, place });
            }
        }
        check_permissions(&path, places)?;
        if !is_marked(&path, installation)? {
            check_empty(&path)?;
            create_private_dir(&path).map_err(failed("make", &path))?;
            let marker = path.join(BACKUP_MARKER);
            write_file(&marker, text_for(installation).as_bytes(), &FileMode::Private)
                .map_err(failed("write", &marker))?;
        }
        let lock = DataDirectory::open(&path).map_err(|error| match error {
            DataDirectoryError::InUse { holder, .. } => {
                BackupError::Busy { folder: path.clone(), holder }
            }
            error => BackupError::Folder(error),
        })?;
        // A server may have come between.
        if !is_marked(&path, installation)? {
            return Err(BackupError::OtherBackup { folder: path, why: "a server runs on it" });
        }
        Ok(Self { lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.lock.path()
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.path().join(BLOBS)
    }

    /// An empty file for the owner alone; what a run that was killed has left is gone.
    pub(super) fn prepare_snapshot(&self) -> Result<PathBuf, BackupError> {
        let path = self.path().join(SNAPSHOT);
        remove_database(&path)?;
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(failed("make", &path))?;
        Ok(path)
    }

    /// Copies what a start needs beside the database, and what an operator looks for.
    pub(super) fn copy_files(&self, data: &Path, sealed: bool) -> Result<(), BackupError> {
        for (name, visible) in FILES {
            let (from, to) = (data.join(name), self.path().join(name));
            let content = match fs::read(&from) {
                Ok(content) => content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.without(name, &from, sealed)?;
                    continue;
                }
                Err(error) => return Err(failed("read", &from)(error)),
            };
            match fs::read(&to) {
                Ok(there) if there == content => {}
                // The snapshot that is in place could not be opened with another one.
                Ok(_) if name == SEAL_KEY => {
                    let (folder, why) = (self.path().to_path_buf(), "its seal.key is another");
                    return Err(BackupError::OtherBackup { folder, why });
                }
                Ok(_) | Err(_) => {
                    write_file(&to, &content, &visible).map_err(failed("write", &to))?;
                }
            }
        }
        Ok(())
    }

    /// A file that the installation has not. The seal key is never removed.
    fn without(&self, name: &str, from: &Path, sealed: bool) -> Result<(), BackupError> {
        if name == SEAL_KEY {
            return if sealed {
                Err(BackupError::SealKeyGone { path: from.to_path_buf() })
            } else {
                Ok(())
            };
        }
        remove(&self.path().join(name))
    }

    /// Makes the snapshot the backup: from here on a server starts with it. Gives its size.
    pub(super) fn put_in_place(self) -> Result<(Self, u64), BackupError> {
        let (from, to) = (self.path().join(SNAPSHOT), self.path().join(DATABASE));
        let synced = File::open(&from).and_then(|file| {
            file.sync_all()?;
            file.metadata()
        });
        let bytes = synced.map_err(failed("sync", &from))?.len();
        for suffix in ["-wal", "-shm"] {
            // What was written to a backup by hand and not to its end would be read into the new one.
            remove(&with_suffix(&to, suffix))?;
        }
        fs::rename(&from, &to).map_err(failed("rename", &from))?;
        let synced = File::open(self.path()).and_then(|folder| folder.sync_all());
        synced.map_err(failed("sync", self.path()))?;
        Ok((self, bytes))
    }
}

/// Where a path leads, as far as it is there already.
fn resolve(path: &Path) -> Result<PathBuf, BackupError> {
    let mut there = std::path::absolute(path).map_err(failed("find", path))?;
    let mut rest: Vec<OsString> = Vec::new();
    loop {
        match fs::canonicalize(&there) {
            Ok(found) => return Ok(rest.iter().rev().fold(found, |path, name| path.join(name))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(name) = there.file_name() else { return Err(failed("find", path)(error)) };
                rest.push(name.to_owned());
                there.pop();
            }
            Err(error) => return Err(failed("find", path)(error)),
        }
    }
}

/// Whether the folder is a backup, which then has to be this installation's.
fn is_marked(path: &Path, installation: &str) -> Result<bool, BackupError> {
    let marker = path.join(BACKUP_MARKER);
    let text = match fs::read_to_string(&marker) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("read", &marker)(error)),
    };
    let other = |why| Err(BackupError::OtherBackup { folder: path.to_path_buf(), why });
    match text.lines().collect::<Vec<_>>().as_slice() {
        [FORMAT, of, ..] if *of == format!("installation {installation}") => Ok(true),
        [FORMAT, ..] => other("it is another's"),
        _ => other("its portpass.backup is of another kind"),
    }
}

/// Whoever can write to the folder could lay a link where a file is to be written, or put other accounts and
/// keys into what is restored later. A folder may also be that of the user whose data are backed up.
fn check_permissions(path: &Path, places: &[PathBuf]) -> Result<(), BackupError> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
    };
    let theirs =
        places.iter().filter_map(|place| fs::metadata(place).ok()).map(|place| place.uid());
    let trusted: Vec<u32> = theirs.chain([ROOT, rustix::process::geteuid().as_raw()]).collect();
    let mode = about.mode() & 0o7777;
    if mode & 0o022 != 0 || !trusted.contains(&about.uid()) {
        let folder = path.to_path_buf();
        return Err(BackupError::WritableByOthers { folder, owner: about.uid(), mode });
    }
    Ok(())
}

fn check_empty(path: &Path) -> Result<(), BackupError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read", path)(error)),
    };
    for entry in entries {
        let name = entry.map_err(failed("read", path))?.file_name();
        if !IGNORED_IN_EMPTY.iter().any(|ignored| name == *ignored) {
            let found = name.to_string_lossy().into_owned();
            return Err(BackupError::NotEmpty { folder: path.to_path_buf(), found });
        }
    }
    Ok(())
}

fn remove_database(path: &Path) -> Result<(), BackupError> {
    remove(path)?;
    ["-wal", "-shm", "-journal"].iter().try_for_each(|suffix| remove(&with_suffix(path, suffix)))
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |source| BackupError::File { doing, path: path.to_path_buf(), source }
}

fn text_for(installation: &str) -> String {
    format!(
        "{FORMAT}\ninstallation {installation}\n\nThis folder is a backup: `portpass backup` writes to it, and removes what it does not need any more.\nTo restore it, copy it and start `portpass serve --data COPY`.\n"
    )
}

/// Where blobs lie in a backup, as in a data directory.
pub(super) const BLOBS: &str = "blobs";

const FORMAT: &str = "portpass backup 1";
const DATABASE: &str = "portpass.db";
const SNAPSHOT: &str = "portpass.db.new";
const SEAL_KEY: &str = "seal.key";

/// What is copied whole. Without the first no server starts; the rest spares an operator a search.
const FILES: [(&str, FileMode); 4] = [
    (SEAL_KEY, FileMode::Private),
    ("admin-password", FileMode::Private),
    ("root.crt", FileMode::Public),
    ("jwks.json", FileMode::Public),
];

/// What an empty folder may hold: a new disk's own folder, and a marker that was not finished.
const IGNORED_IN_EMPTY: [&str; 2] = ["lost+found", "portpass.backup.new"];
