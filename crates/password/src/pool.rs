//! The few threads that hash, and the bounded queue in front of them.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::{cost::Cost, format::PasswordHash};

/// Proof that a refusal did the work that every refusal does. Only the pool makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Paid(());

/// The queue is full: answer 503 and ask to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be checked")]
pub struct Busy {
    /// For `Retry-After`.
    pub retry_after: Duration,
}

/// Hashes on blocking threads: as many at once as it was given, first come first served.
/// Cheap to clone; one for the whole process.
#[derive(Debug, Clone)]
pub struct HashPool {}

/// How large a pool is.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// Hashes at once: the number of cores.
    pub threads: NonZeroUsize,
    /// How many may wait beyond those.
    pub queue: usize,
}

/// One source's share in the highest cost. Dropped with the source.
#[derive(Debug)]
pub struct SourceCosts {}

impl HashPool {
    /// A pool that has done nothing yet.
    pub fn new(_settings: PoolSettings) -> Self {
        todo!()
    }

    /// Registers a source of accounts, whose costs count for every refusal from now on.
    pub fn source(&self) -> SourceCosts {
        todo!()
    }

    /// Hashes a new password with argon2id.
    pub async fn hash(
        &self,
        _password: SecretString,
        _salt: [u8; 16],
    ) -> Result<Arc<PasswordHash>, Busy> {
        todo!()
    }
}

impl SourceCosts {
    /// Replaces what this source's entries cost.
    pub fn set(&self, _costs: impl IntoIterator<Item = Cost>) {
        todo!()
    }
}
