//! A backup that a server can start from, taken while one runs.
//!
//! ```text
//! FOLDER/portpass.backup  whose backup this is: without it nothing here is touched
//!        portpass.db.new  1  the database as it is at one moment
//!        seal.key, …      2  what a start needs beside it
//!        blobs/           3  the objects that it names: those that are there already stay as they are
//!        portpass.db      4  the snapshot in its place, in one step; everything before it is on the disk
//!                         5  objects that it does not name go
//! ```
//! Why in this order. An object is on the disk before its row is committed, so all that the snapshot names
//! is there when it is taken. As long as a backup runs, no collection removes an object: it says so in the
//! database before, and again and again. The copies are therefore found, however much is pushed and deleted
//! meanwhile. And as the snapshot takes its place after the objects that it names, and before others go, whatever breaks off leaves
//! either the old backup or the new one.
//!
//! Uploads under way are in no backup; nobody was told that they are kept.

mod folder;

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use portpass_config::Signing;
use portpass_protocol::{Digest, RepositoryName};
use portpass_state::{CopyError, Db, HeldBlob, StateError};
use portpass_storage::{Location, Replica, ReplicaError, Taken};
use serde::Serialize;

use self::folder::Folder;
use super::Installation;
use crate::{blocking, data_directory::DataDirectoryError};

/// What a backup did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupSummary {
    /// Where it lies.
    pub folder: PathBuf,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Blobs that were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Blobs that an earlier backup had copied.
    pub already: u64,
    /// Blobs of earlier backups that nothing names any more.
    pub removed: u64,
}

/// A blob that cannot be backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableBlob {
    /// Which.
    pub digest: Digest,
    /// Whether there is anything at all.
    pub damaged: bool,
    /// Who holds it.
    pub repositories: Vec<RepositoryName>,
}

impl Installation {
    /// Puts a backup of this installation into `folder`, or brings the one there up to date. A server may
    /// run meanwhile. What fails leaves the backup as it was.
    pub async fn back_up(&self, folder: &Path) -> Result<BackupSummary, BackupError> {
        let folder = self.backup_folder(folder).await?;
        let mut done = BackupSummary {
            folder: folder.path().to_path_buf(),
            database_bytes: 0,
            copied: 0,
            copied_bytes: 0,
            already: 0,
            removed: 0,
        };
        self.keep_objects().await;
        let snapshot = self.snapshot(&folder).await?;
        let outcome = self.fill(&folder, &snapshot, &mut done);
        let outcome = tokio::select! {
            outcome = outcome => outcome,
            never = self.go_on_keeping_objects() => match never {},
        };
        // Its last change goes into the file itself, whatever comes next.
        snapshot.close().await;
        let replica = outcome?;
        let (folder, bytes) = blocking(move || folder.put_in_place()).await?;
        done.database_bytes = bytes;
        done.removed = blocking(move || replica.prune()).await?;
        drop(folder);
        Ok(done)
    }

    /// Lets no collection remove an object for a while. A disk that is full can be backed up all the same: if an object
    /// goes that the backup needs, it notices.
    async fn keep_objects(&self) {
        if let Err(error) = self.db.keep_objects_until(self.now() + KEPT).await {
            tracing::warn!("the garbage collection does not wait for this backup: {error}");
        }
    }

    async fn go_on_keeping_objects(&self) -> Infallible {
        loop {
            tokio::time::sleep(KEPT / 4).await;
            self.keep_objects().await;
        }
    }

    /// The folder, ours until it is dropped.
    async fn backup_folder(&self, folder: &Path) -> Result<Folder, BackupError> {
        let fresh = format!("{:032x}", u128::from_be_bytes(self.random_id()));
        let installation = self.db.installation(&fresh).await?;
        let (folder, places) = (folder.to_path_buf(), [self.config.data.clone(), self.blobs()]);
        blocking(move || Folder::open(&folder, &places, &installation)).await
    }

    /// The database as it is now, in a file that nothing reads yet.
    async fn snapshot(&self, folder: &Folder) -> Result<Db, BackupError> {
        let path = folder.prepare_snapshot()?;
        self.db.copy_to(&path).await?;
        let snapshot = Db::open(&path).await?;
        snapshot.remove_instance_meta().await?;
        Ok(snapshot)
    }

    /// Copies all that the snapshot needs beside it.
    async fn fill(
        &self,
        folder: &Folder,
        snapshot: &Db,
        done: &mut BackupSummary,
    ) -> Result<Replica, BackupError> {
        let sealed = !snapshot.key_ring().await?.keys.is_empty()
            && self
                .config
                .token_service
                .as_ref()
                .is_none_or(|service| matches!(service.signing, Signing::Ring(_)));
        folder.copy_files(&self.config.data, sealed)?;
        let (from, to) = (self.blobs(), folder.blobs());
        let new = blocking(move || Replica::new(from, to)).await;
        let mut replica = new?;
        let mut after = None;
        let mut missed = Vec::new();
        loop {
            let page = snapshot.held_blobs(after.as_ref(), PAGE).await?;
            let Some(blob) = page.last() else { break };
            after = Some(blob.digest);
            let outcomes;
            (replica, outcomes) = blocking(move || take(replica, page)).await?;
            missed.extend(done.count(outcomes));
        }
        if !missed.is_empty() {
            return Err(lost(missed, snapshot).await?);
        }
        let settled = blocking(move || replica.settle().map(|()| replica)).await;
        Ok(settled?)
    }

