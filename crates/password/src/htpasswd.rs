//! htpasswd files: read, watched, and never half believed.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use crate::{
    format::{FormatError, Formats, PasswordHash},
    pool::SourceCosts,
};

/// Where the file is and what it may hold.
#[derive(Debug, Clone)]
pub struct HtpasswdSettings {
    /// The file.
    pub path: PathBuf,
    /// Which hashes count.
    pub formats: Formats,
}

/// An htpasswd file whose last good content is known. A change counts within two seconds.
#[derive(Debug)]
pub struct HtpasswdFile {}

/// One account of the file.
#[derive(Debug)]
pub struct Entry {}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HtpasswdError {
    /// placeholder
    #[error("placeholder")]
    Missing,
}

impl HtpasswdFile {
    /// Reads the file; it must be there and be readable as a whole. Blocks: for the start only.
    pub fn open(
        _settings: HtpasswdSettings,
        _costs: SourceCosts,
        _now: SystemTime,
    ) -> Result<Self, HtpasswdError> {
        todo!()
    }

    /// The account of that name, in a file that was looked at less than a second ago.
    pub async fn find(&self, _name: &str, _now: SystemTime) -> Option<Arc<Entry>> {
        todo!()
    }
}

impl Entry {
    /// What the password is compared with, or why nothing is.
    pub fn hash(&self) -> Result<&Arc<PasswordHash>, &FormatError> {
        todo!()
    }

    /// Changes with the line: SHA-256 of it, in hex.
    pub fn version(&self) -> &str {
        todo!()
    }
}
