//! Upload sessions: what has arrived, who may write, and which version a writer saw.

use std::time::SystemTime;

use portpass_protocol::RepositoryName;

use crate::{Db, LeaseOwner, StateError, UploadId};

/// A session to be opened.
#[derive(Debug, Clone, Copy)]
pub struct NewUpload<'a> {
    /// Fresh.
    pub id: UploadId,
    /// Where to; need not exist.
    pub repository: &'a RepositoryName,
    /// Opaque here: what the store needs to go on.
    pub progress: &'a [u8],
}

/// A session's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Which session.
    pub id: UploadId,
    /// Where to.
    pub repository: RepositoryName,
    /// Opaque here.
    pub progress: Vec<u8>,
    /// Who may write.
    pub lease: Lease,
    /// Grows with each lease and each saved progress.
    pub version: u64,
    /// When it was opened.
    pub started_at: SystemTime,
    /// When something last happened to it.
    pub updated_at: SystemTime,
}

/// Who may write to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Whoever leases it.
    Free,
    /// One request; after `until` anybody again.
    Held {
        /// Which request.
        owner: LeaseOwner,
        /// Until when.
        until: SystemTime,
    },
}

/// What a writer has to show: its lease and the version it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadClaim {
    /// Which session.
    pub id: UploadId,
    /// Who holds the lease.
    pub owner: LeaseOwner,
    /// The version that [`Db::lease_upload`] or [`Db::save_upload`] gave last.
    pub version: u64,
}

/// Whether a session was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "another request may hold the session"]
pub enum Leased {
    /// It was, with this content.
    Taken {
        /// The row as it is now.
        upload: Upload,
        /// What to show when saving or committing.
        claim: UploadClaim,
    },
    /// Another request holds it; nothing was changed (416 with the true offset).
    Busy(Upload),
    /// There is no such session in this repository.
    Unknown,
}

/// Whether progress was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the session may be another's by now"]
pub enum Saved {
    /// It was.
    Saved(UploadClaim),
    /// The session is another's by now, or gone; nothing was changed.
    Lost,
}

impl Db {
    /// Opens a session, not leased.
    pub async fn begin_upload(
        &self,
        upload: &NewUpload<'_>,
        now: SystemTime,
    ) -> Result<(), StateError> {
        todo!("{upload:?} {now:?}")
    }

    /// The session, if it belongs to the repository.
    pub async fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Upload>, StateError> {
        todo!("{repository} {id}")
    }

    /// Takes the session for one request, before the first byte of its body is read: to append, or
    /// to finish ([`Db::commit_blob`] with the claim ends the session).
    pub async fn lease_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        owner: LeaseOwner,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<Leased, StateError> {
        todo!("{repository} {id} {owner} {until:?} {now:?}")
    }

    /// Makes a lease last longer while its request is still at work.
    pub async fn renew_upload(
        &self,
        claim: UploadClaim,
        until: SystemTime,
    ) -> Result<Saved, StateError> {
        todo!("{claim:?} {until:?}")
    }

    /// Saves progress and keeps the lease.
    pub async fn save_upload(
        &self,
        claim: UploadClaim,
        progress: &[u8],
        now: SystemTime,
    ) -> Result<Saved, StateError> {
        todo!("{claim:?} {progress:?} {now:?}")
    }

    /// Saves progress and gives the lease back.
    pub async fn release_upload(
        &self,
        claim: UploadClaim,
        progress: &[u8],
        now: SystemTime,
    ) -> Result<Saved, StateError> {
        todo!("{claim:?} {progress:?} {now:?}")
    }

    /// Ends a session, even one that a request is writing to: that request finds it lost. Returns
    /// what has to be cleared away in the store.
    pub async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Upload>, StateError> {
        todo!("{repository} {id}")
    }

    /// Ends and returns sessions to which nothing has happened since before `before` and that no
    /// request holds, at most `limit`.
    pub async fn take_abandoned_uploads(
        &self,
        before: SystemTime,
        now: SystemTime,
        limit: usize,
    ) -> Result<Vec<Upload>, StateError> {
        todo!("{before:?} {now:?} {limit}")
    }

    /// All sessions after one, by id: what a sweep of the store must leave alone.
    pub async fn uploads(
        &self,
        after: Option<UploadId>,
        limit: usize,
    ) -> Result<Vec<Upload>, StateError> {
        todo!("{after:?} {limit}")
    }
}
