//! What a registry clears away by itself beside [garbage](crate::gc): abandoned uploads, repositories that hold
//! nothing, and objects that no row names.
//!
//! ```text
//! upload session, idle for a day      ─> gone, and its segments with it
//! repository of nothing, an hour old  ─> gone, from the catalog too
//! object of no row, a day old         ─> trash ─ a week later ─> gone
//! ```

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    time::{Duration, SystemTime},
};

use portpass_state::{Db, HeldBlob, StateError, Upload};
use portpass_storage::{
    BlobStore, Location, Object, StoreError, Surveyed, Swept, Upload as Progress, survey, sweep,
};
use tokio::time::{self, MissedTickBehavior};

use crate::registry::Registry;

/// What a round of upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Upload sessions that nobody went on with.
    pub purged_uploads: u64,
    /// Repositories in which nothing was left.
    pub removed_repositories: u64,
}

/// Why a round stopped. What it had done by then is done; the next one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpkeepError {
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registry {
    /// Ends abandoned uploads and empty repositories. Any number of processes may do so at once.
    pub async fn upkeep(&self, now: SystemTime) -> Result<Upkeep, UpkeepError> {
        Ok(Upkeep {
            purged_uploads: self.purge_uploads(now).await?,
            removed_repositories: self.db().remove_empty_repositories(now - GRACE).await?,
        })
    }

    /// Walks through the whole store and sets aside the objects that no row names: what crashes and
    /// lost races left. What was set aside a week ago goes for good.
    ///
    /// Nothing is touched in the first day of a database, nor where so much is unknown that the store is more
    /// likely somebody else's.
    pub async fn sweep(&self, now: SystemTime) -> Result<Sweep, UpkeepError> {
        let since = self.db().serving_since(now).await?;
        if now.duration_since(since).unwrap_or_default() < FIRST_DAY {
            return Ok(Sweep::TooEarly);
        }
        let sessions = in_sessions(self.db()).await?;
        let live = |names| live(self.db(), &sessions, names);
        let store = &**self.store();
        let earlier_than = since.checked_sub(COARSE).unwrap_or(SystemTime::UNIX_EPOCH);
        let seen = survey(store, live, ABANDONED, earlier_than, now).await?;
        let leftovers = seen.unknown <= FEW && seen.earlier == 0;
        if seen.unknown > seen.objects() / 10 && !leftovers {
            return Ok(Sweep::TooManyUnknown(seen));
        }
        store.empty_trash(now.checked_sub(TRASH).unwrap_or(SystemTime::UNIX_EPOCH)).await?;
        Ok(Sweep::Done(sweep(store, live, ABANDONED, now).await?))
    }

    /// Does both, now and on a timer, for as long as it is polled; nothing while the registry is read-only. Whatever
    /// fails is logged and tried again.
    pub async fn run_upkeep(self) -> Infallible {
        let mut timer = time::interval(UPKEEP_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            for round in 0..ROUNDS_TO_A_SWEEP {
                timer.tick().await;
                if self.is_read_only() {
                    continue;
                }
                match self.upkeep(self.now()).await {
                    Ok(upkeep) if upkeep == Upkeep::default() => {}
                    Ok(upkeep) => tracing::info!(?upkeep, "removed abandoned data"),
                    Err(error) => tracing::warn!(%error, "upkeep failed; the server tries again"),
                }
                if round > 0 {
                    continue;
                }
                match self.sweep(self.now()).await {
                    Ok(Sweep::TooEarly | Sweep::Done(Swept { removed: 0, .. })) => {}
                    Ok(Sweep::Done(swept)) => {
                        tracing::info!(?swept, "moved objects that no row named to the trash");
                    }
                    Ok(Sweep::TooManyUnknown(seen)) => tracing::warn!(
                        unknown = seen.unknown,
                        objects = seen.objects(),
                        "nothing is swept: more than a tenth of the objects in the store are in no row of this \
                         database; they may be another installation's"
                    ),
                    Err(error) => tracing::warn!(%error, "a sweep failed; the server tries again"),
                }
            }
        }
    }

    /// Ends the sessions to which nothing has happened for a day.
    async fn purge_uploads(&self, now: SystemTime) -> Result<u64, UpkeepError> {
        let mut purged = 0;
        loop {
            let before = now - ABANDONED;
            let uploads = self.db().take_abandoned_uploads(before, now, BATCH).await?;
            if uploads.is_empty() {
                return Ok(purged);
            }
            for upload in uploads {
                purged += 1;
                self.discard(&upload).await?;
            }
        }
    }

    /// A session whose progress cannot be read is gone all the same; a sweep finds what it held.
    async fn discard(&self, upload: &Upload) -> Result<(), StoreError> {
        match Progress::from_bytes(&upload.progress) {
            Ok(progress) => self.store().discard(progress, None).await,
            Err(error) => {
                let (repository, id) = (&upload.repository, upload.id);
                tracing::warn!(%repository, upload = %id, %error, "a purged upload left its segments");
                Ok(())
            }
        }
    }
}

