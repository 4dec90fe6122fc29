//! What collections would remove, when and why; nothing is changed.

use std::{collections::HashMap, time::SystemTime};

use portpass_protocol::{Digest, RepositoryName};
use portpass_state::{Db, Orphan, StateError};

use super::GcSettings;

/// Something that goes, if nobody asks for it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    /// What it is.
    pub kind: DoomedKind,
    /// Which; unknown of an object that was never a blob.
    pub digest: Option<Digest>,
    /// Who holds it, or held it last.
    pub repository: Option<String>,
    /// What the disk has more then. None where other repositories go on to hold it.
    pub bytes: u64,
    /// Why it goes.
    pub why: Why,
    /// Not before then.
    pub goes_at: SystemTime,
}

/// What goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoomedKind {
    /// A manifest of a repository.
    Manifest,
    /// A blob of a repository, or what is left of it.
    Blob,
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No tag names it, no index holds it and it refers to nothing here.
    Untagged,
    /// No manifest links to it.
    Unlinked,
    /// Only manifests link to it that go.
    ManifestsGo,
    /// No repository holds it.
    Released,
}

/// A blob as one repository holds it.
struct Holding {
    repository: RepositoryName,
    size: u64,
    holders: u64,
    why: Why,
    goes_at: SystemTime,
}

/// A blob of a repository to which manifests link that go.
struct Linked {
    size: u64,
    holders: u64,
    /// How many manifests link to it, and how many of them go.
    links: u64,
    going: u64,
    /// When the last of them goes.
    last: SystemTime,
}

impl Doomed {
    /// Everything that nothing keeps at `now`, in the order in which it goes. A collection is taken to come at once,
    /// whenever something is to be done.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn all(
        db: &Db,
        settings: GcSettings,
        now: SystemTime,
    ) -> Result<Vec<Self>, StateError> {
        let mut holdings: HashMap<Digest, Vec<Holding>> = HashMap::new();
        let mut doomed = manifests(db, settings, now, &mut holdings).await?;
        for blob in db.unlinked_blobs().await? {
            holdings.entry(blob.digest).or_default().push(Holding {
                repository: blob.repository,
                size: blob.size,
                holders: blob.holders,
                why: Why::Unlinked,
                goes_at: blob.marked_at.unwrap_or(now) + settings.mark_age(),
            });
        }
        for (digest, holdings) in holdings {
            doomed.extend(blobs(digest, holdings));
        }
        let released = db.released_blobs().await?.into_iter().map(|blob| (blob, now));
        let garbage = db.all_garbage().await?;
        let garbage = garbage.into_iter().map(|object| {
            let goes_at = object.marked_at + settings.hold();
            (object, goes_at)
        });
        doomed.extend(released.chain(garbage).map(|(object, goes_at)| Self {
            kind: DoomedKind::Blob,
            digest: object.digest,
            repository: object.released_by,
            bytes: object.size,
            why: Why::Released,
            goes_at,
        }));
        doomed.sort_by(|one, other| {
            let key = |it: &Self| {
                (it.goes_at, it.kind, it.repository.clone(), it.digest.map(|it| it.to_string()))
            };
            key(one).cmp(&key(other))
        });
        Ok(doomed)
    }
}

/// The manifests that go; what they alone link to is added to `holdings`.
async fn manifests(
    db: &Db,
    settings: GcSettings,
    now: SystemTime,
    holdings: &mut HashMap<Digest, Vec<Holding>>,
) -> Result<Vec<Doomed>, StateError> {
    if settings.untagged.is_none() {
        return Ok(Vec::new());
    }
    let mut doomed = Vec::new();
    let mut linked: HashMap<(RepositoryName, Digest), Linked> = HashMap::new();
    for orphan in db.orphans().await? {
        let goes_at = end_of(&orphan, settings, now);
        for blob in db.linked_blobs(&orphan.repository, &orphan.digest).await? {
            let entry = linked.entry((orphan.repository.clone(), blob.digest));
            let entry = entry.or_insert(Linked {
                size: blob.size,
                holders: blob.holders,
                links: blob.links,
                going: 0,
                last: goes_at,
            });
            entry.going += 1;
            entry.last = entry.last.max(goes_at);
        }
        doomed.push(Doomed {
            kind: DoomedKind::Manifest,
            digest: Some(orphan.digest),
            repository: Some(orphan.repository.to_string()),
            bytes: orphan.size,
            why: Why::Untagged,
            goes_at,
        });
    }
    for ((repository, digest), Linked { size, holders, last, links, going }) in linked {
        if going == links {
            let (why, goes_at) = (Why::ManifestsGo, last + settings.mark_age());
            let holding = Holding { repository, size, holders, why, goes_at };
            holdings.entry(digest).or_default().push(holding);
        }
    }
    Ok(doomed)
}

/// When a manifest goes that nothing keeps.
fn end_of(orphan: &Orphan, settings: GcSettings, now: SystemTime) -> SystemTime {
    let condemned_at = orphan.condemned_at.or_else(|| {
        let rule = settings.untagged?;
        let old = orphan.since.unwrap_or(now) + rule.older_than;
        let pulled = orphan.pulled_at.zip(rule.unless_pulled_within);
        Some(pulled.map_or(old, |(at, within)| old.max(at + within)).max(now))
    });
    condemned_at.unwrap_or(now) + settings.mark_age()
}

/// What becomes of a blob that these let go of. Its bytes go with the last, if nobody else holds it.
fn blobs(digest: Digest, mut holdings: Vec<Holding>) -> Vec<Doomed> {
    holdings.sort_by_key(|holding| holding.goes_at);
    let (last, number) = (holdings.len() - 1, holdings.len() as u64);
    let doomed = holdings.into_iter().enumerate().map(|(place, holding)| {
        let frees = place == last && holding.holders == number;
        Doomed {
            kind: DoomedKind::Blob,
            digest: Some(digest),
            repository: Some(holding.repository.to_string()),
            bytes: if frees { holding.size } else { 0 },
            why: holding.why,
            goes_at: holding.goes_at,
        }
    });
    doomed.collect()
}
