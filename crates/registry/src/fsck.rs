//! Whether the rows and the objects are what they say: every blob is read and hashed.
//!
//! ```text
//! blob row ─> object: there? as long as the row says? the digest's bytes?
//! manifest row ─> the digest's bytes?    tag ─> a manifest?
//! object ─> a row?
//! ```
//! Repairs never write into an object: it may be shared with another registry by a hard or a symbolic link. Bytes that
//! lie elsewhere in the store get a fresh name; what is damaged is set aside, and then clients push it again.

mod mend;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::StreamExt as _;
use portpass_protocol::{Digest, Hasher, Reference, RepositoryName, Tag};
use portpass_state::{Db, HeldBlob};
use portpass_storage::{BlobStore, Content, Location, StoreError};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{gc::Speed, upkeep::UpkeepError};

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All rows, and all objects.
    All,
    /// What these repositories hold.
    Repositories(Vec<RepositoryName>),
}

/// What was looked at, and what is not as it should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Objects of the store; none if only some repositories are looked at.
    pub objects: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// Of which blob or manifest.
    pub digest: Option<Digest>,
    /// How long it is to be; of an object that no row names, how long it is.
    pub size: Option<u64>,
    /// Who has it.
    pub repositories: Vec<RepositoryName>,
    /// Which object.
    pub object: Option<Location>,
    /// What was done about it.
    pub repair: Option<Repair>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A row names an object that is not there.
    BlobMissing,
    /// The object has another length than its row says.
    BlobLength {
        /// Its length.
        found: u64,
    },
    /// The object has other bytes than its digest says.
    BlobDamaged,
    /// The object cannot be opened: by this user, perhaps.
    BlobUnreadable,
    /// The row has other bytes than its digest says.
    ManifestDamaged,
    /// A tag names a manifest that is not there.
    TagToNothing(Tag),
    /// No row names the object.
    ObjectUnnamed,
}

