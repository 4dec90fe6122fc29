//! Garbage collection while serving: what nothing keeps goes, and nobody who was told that it is there misses it.
//!
//! ```text
//! manifest that nothing keeps, old enough  ─> condemned ─ grace ─> gone      where a rule says so
//! blob that no manifest links to           ─> marked ─ grace ─> let go of
//! blob that no repository holds            ─> garbage ─ hold ─> object gone
//! ```
//! Whoever asks for a condemned manifest or a marked blob, mounts it or pushes it again takes the mark off, in the
//! transaction that his answer rests on. The hold, which the grace contains, is for requests that have read a row and
//! not yet opened its object; whoever has opened it may read to its end.
//!
//! Each step is a short transaction or the removal of one object, and can be broken off anywhere: the next collection
//! goes on. While others write, a collection takes a tenth of the time ([`pace`]).

pub mod forecast;
mod pace;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_protocol::RepositoryChange;
use portpass_state::{Db, OrphanAge, Piece, RemovedManifest, StateError};
use portpass_storage::{BlobStore, Location};

use tokio::time::{self, MissedTickBehavior};

use self::pace::Pace;
use crate::{
    event::{Event, EventSink},
    notification::Cause,
    registry::Registry,
    upkeep::UpkeepError,
};

/// What goes, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcSettings {
    /// How long anything stays after it was last told to a client that it is there.
    pub grace: Duration,
    /// Which manifests go; none without a rule.
    pub untagged: Option<UntaggedRule>,
}

/// When a manifest goes that no tag names, no index holds and that refers to nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UntaggedRule {
    /// When nothing has kept it for so long.
    pub older_than: Duration,
    /// And nobody has pulled it for so long.
    pub unless_pulled_within: Option<Duration>,
}

impl GcSettings {
    /// How long an object stays after no request can learn of it any more.
    pub fn hold(&self) -> Duration {
        (self.grace / 4).min(LONGEST_HOLD)
    }

    /// How long a mark has to stand before it counts: with the hold, the grace.
    pub fn mark_age(&self) -> Duration {
        self.grace.saturating_sub(self.hold())
    }
}

/// Removes what nothing keeps.
#[derive(Debug, Clone)]
pub struct Collector {
    db: Db,
    store: Arc<dyn BlobStore>,
    events: Arc<dyn EventSink>,
    settings: GcSettings,
    speed: Speed,
}

/// What a collection leaves to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// Nine tenths of the time, while others write.
    Paced,
    /// Their turns between its own.
    Full,
}

/// What is done piece by piece.
#[derive(Debug, Clone, Copy)]
enum Step {
    FindOrphans,
    Condemn(UntaggedRule),
    MarkUnlinked,
    RemoveUnlinked,
    Retire,
}

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Manifests that were removed.
    pub manifests: u64,
    /// Blobs that repositories let go of, once for each of them.
    pub released: u64,
    /// Blobs that are unknown from now on.
    pub retired: u64,
    /// Objects that were removed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests that were condemned and blobs that were marked: they go a grace period later.
    pub marked: u64,
}

impl Collector {
    /// A collector of this database and the store that its rows name.
    pub fn new(
        db: &Db,
        store: Arc<dyn BlobStore>,
        events: Arc<dyn EventSink>,
        settings: GcSettings,
    ) -> Self {
        Self { db: db.on_behalf_of(ACTOR), store, events, settings, speed: Speed::Paced }
    }

    /// The same at another speed.
    #[must_use]
    pub fn with_speed(self, speed: Speed) -> Self {
        Self { speed, ..self }
    }

    /// Takes every step whose time has come at `now`. Any number of processes may do so at once.
    ///
    /// # Errors
    /// When the database or the store fails. What was done by then is done.
    pub async fn collect(&self, now: SystemTime) -> Result<Collected, UpkeepError> {
        let mut collected = Collected::default();
        let mut pace = Pace::new(&self.db, self.speed);
        self.collect_manifests(now, &mut pace, &mut collected).await?;
        collected.marked += self.all(Step::MarkUnlinked, now, &mut pace).await?;
        collected.released = self.all(Step::RemoveUnlinked, now, &mut pace).await?;
        collected.retired = self.all(Step::Retire, now, &mut pace).await?;
        self.remove_objects(now, &mut pace, &mut collected).await?;
        Ok(collected)
    }

    /// Removes the objects of which no request can know any more.
    ///
    /// # Errors
    /// As [`Collector::collect`].
    pub async fn remove_garbage(&self, now: SystemTime) -> Result<Collected, UpkeepError> {
        let mut collected = Collected::default();
        self.remove_objects(now, &mut Pace::new(&self.db, self.speed), &mut collected).await?;
        Ok(collected)
    }

