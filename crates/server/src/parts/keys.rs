//! The key ring of a database, opened with the seal key beside it.

use std::{path::Path, time::Duration};

use portpass_authority::{
    keyring::{KeyRing, KeyRingParts, Schedule, SealKey},
    service::Lifetime,
};
use portpass_jose::Algorithm;
use portpass_state::Db;

use super::{StartError, blocking};
use crate::{install::seal_key, system::System};

/// Opens the ring; makes it, and the seal key in `data`, if nothing is sealed yet.
pub(crate) async fn open_ring(
    algorithm: Algorithm,
    lifetime: Lifetime,
    db: &Db,
    data: &Path,
    system: &System,
) -> Result<KeyRing, StartError> {
    let sealed = !db.key_ring().await?.keys.is_empty();
    let (data, random) = (data.to_path_buf(), system.random.clone());
    let key = blocking(move || seal_key(&data, sealed, &*random)).await?;
    let parts = KeyRingParts {
        db: db.clone(),
        seal: SealKey::new(&key)?,
        schedule: Schedule::new(algorithm, Duration::from_secs(lifetime.seconds().into())),
        random: system.random.clone(),
    };
    Ok(KeyRing::open(parts, system.clock.now()).await?)
}
