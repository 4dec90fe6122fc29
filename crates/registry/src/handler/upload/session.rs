//! One request's hold on an upload session.

use std::{pin::pin, time::Duration};

use axum::body::Body;
use futures_util::StreamExt as _;
use portpass_protocol::{Digest, RepositoryName};
use portpass_state::{LeaseOwner, Leased, Saved, UploadClaim, UploadId};
use portpass_storage::{Appended, End, Upload as Progress};
use tokio::{sync::oneshot, time};

use super::{
    announced::Announced,
    record::{Recorded, record_blob},
};
use crate::{error::Error, handler, registry::Registry};

/// A session that this request alone writes to, until it lets go of it.
///
/// What is written lies behind what the row counts, or elsewhere, and counts only once the row says
/// so; the row is saved by comparing versions. So a request that lost its session, to another or to a
/// cancellation, has changed nothing.
#[derive(Debug)]
pub(super) struct Session {
    registry: Registry,
    name: RepositoryName,
    claim: UploadClaim,
    before: Progress,
}

impl Session {
    /// Takes the session, before a byte of the body is read.
    ///
    /// # Errors
    /// [`Error::UploadOffset`] while another request writes to it, [`Error::UploadUnknown`].
    pub(super) async fn lease(
        registry: Registry,
        name: RepositoryName,
        id: UploadId,
    ) -> Result<Self, Error> {
        let (owner, now) = (LeaseOwner::from_random(registry.draw()), registry.now());
        match registry.db().lease_upload(&name, id, owner, now + LEASE, now).await? {
            Leased::Taken { upload, claim } => {
                let before = Progress::from_bytes(&upload.progress)?;
                Ok(Self { registry, name, claim, before })
            }
            Leased::Busy(upload) => {
                let length = Progress::from_bytes(&upload.progress)?.length();
                let reason = "another request is writing to it".to_owned();
                Err(Error::UploadOffset { name, id, length, reason })
            }
            Leased::Unknown => Err(Error::UploadUnknown { name, id }),
        }
    }

    /// The same, hashed for `digest`. What has arrived is read for that once, however many wrong digests are sent: the
    /// session remembers what it hashes to.
    ///
    /// # Errors
    /// When the store fails. The session is as it was.
    pub(super) async fn hashed_for(mut self, digest: &Digest) -> Result<Self, Error> {
        let (store, before) = (self.registry.store().clone(), self.before.clone());
        let algorithm = digest.algorithm();
        if before.is_hashed_with(algorithm) {
            return Ok(self);
        }
        let hashing = async move { store.hashed_with(before, algorithm).await };
        match self.holding(hashing, None).await {
            Ok(before) => Ok(Self { before, ..self }),
            Err(error) => Err(self.restore(error.into()).await),
        }
    }

    /// Writes a body behind what has arrived. A body that breaks off is no error here.
    ///
    /// # Errors
    /// When nothing of the body is kept.
    pub(super) async fn receive(
        &mut self,
        announced: Announced,
        body: Body,
    ) -> Result<Appended, Error> {
        announced.follows(&self.name, self.claim.id, self.before.length())?;
        let (still_ours, lost) = oneshot::channel::<()>();
        let body = Box::pin(handler::stream(body).take_until(lost));
        let (store, before) = (self.registry.store().clone(), self.before.clone());
        let append = async move { store.append(before, body).await };
        let appended = self.holding(append, Some(still_ours)).await?;
        match appended.end {
            End::Broken(_) => Ok(appended),
            End::Complete => {
                let received = appended.upload.length() - self.before.length();
                match announced.holds(received) {
                    Ok(()) => Ok(appended),
                    Err(error) => {
                        self.forget(appended.upload).await?;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Makes the session a blob and ends it; or leaves it as it was before this request.
    pub(super) async fn finish(mut self, upload: Progress, digest: &Digest) -> Result<(), Error> {
        let store = self.registry.store().clone();
        let committing = store.commit(&upload, digest);
        let committed = match self.holding(committing, None).await {
            Ok(committed) => committed,
            Err(error) => {
                self.forget(upload).await?;
                return Err(self.restore(super::commit_error(error, digest)).await);
            }
        };
        let (registry, name) = (&self.registry, &self.name);
        match record_blob(registry, name, digest, &upload, committed, Some(self.claim)).await? {
            Recorded::Stored => Ok(()),
            Recorded::SessionLost => {
                self.forget(upload).await?;
                Err(self.lost().await)
            }
        }
    }

    /// Saves how far the upload is, and lets go of it.
    pub(super) async fn release(self, progress: Progress) -> Result<(), Error> {
        let (db, now) = (self.registry.db(), self.registry.now());
        match db.release_upload(self.claim, &progress.to_bytes(), now).await? {
            Saved::Saved(_) => Ok(()),
            Saved::Lost => {
                self.forget(progress).await?;
                Err(self.lost().await)
            }
        }
    }

    /// Lets go of the session as it was, because of an error; says what to answer.
    pub(super) async fn restore(self, error: Error) -> Error {
        let before = self.before.clone();
        self.release(before).await.err().unwrap_or(error)
    }

    /// Removes what this request wrote.
    async fn forget(&self, progress: Progress) -> Result<(), Error> {
        Ok(self.registry.store().discard(progress, Some(&self.before)).await?)
    }

    /// What to tell a client whose session is no longer its own.
    async fn lost(&self) -> Error {
        match super::find(&self.registry, &self.name, self.claim.id).await {
            Ok(upload) => Error::UploadOffset {
                name: self.name.clone(),
                id: self.claim.id,
                length: upload.length(),
                reason: "another request has taken it over".to_owned(),
            },
            Err(error) => error,
        }
    }

    /// Waits for `work` and keeps the lease while it takes. If the lease is lost, what waits for
    /// `still_ours` learns of it.
    async fn holding<T>(
        &mut self,
        work: impl Future<Output = T>,
        mut still_ours: Option<oneshot::Sender<()>>,
    ) -> T {
        let mut work = pin!(work);
        let mut renewal = time::interval(RENEWAL);
        renewal.reset();
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = renewal.tick() => {
                    if self.renew().await == Renewal::Lost {
                        drop(still_ours.take());
                    }
                }
            }
        }
    }

    async fn renew(&mut self) -> Renewal {
        let until = self.registry.now() + LEASE;
        match self.registry.db().renew_upload(self.claim, until).await {
            Ok(Saved::Saved(claim)) => {
                self.claim = claim;
                Renewal::Held
            }
            Ok(Saved::Lost) => Renewal::Lost,
            Err(error) => {
                // Whether it is still ours is seen when progress is saved.
                tracing::warn!(upload = %self.claim.id, %error, "the lease of an upload is not renewed");
                Renewal::Held
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    Held,
    Lost,
}

/// How long a session stays ours without a sign of life: as long as it is blocked when a process
/// dies.
const LEASE: Duration = Duration::from_mins(1);
const RENEWAL: Duration = Duration::from_secs(20);
