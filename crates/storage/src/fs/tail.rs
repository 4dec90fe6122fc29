//! Who may write behind what a file holds.
//!
//! An upload goes on in the file of its last body, so that one in many pieces is a blob in place as soon as the last
//! of them is there. But two requests may both believe that they are next: one whose hold on the session ran out while
//! it was held up, and the one that took over. Therefore
//!
//! - who writes behind a file holds its lock (flock), and found it to be exactly as long as its row says. A new file
//!   needs no lock: nobody knows of it until its row is saved, and by then every handle to it is closed;
//! - a file that becomes a blob is made read-only under the same lock, and nobody writes to such a one.
//!
//! Whoever finds it otherwise takes a file of its own. So what a row counts on is never written to again, however late
//! a request comes, and whatever process it is in. Bytes behind those of a row are nobody's: they are not read.
//!
//! Where files cannot be locked, or not be made read-only, each body has a file of its own.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use super::files::{Files, Origin, Tail, failed_to, sync_directory};
use crate::store::{Location, Segment, StoreError};

impl Files {
    /// Tries out whether uploads can go on in their files.
    pub(super) fn probed(mut self) -> Self {
        self.resumes = resumes(self.root(), &format!("probe-{}", self.draw_name()));
        self
    }

    /// The end of a segment, for a body that follows it; `None` if it is not for us to write there.
    pub(super) fn resume(&self, segment: &Segment) -> Option<Tail> {
        let file = Arc::new(self.lock(segment)?);
        let origin = Origin::Behind(segment.length);
        Some(Tail { location: segment.location.clone(), file, origin })
    }

    /// Where the blob lies, if a segment can become one in place; if not, it has to be copied.
    pub(super) fn seal(&self, segment: &Segment) -> Result<Option<Location>, StoreError> {
        let sealed = match self.lock(segment) {
            Some(file) => make_read_only(&file).unwrap_or(false),
            None => self.is_final(segment)?,
        };
        Ok(sealed.then(|| segment.location.clone()))
    }

    /// Whether a file holds its segment and nobody will write to it: it was sealed before, or none here is gone on
    /// with.
    fn is_final(&self, segment: &Segment) -> Result<bool, StoreError> {
        let found = self.read(&segment.location)?.metadata().map_err(failed_to("read a file"))?;
        let closed = found.permissions().readonly() || !self.resumes;
        Ok(closed && found.len() == segment.length)
    }

    /// The file of a segment if nobody else writes to it, it ends where the segment does, and it is no blob. Whatever
    /// else is the matter with it, another file will do, or will tell.
    fn lock(&self, segment: &Segment) -> Option<File> {
        if !self.resumes {
            return None;
        }
        let path = self.path(&segment.location).ok()?;
        let file = OpenOptions::new().append(true).open(path).ok()?;
        file.try_lock().ok()?;
        let locked = file.metadata().ok()?;
        let ours = locked.len() == segment.length && !locked.permissions().readonly();
        ours.then_some(file)
    }

    /// Takes back what was written behind a tail, and lets go of it.
    pub(super) fn abandon(&self, tail: &Tail) {
        match tail.origin {
            Origin::New => self.abandon_new(&tail.location),
            Origin::Behind(length) => cut(&tail.location, &tail.file, length),
        }
    }

    /// Removes a file that came to nothing. If that fails too, the next sweep finds it.
    fn abandon_new(&self, location: &Location) {
        if let Err(error) = self.remove(location) {
            tracing::warn!(object = %location, %error, "an unfinished object stays until the next sweep");
        }
    }

    /// Takes back what was written behind `kept`, to the end of `written`, by one whose row was not saved. If somebody
    /// else writes there by now, or has, or has made it a blob, it stays.
    pub(super) fn truncate(&self, written: &Segment, kept: &Segment) {
        if let Some(file) = self.lock(written) {
            cut(&kept.location, &file, kept.length);
        }
    }

    /// Returns when what was written is on the disk, and the name of a new file too.
    pub(super) fn settle(&self, tail: &Tail) -> Result<(), StoreError> {
        let synced = match tail.origin {
            Origin::New => {
                let path = self.path(&tail.location)?;
                let directory = path.parent().unwrap_or(&path);
                tail.file.sync_all().and_then(|()| sync_directory(directory))
            }
            Origin::Behind(_) => tail.file.sync_data(),
        };
        synced.map_err(failed_to("sync a file"))
    }
}

/// Cuts a file whose lock we hold, and lets go of the lock, though a sync of the file may not have ended. If it cannot
/// be cut, what is too much goes when the upload ends.
fn cut(location: &Location, file: &File, length: u64) {
    if let Err(error) = file.set_len(length) {
        tracing::warn!(object = %location, %error, "what was written behind a segment stays until the upload ends");
    }
    // Closing the file does the same, only later.
    let _ = file.unlock();
}

/// Whether it worked: some file systems accept it and change nothing.
fn make_read_only(file: &File) -> io::Result<bool> {
    file.set_permissions(Permissions::from_mode(SEALED))?;
    Ok(file.metadata()?.permissions().readonly())
}

/// Whether files in a directory can be locked and made read-only, as seen with one of this name. If none can be made at
/// the moment, they are taken to be as everywhere: what comes of that is copies, nothing worse.
pub(super) fn resumes(directory: &Path, name: &str) -> bool {
    let path = directory.join(name);
    let mut options = OpenOptions::new();
    let Ok(file) = options.write(true).create_new(true).mode(0o600).open(&path) else {
        return true;
    };
    let resumes = can_be_sealed(&file);
    if !resumes {
        tracing::warn!(
            "files for blobs cannot be locked and made read-only here: an upload in chunks is copied when it ends"
        );
    }
    if let Err(error) = fs::remove_file(&path) {
        tracing::warn!(file = name, %error, "an empty file stays where blobs lie; remove it");
    }
    resumes
}

fn can_be_sealed(file: &File) -> bool {
    file.try_lock().is_ok() && make_read_only(file).unwrap_or(false)
}

/// A blob is read by us alone, and written by nobody.
const SEALED: u32 = 0o400;
