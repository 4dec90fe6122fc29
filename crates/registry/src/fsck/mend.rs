//! What can be done about what is wrong, without a word from clients.

use std::{collections::HashSet, time::SystemTime};

use futures_util::stream;
use portpass_protocol::Digest;
use portpass_state::{Change, Deletion};
use portpass_storage::{BodyStream, CommitError, Content, End, Location, Object, StoreError};

use super::{Checked, Fault, Finding, Fsck, Repair};
use crate::upkeep::UpkeepError;

impl Fsck {
    /// Repairs what was found, and notes what was done.
    ///
    /// # Errors
    /// When the database or the store fails. What was done by then is done.
    pub async fn repair(&self, checked: &mut Checked, now: SystemTime) -> Result<(), UpkeepError> {
        let of_blobs = checked.findings.iter().filter(|finding| finding.fault.is_of_blob());
        let lengths: HashSet<u64> = of_blobs.filter_map(|finding| finding.size).collect();
        let elsewhere = self.of_lengths(&lengths).await?;
        for finding in &mut checked.findings {
            finding.repair = self.mend(finding, &elsewhere, now).await?;
        }
        Ok(())
    }

    /// The objects of these lengths.
    async fn of_lengths(&self, lengths: &HashSet<u64>) -> Result<Vec<Object>, StoreError> {
        let mut found = Vec::new();
        if lengths.is_empty() {
            return Ok(found);
        }
        let mut cursor = None;
        loop {
            let listing = self.store.list(cursor).await?;
            found.extend(listing.objects.into_iter().filter(|it| lengths.contains(&it.length)));
            cursor = listing.next;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    async fn mend(
        &self,
        finding: &Finding,
        elsewhere: &[Object],
        now: SystemTime,
    ) -> Result<Option<Repair>, UpkeepError> {
        let Finding { fault, digest, size, object, repositories, .. } = finding;
        match (fault, digest, size, object) {
            (fault, Some(digest), Some(size), Some(object)) if fault.is_of_blob() => {
                if self.replace(digest, *size, object, elsewhere, now).await? {
                    return Ok(Some(Repair::Replaced));
                }
                // As long as it lies there, whoever pushes the blob is told that it is here.
                if *fault != Fault::BlobDamaged || !self.is_named(digest, object).await? {
                    return Ok(None);
                }
                self.store.set_aside(object, now).await?;
                Ok(Some(Repair::SetAside))
            }
            (Fault::ObjectUnnamed, _, _, Some(object)) => {
                self.store.set_aside(object, now).await?;
                Ok(Some(Repair::SetAside))
            }
            (Fault::TagToNothing(tag), ..) => {
                let mut repair = None;
                for name in repositories {
                    if self.db.delete_tag(name, tag).await? != Deletion::Unknown {
                        repair = Some(Repair::Removed);
                    }
                }
                Ok(repair)
            }
            _ => Ok(None),
        }
    }

    /// Gives a blob the bytes of another object, under a fresh name; whether there is one that has them.
    async fn replace(
        &self,
        digest: &Digest,
        size: u64,
        lost: &Location,
        elsewhere: &[Object],
        now: SystemTime,
    ) -> Result<bool, UpkeepError> {
        let others = elsewhere.iter().filter(|it| it.length == size && it.location != *lost);
        for other in others {
            match self.hash(&other.location, digest, size).await {
                Ok(hashed) if hashed == *digest => {}
                Ok(_) | Err(StoreError::Lost { .. } | StoreError::Io { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            if self.copy_over(digest, size, lost, &other.location, now).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn copy_over(
        &self,
        digest: &Digest,
        size: u64,
        lost: &Location,
        from: &Location,
        now: SystemTime,
    ) -> Result<bool, UpkeepError> {
        let body: BodyStream = match self.store.open(from, size, 0..size).await? {
            Content::Whole(bytes) => Box::pin(stream::iter([Ok(bytes)])),
            Content::Stream { stream, .. } => stream,
        };
        let upload = self.store.begin(digest.algorithm()).await?;
        let appended = self.store.append(upload, body).await?;
        let committed = match appended.end {
            End::Complete => self.store.commit(&appended.upload, digest).await,
            End::Broken(_) => {
                return Ok(self.store.discard(appended.upload, None).await.map(|()| false)?);
            }
        };
        let committed = match committed {
            Ok(committed) => committed,
            Err(CommitError::Store(error)) => return Err(error.into()),
            // It is no more what it was a moment ago.
            Err(CommitError::Mismatch { .. }) => return Ok(false),
        };
        let fresh = committed.location.as_str();
        self.db.reserve_locations(&[fresh], now).await?;
        let change = self.db.replace_lost(digest, lost.as_str(), fresh, size, now).await?;
        self.store.discard(committed.rest, None).await?;
        // Where the row names another object by now, the copy is garbage, and goes.
        Ok(change == Change::Done)
    }
}
