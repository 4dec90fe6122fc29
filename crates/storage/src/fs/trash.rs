//! What a sweep took out of sight, kept for a while: a mistake of a sweep can be undone by hand.
//!
//! ```text
//! ROOT/trash/2026-11-30/ab3f…   a folder for each day (UTC), and in it files under their names
//! ```

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    files::{Files, failed_to, sync_directory},
    make_directory,
};
use crate::store::{Location, StoreError};

impl Files {
    /// Moves a file into the trash of today. One that is not there is none to keep.
    pub(super) fn set_aside(&self, object: &Location, now: SystemTime) -> Result<(), StoreError> {
        let from = self.path(object)?;
        let folder = self.trash().join(day(now)?.to_string());
        make_directory(&folder).map_err(failed_to("make a folder in its trash"))?;
        match fs::rename(from, folder.join(object.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed_to("move a file to its trash")(error))
            }
            // The day's folder is on the disk before the file is in it for good.
            _ => sync_directory(&folder).map_err(failed_to("keep its trash")),
        }
    }

    /// Removes the folders of days that ended before `before`; says how many files went.
    pub(super) fn empty_trash(&self, before: SystemTime) -> Result<u64, StoreError> {
        let last = day(before)?;
        let failed = failed_to("empty its trash");
        let folders = match fs::read_dir(self.trash()) {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(failed(error)),
        };
        let mut removed = 0;
        for folder in folders {
            let folder = folder.map_err(&failed)?;
            let day = folder.file_name().to_str().and_then(|name| name.parse::<Date>().ok());
            if day.is_some_and(|day| day < last) {
                removed += fs::read_dir(folder.path()).map_err(&failed)?.count() as u64;
                fs::remove_dir_all(folder.path()).map_err(&failed)?;
            }
        }
        Ok(removed)
    }

    fn trash(&self) -> PathBuf {
        self.root().join(TRASH)
    }
}

/// The day of a moment, in UTC.
fn day(now: SystemTime) -> Result<Date, StoreError> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = i64::try_from(since.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok());
    let beyond = || failed_to("date its trash")(io::Error::other("the clock is beyond all dates"));
    Ok(now.ok_or_else(beyond)?.to_zoned(TimeZone::UTC).date())
}

const TRASH: &str = "trash";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::keys;

    #[test]
    fn a_day_in_the_trash_goes_when_all_of_it_is_older() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::open(root.path().to_owned(), keys()).unwrap();
        let noon = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000 + 12);
        let location = files.create().unwrap().location;
        files.set_aside(&location, noon).unwrap();
        files.set_aside(&location, noon).unwrap();
        let kept = root.path().join("trash/2024-10-04").join(location.as_str());
        assert!(kept.is_file(), "a person finds it by the day");
        let hours = Duration::from_hours;
        for (before, gone) in [(noon, 0), (noon + hours(11), 0), (noon + hours(12), 1)] {
            assert_eq!(files.empty_trash(before).unwrap(), gone);
        }
        assert!(!kept.exists());
        // What somebody else put there is not ours to remove.
        fs::create_dir(root.path().join("trash/mine")).unwrap();
        assert_eq!(files.empty_trash(noon + hours(2400)).unwrap(), 0);
        assert!(root.path().join("trash/mine").exists());
    }
}
