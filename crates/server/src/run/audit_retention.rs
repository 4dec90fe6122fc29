//! The trail within its bounds: by age, by size, and by what the disk has left.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_state::{AuditHead, Db, Retention, StateError};
use portpass_token::Clock;

use super::every;
use portpass_config::Audit;

/// Removes what may not stay, for as long as it is polled.
pub(super) async fn enforce_audit_retention(
    db: Db,
    audit: Audit,
    data: PathBuf,
    clock: Arc<dyn Clock>,
) -> Infallible {
    let mut timer = every(LOOK);
    let mut bounds = Bounds::new(audit);
    let mut head_log = HeadLog::default();
    let (mut look, mut failing) = (0_u64, false);
    loop {
        timer.tick().await;
        let by_age = if look.is_multiple_of(LOOKS_BY_AGE) { BATCHES_BY_AGE } else { 0 };
        let disk = Disk::at(&data).await;
        let looked = async {
            let taken = db.audit_size().await?.bytes;
            let room = bounds.room(taken, disk);
            prune_by_age(&db, by_age, audit.keep, clock.now()).await?;
            prune_to(&db, room, clock.now()).await?;
            head_log.note(&db).await
        };
        match looked.await {
            Ok(()) => failing = false,
            Err(error) if failing => {
                tracing::debug!("the audit trail still cannot be kept within its bounds: {error}");
            }
            Err(error) => {
                failing = true;
                tracing::warn!("the audit trail cannot be kept within its bounds: {error}");
            }
        }
        look += 1;
    }
}

/// A few turns at a time: if it is only a clock that has jumped, somebody may notice before the trail is gone.
async fn prune_by_age(
    db: &Db,
    batches: u32,
    keep: Duration,
    now: SystemTime,
) -> Result<(), StateError> {
    let retention = Retention { since: now.checked_sub(keep), max_bytes: u64::MAX };
    for _ in 0..batches {
        if db.prune_audit(&retention, now, BATCH).await? < BATCH as u64 {
            break;
        }
    }
    Ok(())
}

/// In turns that are short, until no more is left.
async fn prune_to(db: &Db, room: u64, now: SystemTime) -> Result<(), StateError> {
    let retention = Retention { since: None, max_bytes: room };
    while db.audit_size().await?.bytes > room {
        if db.prune_audit(&retention, now, BATCH).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// How much room the trail may take at the moment.
#[derive(Debug)]
struct Bounds {
    most: u64,
    /// What it took when the disk began to be short: no more until it is not.
    held_at: Option<u64>,
}

impl Bounds {
    /// What comes between two looks must fit as well.
    fn new(audit: Audit) -> Self {
        let slack = (audit.max_size / 16).min(LARGEST_SLACK);
        Self { most: audit.max_size - slack, held_at: None }
    }

    fn room(&mut self, taken: u64, disk: Option<Disk>) -> u64 {
        let short = disk.is_some_and(Disk::is_short);
        match (short, self.held_at) {
            (true, None) => {
                tracing::warn!(
                    "the disk of the data directory is nearly full: the audit trail does not grow any more, and its oldest entries make room for new ones"
                );
                self.held_at = Some(taken);
            }
            (false, Some(_)) => {
                tracing::info!("the disk of the data directory has room again");
                self.held_at = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
        self.held_at.map_or(self.most, |held| held.min(self.most))
    }
}

/// A file system, in bytes.
#[derive(Debug, Clone, Copy)]
struct Disk {
    size: u64,
    free: u64,
}

impl Disk {
    /// `None` where the system does not say.
    async fn at(data: &std::path::Path) -> Option<Self> {
        let data = data.to_path_buf();
        let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&data)).await;
        let told = asked.ok()?.ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Some(Self { size: bytes(told.f_blocks), free: bytes(told.f_bavail) })
    }

    /// What is left is for blobs.
    fn is_short(self) -> bool {
        self.free < RESERVE.min(self.size / 20)
    }
}

/// The end of the trail, said in the log each hour: whoever keeps the log elsewhere can prove by it what the
/// trail was.
#[derive(Debug, Default)]
struct HeadLog {
    looks: u32,
    last: Option<AuditHead>,
}

impl HeadLog {
    async fn note(&mut self, db: &Db) -> Result<(), StateError> {
        let due = self.looks.is_multiple_of(NOTE_EVERY);
        self.looks += 1;
        if !due {
            return Ok(());
        }
        let entry = db.latest_audit(1).await?.pop();
        let head =
            entry.and_then(|entry| Some(AuditHead { sequence: entry.sequence, hash: entry.hash? }));
        if let Some(head) = head.filter(|head| Some(*head) != self.last) {
            self.last = Some(head);
            tracing::info!("the audit trail leads to {}:{}", head.sequence, head.hash);
        }
        Ok(())
    }
}

const LOOK: Duration = Duration::from_secs(1);
const LOOKS_BY_AGE: u64 = 5;
/// Looks in an hour.
const NOTE_EVERY: u32 = 3600;
/// Entries that are removed in one turn of the database.
const BATCH: usize = 256;
const BATCHES_BY_AGE: u32 = 4;
const LARGEST_SLACK: u64 = 16 << 20;
/// Or a twentieth of the disk, if that is less.
const RESERVE: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use portpass_state::AuditRecord;

    use super::*;

    const AUDIT: Audit = Audit { keep: Duration::from_hours(24), max_size: 16 << 20 };
    const ROOMY: Option<Disk> = Some(Disk { size: 100 << 30, free: 50 << 30 });
    const SHORT: Option<Disk> = Some(Disk { size: 100 << 30, free: (1 << 30) - 1 });

    #[test]
    fn a_disk_that_is_nearly_full_is_left_to_blobs() {
        let mut bounds = Bounds::new(AUDIT);
        assert_eq!(bounds.room(5 << 20, ROOMY), 15 << 20);
        assert_eq!(bounds.room(5 << 20, SHORT), 5 << 20, "it stands still");
        assert_eq!(bounds.room(6 << 20, SHORT), 5 << 20);
        assert_eq!(bounds.room(5 << 20, ROOMY), 15 << 20);
        assert_eq!(bounds.room(5 << 20, None), 15 << 20);
        let small = Disk { size: 1 << 30, free: 60 << 20 };
        assert!(!small.is_short() && Disk { free: 50 << 20, ..small }.is_short());
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn what_is_too_old_and_what_is_too_much_goes() {
        let db = Db::in_memory().await.unwrap();
        let record = |n: u64| AuditRecord {
            at: at(n),
            action: "token-issued".to_owned(),
            actor: Some("ann".to_owned()),
            object: None,
            address: None,
            request: None,
            detail: serde_json::json!({ "x": "x".repeat(500) }),
        };
        let records: Vec<_> = (0..3000).map(record).collect();
        db.append_audit(&records).await.unwrap();
        let all = db.audit_size().await.unwrap().bytes;
        // Some at each look, and not all at once.
        for left in [1976, 952, 500, 500] {
            prune_by_age(&db, BATCHES_BY_AGE, Duration::from_secs(500), at(3000)).await.unwrap();
            assert_eq!(db.audit_after(0, 9999).await.unwrap().len(), left);
        }
        prune_to(&db, all / 30, at(3000)).await.unwrap();
        assert_eq!(db.audit_after(0, 9999).await.unwrap().len(), 100);
        let disk = Disk::at(&std::env::temp_dir()).await.unwrap();
        assert!(disk.size > disk.free && disk.free > 0);
    }
}