/// What became of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// The database is at work for less than a day.
    TooEarly,
    /// More than a tenth of the objects are in no row. All are left where they are.
    TooManyUnknown(Surveyed),
    /// It went through.
    Done(Swept),
}

/// Which of these rows name: of a blob, of garbage, or of a session.
async fn live(
    db: &Db,
    sessions: &HashSet<Location>,
    names: Vec<Location>,
) -> Result<HashSet<Location>, UpkeepError> {
    let names: Vec<String> = names.iter().map(Location::to_string).collect();
    let known = db.known_locations(&names).await?;
    let live = names.into_iter().map(Location::from);
    Ok(live.filter(|name| known.contains(name.as_str()) || sessions.contains(name)).collect())
}

/// How many objects there are, and those that no row names and nobody has written to for a day.
pub(crate) async fn unnamed(
    db: &Db,
    store: &dyn BlobStore,
    now: SystemTime,
) -> Result<(u64, Vec<Object>), UpkeepError> {
    let sessions = in_sessions(db).await?;
    let (mut objects, mut unnamed, mut cursor) = (0, Vec::new(), None);
    loop {
        let listing = store.list(cursor).await?;
        objects += listing.objects.len() as u64;
        let is_old =
            |object: &Object| now.duration_since(object.written).is_ok_and(|age| age >= ABANDONED);
        let old: Vec<Object> = listing.objects.into_iter().filter(is_old).collect();
        let names = old.iter().map(|object| object.location.clone()).collect();
        let live = live(db, &sessions, names).await?;
        unnamed.extend(old.into_iter().filter(|object| !live.contains(&object.location)));
        cursor = listing.next;
        if cursor.is_none() {
            return Ok((objects, unnamed));
        }
    }
}

/// How the rows of a database and the objects of a store go together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreComparison {
    /// Blobs that repositories hold.
    pub blobs: u64,
    /// Those of them whose object is not there, or has another length.
    pub missing: u64,
    /// Objects.
    pub objects: u64,
    /// Objects that no row names.
    pub unknown: u64,
}

impl StoreComparison {
    /// Compares all of them. This walks through the whole store.
    ///
    /// # Errors
    /// When the database or the store fails.
    pub async fn of(db: &Db, store: &dyn BlobStore) -> Result<Self, UpkeepError> {
        let sessions = in_sessions(db).await?;
        let (mut fit, mut lengths) = (Self::default(), HashMap::new());
        let mut cursor = None;
        loop {
            let listing = store.list(cursor).await?;
            let names = listing.objects.iter().map(|object| object.location.clone()).collect();
            let live = live(db, &sessions, names).await?;
            fit.objects += listing.objects.len() as u64;
            fit.unknown += (listing.objects.len() - live.len()) as u64;
            let known = listing.objects.into_iter().filter(|it| live.contains(&it.location));
            lengths.extend(known.map(|object| (object.location, object.length)));
            match listing.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let mut after = None;
        loop {
            let page = db.held_blobs(after.as_ref(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(fit) };
            after = Some(last.digest);
            fit.blobs += page.len() as u64;
            let there = |blob: &&HeldBlob| {
                lengths.get(&Location::from(blob.location.clone())) == Some(&blob.size)
            };
            fit.missing += page.iter().filter(|blob| !there(blob)).count() as u64;
        }
    }

    /// Whether the objects are those of the rows: at most a tenth of the blobs is missing. Where no blob is in a row,
    /// no object may be unknown either.
    pub fn is_match(&self) -> bool {
        if self.blobs == 0 { self.unknown == 0 } else { self.missing <= self.blobs / 10 }
    }
}

/// The objects of all sessions. One that cannot be read may hold any object, so nothing is swept
/// before it is purged.
async fn in_sessions(db: &Db) -> Result<HashSet<Location>, UpkeepError> {
    let mut locations = HashSet::new();
    let mut after = None;
    loop {
        let uploads = db.uploads(after, BATCH).await?;
        let Some(last) = uploads.last() else { return Ok(locations) };
        after = Some(last.id);
        for upload in &uploads {
            locations.extend(Progress::from_bytes(&upload.progress)?.locations().cloned());
        }
    }
}

/// An upload that nothing has happened to for so long is not gone on with, and what was written so
/// long ago has its row or gets none.
const ABANDONED: Duration = Duration::from_hours(24);

/// Who has just started on a database may have named the wrong store, or a volume that is not mounted yet.
const FIRST_DAY: Duration = Duration::from_hours(24);

/// So few objects a crash under many clients may well have left in a small store: each had one under way. Not those that
/// are older than the database's hold on the store.
const FEW: u64 = 100;

/// File systems date files by coarser clocks than ours.
const COARSE: Duration = Duration::from_mins(1);

/// How long what was swept can be got back.
const TRASH: Duration = Duration::from_hours(7 * 24);

/// A client that pushes is done with its first blob by then.
const GRACE: Duration = Duration::from_hours(1);

const UPKEEP_EVERY: Duration = Duration::from_hours(1);
const ROUNDS_TO_A_SWEEP: u32 = 24;
const BATCH: usize = 100;
