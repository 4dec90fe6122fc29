//! Clears away what no row names: what a crash, a lost race or an abandoned upload left behind.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use crate::store::{BlobStore, Cursor, Location, Object, StoreError};

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects that no row names and that were set aside.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are too young to judge: a row may be on its way.
    pub young: u64,
    /// Objects that rows name.
    pub live: u64,
}

/// What a walk through a store saw, and left as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surveyed {
    /// Objects that no row names.
    pub unknown: u64,
    /// Those of them that were written before a given time.
    pub earlier: u64,
    /// Objects that are too young to judge.
    pub young: u64,
    /// Objects that rows name.
    pub live: u64,
}

impl Surveyed {
    /// All objects.
    pub fn objects(&self) -> u64 {
        self.unknown + self.young + self.live
    }
}

/// Counts what [`sweep`] would remove, and what of it was written before `since`.
///
/// # Errors
/// When `live` cannot tell, or the store fails.
pub async fn survey<L, F, E>(
    store: &dyn BlobStore,
    live: L,
    grace: Duration,
    since: SystemTime,
    now: SystemTime,
) -> Result<Surveyed, E>
where
    L: Fn(Vec<Location>) -> F,
    F: Future<Output = Result<HashSet<Location>, E>>,
    E: From<StoreError>,
{
    let mut surveyed = Surveyed::default();
    let mut cursor = None;
    loop {
        let page = judged(store, &live, grace, now, cursor).await?;
        surveyed.unknown += page.unknown.len() as u64;
        let earlier = page.unknown.iter().filter(|object| object.written < since);
        surveyed.earlier += earlier.count() as u64;
        surveyed.young += page.young;
        surveyed.live += page.live;
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(surveyed),
        }
    }
}

/// Sets the objects of `store` [aside](BlobStore::set_aside) that nobody has written to for `grace` before `now` and
/// that are not live.
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
        let page = judged(store, &live, grace, now, cursor).await?;
        swept.young += page.young;
        swept.live += page.live;
        for object in page.unknown {
            store.set_aside(&object.location, now).await?;
            swept.removed += 1;
            swept.bytes += object.length;
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(swept),
        }
    }
}

/// One step of a walk: what is to be thought of some objects.
struct Page {
    unknown: Vec<Object>,
    young: u64,
    live: u64,
    next: Option<Cursor>,
}

async fn judged<L, F, E>(
    store: &dyn BlobStore,
    live: &L,
    grace: Duration,
    now: SystemTime,
    cursor: Option<Cursor>,
) -> Result<Page, E>
where
    L: Fn(Vec<Location>) -> F,
    F: Future<Output = Result<HashSet<Location>, E>>,
    E: From<StoreError>,
{
    let listing = store.list(cursor).await?;
    let (mut old, young): (Vec<Object>, Vec<Object>) =
        listing.objects.into_iter().partition(|object| age(object, now) >= Some(grace));
    let all = old.len();
    let live = live(old.iter().map(|object| object.location.clone()).collect()).await?;
    old.retain(|object| !live.contains(&object.location));
    Ok(Page {
        live: (all - old.len()) as u64,
        unknown: old,
        young: young.len() as u64,
        next: listing.next,
    })
}

/// An object from the future has none: some clock is wrong, and that is no reason to remove it.
fn age(object: &Object, now: SystemTime) -> Option<Duration> {
    now.duration_since(object.written).ok()
}
