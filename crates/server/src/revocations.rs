//! Tokens that are over before their time: the list in the database, which other processes change too, in the
//! registry of this process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use portpass_state::{Db, StateError};
use portpass_token::{NumericDate, Verifier};

/// Keeps a registry at what the database says.
#[derive(Debug)]
pub(crate) struct RevocationList {
    db: Db,
    registry: Arc<Verifier>,
    version: AtomicU64,
}

impl RevocationList {
    /// Reads the list: what was revoked before a start stays so after it.
    pub(crate) async fn read(db: Db, registry: Arc<Verifier>) -> Result<Self, StateError> {
        let list = Self { db, registry, version: AtomicU64::new(0) };
        list.take().await?;
        Ok(list)
    }

    /// Reads it again if it has changed. Cheap if it has not: to be called every second.
    pub(crate) async fn follow(&self) -> Result<(), StateError> {
        if self.db.not_before_version().await? == self.version.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.take().await
    }

    async fn take(&self) -> Result<(), StateError> {
        let list = self.db.not_before().await?;
        let entries = list.entries.into_iter();
        let dates = entries.map(|entry| (entry.subject, NumericDate::from(entry.at)));
        self.registry.replace_revocations(dates.collect());
        self.version.store(list.version, Ordering::Relaxed);
        Ok(())
    }
}