    async fn collect_manifests(
        &self,
        now: SystemTime,
        pace: &mut Pace,
        collected: &mut Collected,
    ) -> Result<(), UpkeepError> {
        let Some(rule) = self.settings.untagged else { return Ok(()) };
        self.all(Step::FindOrphans, now, pace).await?;
        collected.marked += self.all(Step::Condemn(rule), now, pace).await?;
        let condemned_before = before(now, self.settings.mark_age());
        loop {
            let (piece, removed) =
                pace.step(self.db.remove_condemned(condemned_before, MANIFESTS)).await?;
            for manifest in removed {
                collected.manifests += 1;
                self.tell(manifest, now);
            }
            if piece.seen == 0 {
                return Ok(());
            }
        }
    }

    /// Takes a step piece by piece until nothing is left; says how much nothing kept.
    async fn all(&self, step: Step, now: SystemTime, pace: &mut Pace) -> Result<u64, StateError> {
        let mut unkept = 0;
        loop {
            let piece = pace.step(self.piece(step, now)).await?;
            unkept += piece.unkept;
            if piece.seen == 0 {
                return Ok(unkept);
            }
        }
    }

    async fn piece(&self, step: Step, now: SystemTime) -> Result<Piece, StateError> {
        let db = &self.db;
        match step {
            Step::FindOrphans => db.find_orphans(now, BATCH).await,
            Step::Condemn(rule) => {
                let age = OrphanAge {
                    orphaned_before: before(now, rule.older_than),
                    not_pulled_since: rule.unless_pulled_within.map(|within| before(now, within)),
                };
                db.condemn_orphans(age, now, BATCH).await
            }
            Step::MarkUnlinked => db.mark_unlinked_blobs(now, BATCH).await,
            Step::RemoveUnlinked => {
                let marked_before = before(now, self.settings.mark_age());
                db.remove_unlinked_blobs(marked_before, now, BATCH).await
            }
            Step::Retire => db.retire_blobs(now, BATCH).await,
        }
    }

    fn tell(&self, manifest: RemovedManifest, at: SystemTime) {
        let RemovedManifest { repository, digest, .. } = manifest;
        let change = RepositoryChange::ManifestDeleted { digest, tags: Vec::new() };
        let subject = ACTOR.to_owned();
        self.events.emit(Event { at, subject, address: None, request: None, repository, change });
    }

    async fn remove_objects(
        &self,
        now: SystemTime,
        pace: &mut Pace,
        collected: &mut Collected,
    ) -> Result<(), UpkeepError> {
        loop {
            if !self.db.may_remove_objects(now).await? {
                return Ok(());
            }
            let garbage = self.db.garbage(before(now, self.settings.hold()), BATCH).await?;
            if garbage.is_empty() {
                return Ok(());
            }
            for object in &garbage {
                self.store.delete(&Location::from(object.location.clone())).await?;
            }
            let gone: Vec<&str> = garbage.iter().map(|object| object.location.as_str()).collect();
            pace.step(self.db.remove_garbage_rows(&gone)).await?;
            collected.objects += garbage.len() as u64;
            collected.bytes += garbage.iter().map(|object| object.size).sum::<u64>();
        }
    }
}

impl Registry {
    /// What collects this registry's garbage.
    pub fn collector(&self, settings: GcSettings) -> Collector {
        let telling = self.announcing(Cause::by_itself(ACTOR));
        let (store, events) = (Arc::clone(self.store()), Arc::clone(self.event_sink()));
        Collector::new(telling.db(), store, events, settings)
    }

    /// Collects now and at each interval, for as long as it is polled and not read-only. Whatever fails is logged and tried again.
    pub async fn run_gc(self, settings: GcSettings, interval: Duration) -> Infallible {
        let collector = self.collector(settings);
        let mut timer = time::interval(interval);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if self.is_read_only() {
                continue;
            }
            let collected = log(collector.collect(self.now()).await);
            if collected.retired > 0 && settings.hold() < interval {
                time::sleep(settings.hold() + SLACK).await;
                if !self.is_read_only() {
                    log(collector.remove_garbage(self.now()).await);
                }
            }
        }
    }
}

fn log(collected: Result<Collected, UpkeepError>) -> Collected {
    match collected {
        Ok(collected) => {
            if collected != Collected::default() {
                tracing::info!(?collected, "collected garbage");
            }
            collected
        }
        Err(error) => {
            tracing::warn!(%error, "a garbage collection failed; the server tries again");
            Collected::default()
        }
    }
}

fn before(now: SystemTime, age: Duration) -> SystemTime {
    now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Who has done it, in the audit trail and in events; and among those who write.
const ACTOR: &str = "gc";

/// Longer than any request needs from a blob's row to its object.
const LONGEST_HOLD: Duration = Duration::from_mins(1);

/// Rows are dated to the millisecond.
const SLACK: Duration = Duration::from_millis(10);

/// Rows of one step: milliseconds.
const BATCH: usize = 500;
/// Manifests of one step; each takes several statements.
const MANIFESTS: usize = 50;
