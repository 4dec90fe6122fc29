//! Tokens that are over before their time: the list in the database, which other processes change too, in
//! whatever checks tokens in this one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use portpass_state::{Db, StateError};
use portpass_token::{NumericDate, Revocations, Verifier};

/// Keeps those that check tokens at what the database says.
#[derive(Debug)]
pub(crate) struct RevocationList {
    db: Db,
    verifiers: Vec<Arc<Verifier>>,
    version: AtomicU64,
}

impl RevocationList {
    /// Reads the list: what was revoked before a start stays so after it.
    pub(crate) async fn read(db: Db, verifiers: Vec<Arc<Verifier>>) -> Result<Self, StateError> {
        let list = Self { db, verifiers, version: AtomicU64::new(0) };
        list.take().await?;
        Ok(list)
    }

    /// Whether anything here checks tokens of this installation.
    pub(crate) fn concerns_somebody(&self) -> bool {
        !self.verifiers.is_empty()
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
        let revocations: Revocations = dates.collect();
        for verifier in &self.verifiers {
            verifier.replace_revocations(revocations.clone());
        }
        self.version.store(list.version, Ordering::Relaxed);
        Ok(())
    }
}
