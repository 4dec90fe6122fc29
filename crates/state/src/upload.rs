//! Upload sessions: what has arrived, who may write, and which version a writer saw.

use std::time::SystemTime;

use portpass_protocol::RepositoryName;

use crate::{
    Db, LeaseOwner, StateError, UploadId,
    page::capped,
    sql::{Row, Statement, sql},
    writer::Write,
};

/// A session to be opened.
#[derive(Debug, Clone, Copy)]
pub struct NewUpload<'a> {
    /// Fresh.
    pub id: UploadId,
    /// Where to; need not exist.
    pub repository: &'a RepositoryName,
    /// With whose it counts: the name that the request was let in under, or a network of callers without one.
    pub account: &'a str,
    /// Opaque here: what the store needs to go on.
    pub progress: &'a [u8],
}

/// Whether a session was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "there may be no such session"]
pub enum Begun {
    /// It was.
    Begun,
    /// The account has [`Db::UNFINISHED_UPLOADS`] already; nothing was changed.
    TooMany,
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
    /// Sessions that one account may have open at a time.
    pub const UNFINISHED_UPLOADS: usize = 1_000;

    /// Opens a session, not leased.
    pub async fn begin_upload(
        &self,
        upload: &NewUpload<'_>,
        now: SystemTime,
    ) -> Result<Begun, StateError> {
        let mut write = self.write().await?;
        let last = sql("SELECT id FROM upload WHERE account = $1 LIMIT 1 OFFSET $2");
        let last = last.bind(upload.account).bind(Self::UNFINISHED_UPLOADS - 1);
        if write.first(last).await?.is_some() {
            write.roll_back().await?;
            return Ok(Begun::TooMany);
        }
        let statement = sql("INSERT INTO upload
                 (id, repository, account, progress, version, started_at, updated_at)
             VALUES ($1, $2, $3, $4, 1, $5, $5)")
        .bind(upload.id)
        .bind(upload.repository.as_str())
        .bind(upload.account)
        .bind(upload.progress)
        .bind(now);
        write.run(statement).await?;
        write.commit().await?;
        Ok(Begun::Begun)
    }

    /// The session, if it belongs to the repository.
    pub async fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Upload>, StateError> {
        let row = self.read().first(select(repository, id)).await?;
        row.map(|row| Upload::read(&row)).transpose()
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
        let mut write = self.write().await?;
        let statement =
            sql("UPDATE upload SET lease_owner = $3, lease_until = $4, version = version + 1,
                 updated_at = $5
             WHERE id = $1 AND repository = $2 AND (lease_until IS NULL OR lease_until <= $5)
             RETURNING *")
            .bind(id)
            .bind(repository.as_str())
            .bind(owner)
            .bind(until)
            .bind(now);
        if let Some(row) = write.first(statement).await? {
            let upload = Upload::read(&row)?;
            let claim = UploadClaim { id, owner, version: upload.version };
            write.commit().await?;
            return Ok(Leased::Taken { upload, claim });
        }
        let row = write.first(select(repository, id)).await?;
        write.roll_back().await?;
        match row {
            Some(row) => Upload::read(&row).map(Leased::Busy),
            None => Ok(Leased::Unknown),
        }
    }

    /// Makes a lease last longer while its request is still at work. The claim stays as it is.
    pub async fn renew_upload(
        &self,
        claim: UploadClaim,
        until: SystemTime,
    ) -> Result<Saved, StateError> {
        let statement = sql("UPDATE upload SET lease_until = $4
             WHERE id = $1 AND lease_owner = $2 AND version = $3");
        match self.change(bind_claim(statement, claim).bind(until)).await? {
            0 => Ok(Saved::Lost),
            _ => Ok(Saved::Saved(claim)),
        }
    }

    /// Saves progress and keeps the lease.
    pub async fn save_upload(
        &self,
        claim: UploadClaim,
        progress: &[u8],
        now: SystemTime,
    ) -> Result<Saved, StateError> {
        let statement =
            sql("UPDATE upload SET progress = $4, updated_at = $5, version = version + 1
             WHERE id = $1 AND lease_owner = $2 AND version = $3");
        self.save(bind_claim(statement, claim).bind(progress).bind(now), claim).await
    }

    /// Saves progress and gives the lease back.
    pub async fn release_upload(
        &self,
        claim: UploadClaim,
        progress: &[u8],
        now: SystemTime,
    ) -> Result<Saved, StateError> {
        let statement =
            sql("UPDATE upload SET progress = $4, updated_at = $5, version = version + 1,
                 lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND lease_owner = $2 AND version = $3");
        self.save(bind_claim(statement, claim).bind(progress).bind(now), claim).await
    }

    /// Ends a session, even one that a request is writing to: that request finds it lost. Returns
    /// what has to be cleared away in the store.
    pub async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Upload>, StateError> {
        let statement = sql("DELETE FROM upload WHERE id = $1 AND repository = $2 RETURNING *");
        let rows = self.change_rows(statement.bind(id).bind(repository.as_str())).await?;
        rows.first().map(Upload::read).transpose()
    }

    /// Ends and returns sessions to which nothing has happened since before `before` and that no
    /// request holds, at most `limit`.
    pub async fn take_abandoned_uploads(
        &self,
        before: SystemTime,
        now: SystemTime,
        limit: usize,
    ) -> Result<Vec<Upload>, StateError> {
        let statement = sql("DELETE FROM upload WHERE id IN
                 (SELECT id FROM upload WHERE updated_at < $1
                  AND (lease_until IS NULL OR lease_until <= $2) ORDER BY updated_at LIMIT $3)
             RETURNING *");
        let statement = statement.bind(before).bind(now).bind(capped(limit));
        self.change_rows(statement).await?.iter().map(Upload::read).collect()
    }

    /// All sessions after one, by id: what a sweep of the store must leave alone.
    pub async fn uploads(
        &self,
        after: Option<UploadId>,
        limit: usize,
    ) -> Result<Vec<Upload>, StateError> {
        let statement = match after {
            None => sql("SELECT * FROM upload ORDER BY id LIMIT $1"),
            Some(id) => sql("SELECT * FROM upload WHERE id > $1 ORDER BY id LIMIT $2").bind(id),
        };
        let rows = self.read().all(statement.bind(capped(limit))).await?;
        rows.iter().map(Upload::read).collect()
    }

    async fn save(&self, statement: Statement, claim: UploadClaim) -> Result<Saved, StateError> {
        match self.change(statement).await? {
            0 => Ok(Saved::Lost),
            _ => Ok(Saved::Saved(UploadClaim { version: claim.version + 1, ..claim })),
        }
    }
}

/// Ends a session within the transaction that commits its blob; whether the claim still held.
pub(crate) async fn end(
    claim: UploadClaim,
    repository: &RepositoryName,
    write: &mut Write,
) -> Result<bool, StateError> {
    let statement = sql("DELETE FROM upload
         WHERE id = $1 AND lease_owner = $2 AND version = $3 AND repository = $4");
    Ok(write.run(bind_claim(statement, claim).bind(repository.as_str())).await? > 0)
}

fn select(repository: &RepositoryName, id: UploadId) -> Statement {
    let statement = sql("SELECT * FROM upload WHERE id = $1 AND repository = $2");
    statement.bind(id).bind(repository.as_str())
}

fn bind_claim(statement: Statement, claim: UploadClaim) -> Statement {
    statement.bind(claim.id).bind(claim.owner).bind(claim.version)
}

impl Upload {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            id: UploadId::read("id", &row.bytes("id")?)?,
            repository: row.parsed("repository")?,
            progress: row.bytes("progress")?,
            lease: Lease::read(row)?,
            version: row.count("version")?,
            started_at: row.time("started_at")?,
            updated_at: row.time("updated_at")?,
        })
    }
}

impl Lease {
    fn read(row: &Row) -> Result<Self, StateError> {
        match (row.optional_bytes("lease_owner")?, row.optional_time("lease_until")?) {
            (None, None) => Ok(Self::Free),
            (Some(owner), Some(until)) => {
                Ok(Self::Held { owner: LeaseOwner::read("lease_owner", &owner)?, until })
            }
            (Some(_), None) | (None, Some(_)) => {
                Err(StateError::inconsistent("lease_owner, lease_until", "one without the other"))
            }
        }
    }
}
