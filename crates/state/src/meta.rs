//! Facts about the installation, by name.

use crate::{Db, StateError};

impl Db {
    /// The value under a key, if one was set.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StateError> {
        todo!("{key}")
    }

    /// Sets a value, whatever was there.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), StateError> {
        todo!("{key} {value}")
    }

    /// Sets a value unless there is one, and says which counts now. Of several processes that
    /// start at once, all get the same answer.
    pub async fn meta_or_set(&self, key: &str, value: &str) -> Result<String, StateError> {
        todo!("{key} {value}")
    }
}