    fn blobs(&self) -> PathBuf {
        match &self.config.registry {
            Some(registry) => registry.blobs.clone(),
            None => self.config.data.join(folder::BLOBS),
        }
    }
}

type Outcomes = Vec<(HeldBlob, Taken)>;

fn take(mut replica: Replica, page: Vec<HeldBlob>) -> Result<(Replica, Outcomes), BackupError> {
    let mut outcomes = Vec::with_capacity(page.len());
    for blob in page {
        let location = Location::from(blob.location.clone());
        let taken = replica.take(&location, &blob.digest, blob.size)?;
        outcomes.push((blob, taken));
    }
    Ok((replica, outcomes))
}

impl BackupSummary {
    /// Counts what was copied; gives what could not be.
    fn count(&mut self, outcomes: Outcomes) -> Outcomes {
        let mut missed = Vec::new();
        for (blob, taken) in outcomes {
            match taken {
                Taken::Already => self.already += 1,
                Taken::Copied => {
                    self.copied += 1;
                    self.copied_bytes += blob.size;
                }
                Taken::Missing | Taken::Damaged => missed.push((blob, taken)),
            }
        }
        missed
    }
}

/// Asks who holds the blobs that could not be copied.
async fn lost(missed: Outcomes, snapshot: &Db) -> Result<BackupError, BackupError> {
    let mut lost = Vec::with_capacity(missed.len());
    for (HeldBlob { digest, .. }, taken) in missed {
        let repositories = snapshot.holders(&digest).await?;
        lost.push(UnreadableBlob { digest, damaged: taken == Taken::Damaged, repositories });
    }
    Ok(BackupError::UnreadableBlobs { lost })
}

/// Why there is no new backup. The one that was there is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Backup and installation would be in each other's way.
    #[error("{} and {} are one inside the other: put the backup elsewhere, on another disk if there is one", folder.display(), place.display())]
    Nested {
        /// Where the backup should be.
        folder: PathBuf,
        /// What is to be backed up.
        place: PathBuf,
    },
    /// Other files lie there.
    #[error("{} is not a backup, and contains `{found}`: name an empty folder or a new one", folder.display())]
    NotEmpty {
        /// Where the backup should be.
        folder: PathBuf,
        /// What lies there.
        found: String,
    },
    /// Somebody else could change what is written there.
    #[error(
        "others can write to {} (mode {mode:o}, user {owner}): `chmod go-w` it and `chown` it to the user who \
         makes the backup, or name a new folder in it",
        folder.display()
    )]
    WritableByOthers {
        /// Where the backup should be.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// The backup of another installation, or of a program that writes others.
    #[error("{} is not a backup of this installation ({why}): name another folder", folder.display())]
    OtherBackup {
        /// Where the backup should be.
        folder: PathBuf,
        /// How that can be seen.
        why: &'static str,
    },
    /// The key of the private keys is gone.
    #[error("{} is missing, and the database holds keys that it sealed: no server could start from this", path.display())]
    SealKeyGone {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something else is done there.
    #[error("process {holder} uses {} at the moment", folder.display())]
    Busy {
        /// Where the backup should be.
        folder: PathBuf,
        /// The other's process number.
        holder: String,
    },
    /// Blobs that are not as they should be.
    #[error(
        "{} of the installation cannot be copied, and the backup stays as it was:{}",
        count(lost),
        list(lost)
    )]
    UnreadableBlobs {
        /// Which.
        lost: Vec<UnreadableBlob>,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(DataDirectoryError),
    /// A file.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The copy of the database.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The blobs.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
}

impl BackupError {
    /// What may help.
    pub(super) fn hints(&self) -> Vec<String> {
        match self {
            Self::UnreadableBlobs { .. } => vec![
                "nobody can pull images with these blobs: delete them (`DELETE /v2/NAME/blobs/DIGEST` in each \
                 repository named) or put their files back; then make the backup again"
                    .to_owned(),
            ],
            Self::Copy(_) | Self::File { .. } | Self::Replica(_) => vec![
                "the earlier backup is unchanged; the next run does not copy the same blobs again".to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

fn count(lost: &[UnreadableBlob]) -> String {
    if let [_] = lost { "one blob".to_owned() } else { format!("{} blobs", lost.len()) }
}

fn list(lost: &[UnreadableBlob]) -> String {
    let line = |lost: &UnreadableBlob| {
        let names: Vec<&str> = lost.repositories.iter().map(RepositoryName::as_str).collect();
        let state = if lost.damaged { "damaged" } else { "missing" };
        format!("\n  {} is {state}; it is in {}", lost.digest, names.join(", "))
    };
    lost.iter().map(line).collect()
}

/// A backup that is killed holds collections up for so long.
const KEPT: Duration = Duration::from_mins(4);

const PAGE: usize = 500;