impl Fault {
    fn is_of_blob(&self) -> bool {
        match self {
            Self::BlobMissing
            | Self::BlobLength { .. }
            | Self::BlobDamaged
            | Self::BlobUnreadable => true,
            Self::ManifestDamaged | Self::TagToNothing(_) | Self::ObjectUnnamed => false,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// The bytes were found elsewhere in the store: the blob is whole again.
    Replaced,
    /// The object is in the trash: of a blob, clients are told that it is unknown, and push it again.
    SetAside,
    /// The tag is gone.
    Removed,
}

/// Looks at an installation, beside servers or without one.
#[derive(Debug)]
pub struct Fsck {
    db: Db,
    store: Arc<dyn BlobStore>,
    speed: Speed,
}

impl Fsck {
    /// Of this database, and the store that its rows name.
    pub fn new(db: &Db, store: Arc<dyn BlobStore>, speed: Speed) -> Self {
        Self { db: db.clone(), store, speed }
    }

    /// Looks at everything in this scope, and changes nothing.
    ///
    /// # Errors
    /// When the database or the store fails.
    pub async fn check(&self, scope: &Scope, now: SystemTime) -> Result<Checked, UpkeepError> {
        let mut checked = Checked::default();
        match scope {
            Scope::All => {
                self.all_blobs(&mut checked).await?;
                let mut last: Option<RepositoryName> = None;
                loop {
                    let after = last.as_ref().map(RepositoryName::as_str);
                    let page = self.db.catalog(after, PAGE).await?;
                    for name in &page.items {
                        self.manifests_and_tags(name, &mut checked).await?;
                    }
                    last = page.items.last().cloned();
                    if !page.more {
                        break;
                    }
                }
                self.objects(now, &mut checked).await?;
            }
            Scope::Repositories(names) => {
                let mut seen = HashSet::new();
                for name in names {
                    self.blobs_of(name, &mut seen, &mut checked).await?;
                    self.manifests_and_tags(name, &mut checked).await?;
                }
            }
        }
        Ok(checked)
    }

    async fn all_blobs(&self, checked: &mut Checked) -> Result<(), UpkeepError> {
        let mut after = None;
        loop {
            let page = self.db.held_blobs(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.digest);
            for blob in page {
                self.blob(blob, checked).await?;
            }
        }
    }

    async fn blobs_of(
        &self,
        name: &RepositoryName,
        seen: &mut HashSet<Digest>,
        checked: &mut Checked,
    ) -> Result<(), UpkeepError> {
        let mut after = None;
        loop {
            let page = self.db.blobs_of(name, after.as_ref(), PAGE).await?;
            after = page.items.last().map(|blob| blob.digest);
            for blob in page.items {
                if seen.insert(blob.digest) {
                    self.blob(blob, checked).await?;
                }
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn blob(&self, blob: HeldBlob, checked: &mut Checked) -> Result<(), UpkeepError> {
        let begun = now_for_pace();
        let location = Location::from(blob.location.clone());
        let fault = self.fault_of(&location, &blob.digest, blob.size).await?;
        checked.blobs += 1;
        checked.bytes += blob.size;
        if self.speed == Speed::Paced {
            sleep(begun.elapsed().min(LONGEST_REST)).await;
        }
        // It may have gone, or moved, since its row was read.
        if let Some(fault) = fault
            && self.is_named(&blob.digest, &location).await?
        {
            checked.findings.push(Finding {
                fault,
                digest: Some(blob.digest),
                size: Some(blob.size),
                repositories: self.db.holders(&blob.digest).await?,
                object: Some(location),
                repair: None,
            });
        }
        Ok(())
    }

    async fn fault_of(
        &self,
        location: &Location,
        digest: &Digest,
        size: u64,
    ) -> Result<Option<Fault>, StoreError> {
        let [length] = self.store.lengths(vec![location.clone()]).await?[..] else {
            return Ok(Some(Fault::BlobMissing));
        };
        Ok(match length {
            None => Some(Fault::BlobMissing),
            Some(found) if found != size => Some(Fault::BlobLength { found }),
            Some(_) => match self.hash(location, digest, size).await {
                Ok(hashed) if hashed == *digest => None,
                // It ended in the middle: its bytes are not there.
                Ok(_) | Err(StoreError::Lost { .. }) => Some(Fault::BlobDamaged),
                Err(StoreError::Io { .. }) => Some(Fault::BlobUnreadable),
                Err(error) => return Err(error),
            },
        })
    }

    /// The digest of an object's bytes.
    async fn hash(
        &self,
        location: &Location,
        like: &Digest,
        size: u64,
    ) -> Result<Digest, StoreError> {
        let mut hasher = Hasher::new(like.algorithm());
        match self.store.open(location, size, 0..size).await? {
            Content::Whole(bytes) => hasher.update(&bytes),
            Content::Stream { mut stream, .. } => {
                while let Some(piece) = stream.next().await {
                    let Ok(piece) = piece else {
                        return Err(StoreError::Lost { location: location.clone() });
                    };
                    let done = spawn_blocking(move || {
                        hasher.update(&piece);
                        hasher
                    });
                    hasher =
                        done.await.map_err(|_| StoreError::Lost { location: location.clone() })?;
                }
            }
        }
        Ok(hasher.finish())
    }

    async fn is_named(&self, digest: &Digest, location: &Location) -> Result<bool, UpkeepError> {
        let rows = self.db.blobs_among(std::slice::from_ref(digest)).await?;
        Ok(rows.iter().any(|row| row.location == location.as_str()))
    }

    async fn manifests_and_tags(
        &self,
        name: &RepositoryName,
        checked: &mut Checked,
    ) -> Result<(), UpkeepError> {
        let mut after = None;
        loop {
            let page = self.db.manifest_digests(name, after.as_ref(), PAGE).await?;
            for digest in &page.items {
                // One that is about to be collected stays for another grace: somebody has read it.
                let read = self.db.manifest(name, &Reference::Digest(*digest)).await?;
                let Some(manifest) = read else { continue };
                checked.manifests += 1;
                if Digest::of(digest.algorithm(), &manifest.bytes) != *digest {
                    let fault = Fault::ManifestDamaged;
                    checked.findings.push(Finding::of_row(fault, *digest, name));
                }
            }
            after = page.items.last().copied();
            if !page.more {
                break;
            }
        }
        let mut after: Option<Tag> = None;
        loop {
            let page = self.db.tagged(name, after.as_ref().map(Tag::as_str), PAGE).await?;
            let digests: Vec<Digest> = page.items.iter().map(|(_, digest)| *digest).collect();
            let there = self.db.manifests_among(name, &digests).await?;
            for (tag, digest) in &page.items {
                checked.tags += 1;
                if !there.contains(digest) {
                    let fault = Fault::TagToNothing(tag.clone());
                    checked.findings.push(Finding::of_row(fault, *digest, name));
                }
            }
            after = page.items.last().map(|(tag, _)| tag.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn objects(&self, now: SystemTime, checked: &mut Checked) -> Result<(), UpkeepError> {
        let (objects, unnamed) = crate::upkeep::unnamed(&self.db, &*self.store, now).await?;
        checked.objects = objects;
        checked.findings.extend(unnamed.into_iter().map(|object| Finding {
            fault: Fault::ObjectUnnamed,
            digest: None,
            size: Some(object.length),
            repositories: Vec::new(),
            object: Some(object.location),
            repair: None,
        }));
        Ok(())
    }
}

impl Finding {
    fn of_row(fault: Fault, digest: Digest, name: &RepositoryName) -> Self {
        let repositories = vec![name.clone()];
        Self { fault, digest: Some(digest), size: None, repositories, object: None, repair: None }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long the disk took, for as long a rest")]
fn now_for_pace() -> Instant {
    Instant::now()
}

const PAGE: usize = 100;
const LONGEST_REST: Duration = Duration::from_mins(1);
