//! Older hashes of passwords, which a right password replaces.

use std::{sync::Arc, time::SystemTime};

use portpass_password::{Busy, HashPool, PasswordHash};
use portpass_state::{AccountId, AuditRecord, Change, Db, StateError};
use portpass_token::Random;
use secrecy::SecretString;

use crate::{audit_action::Action, subject::AccountName};

/// Hashes passwords again as new ones are hashed. Nothing ends with it: the password is the same.
#[derive(Debug)]
pub(super) struct HashUpgrades {
    db: Db,
    pool: HashPool,
    random: Arc<dyn Random>,
}

/// A password that was right, and the older hash that it was compared with.
#[derive(Debug)]
pub(super) struct OutdatedHash {
    pub(super) id: AccountId,
    pub(super) name: AccountName,
    pub(super) stored: Arc<PasswordHash>,
    pub(super) password: SecretString,
}

/// Why the older hash stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpgradeError {
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    State(#[from] StateError),
}

impl HashUpgrades {
    pub(super) fn new(db: Db, pool: HashPool, random: Arc<dyn Random>) -> Self {
        Self { db, pool, random }
    }

    /// Puts another hash in the place of this one. [`Change::Unknown`] where it is not there any more: whoever set another
    /// password meanwhile is not undone.
    pub(super) async fn replace(
        &self,
        outdated: OutdatedHash,
        now: SystemTime,
    ) -> Result<Change, UpgradeError> {
        let OutdatedHash { id, name, stored, password } = outdated;
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        let hash = self.pool.hash(password, salt).await?;
        let audit = AuditRecord {
            at: now,
            action: Action::PasswordRehashed.as_str().to_owned(),
            actor: None,
            object: Some(name.to_string()),
            address: None,
            request: None,
            detail: serde_json::json!({ "by": "login" }),
        };
        let (old, new) = (stored.expose().into(), hash.expose().into());
        Ok(self.db.replace_hash(id, &old, &new, &audit).await?)
    }
}
