//! The key ring of a database, opened with the seal key beside it.

use std::{path::Path, sync::Arc, time::SystemTime};

use portpass_authority::{
    keyring::{KeyRing, KeyRingError, KeyRingParts, Schedules, SealError, SealKey},
    service::Lifetime,
};
use portpass_jose::Algorithm;
use portpass_state::{Db, StateError};
use portpass_token::Random;

use crate::{
    blocking,
    seal_key::{SealKeyError, seal_key},
};

/// Opens the ring with keys of these algorithms, the default first. Makes it, and the seal key in `data`, if nothing
/// is sealed yet.
pub async fn open_key_ring(
    algorithms: &[Algorithm],
    lifetime: Lifetime,
    db: &Db,
    data: &Path,
    random: Arc<dyn Random>,
    now: SystemTime,
) -> Result<KeyRing, OpenKeyRingError> {
    let sealed = !db.key_ring().await?.keys.is_empty();
    let (data, source) = (data.to_path_buf(), random.clone());
    let key = blocking(move || seal_key(&data, sealed, &*source)).await?;
    let parts = KeyRingParts {
        db: db.clone(),
        seal: SealKey::new(&key)?,
        schedules: schedules(algorithms, lifetime)?,
        random,
    };
    Ok(KeyRing::open(parts, now).await?)
}

/// When keys of these algorithms come and go, the default first.
pub(crate) fn schedules(
    algorithms: &[Algorithm],
    lifetime: Lifetime,
) -> Result<Schedules, KeyRingError> {
    let nothing = KeyRingError::Incomplete { missing: "no algorithm" };
    let (default, others) = algorithms.split_first().ok_or(nothing)?;
    Ok(Schedules::new(*default, others.iter().copied(), lifetime.as_duration()))
}

/// Why a key ring cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenKeyRingError {
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file of the seal key.
    #[error(transparent)]
    SealKeyFile(#[from] SealKeyError),
    /// The seal key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The ring.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
}
