//! Removes what no row names: what a crash, a lost race or an abandoned upload left behind.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use crate::store::{BlobStore, Location, Object, StoreError};

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects that no row names and that were removed.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are too young to judge: a row may be on its way.
    pub young: u64,
    /// Objects that rows name.
    pub live: u64,
}

/// Removes the objects of `store` that nobody has written to for `grace` before `now` and that are
/// not live.
///
/// `live` says which of some names stand in a row, of a blob or of an upload. It is asked after the
/// names were listed. `grace` must be longer than any append or commit takes from its last write to
/// its row: an object that is older has its row, or will never get one.
///
/// # Errors
/// When `live` cannot tell, or the store fails; what was removed by then is removed.
pub async fn sweep<L, F, E>(
    store: &dyn BlobStore,
    live: L,
    grace: Duration,
    now: SystemTime,
) -> Result<Swept, E>
where
    L: Fn(Vec<Location>) -> F,
    F: Future<Output = Result<HashSet<Location>, E>>,
    E: From<StoreError>,
{
    let mut swept = Swept::default();
    let mut cursor = None;
    loop {
        let listing = store.list(cursor).await?;
        let (old, young): (Vec<Object>, Vec<Object>) =
            listing.objects.into_iter().partition(|object| age(object, now) >= Some(grace));
        swept.young += young.len() as u64;
        let names = old.iter().map(|object| object.location.clone()).collect();
        let live = live(names).await?;
        for object in old {
            if live.contains(&object.location) {
                swept.live += 1;
            } else {
                store.delete(&object.location).await?;
                swept.removed += 1;
                swept.bytes += object.length;
            }
        }
        match listing.next {
            Some(next) => cursor = Some(next),
            None => return Ok(swept),
        }
    }
}

/// An object from the future has none: some clock is wrong, and that is no reason to remove it.
fn age(object: &Object, now: SystemTime) -> Option<Duration> {
    now.duration_since(object.written).ok()
}
