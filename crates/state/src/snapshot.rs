//! A copy of the database as it is at one moment, for a backup.

use std::path::{Path, PathBuf};

use portpass_protocol::{Digest, RepositoryName};

use crate::{
    Db, StateError,
    page::capped,
    sql::{Row, Value, sql},
};

/// A blob that at least one repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBlob {
    /// What its bytes are.
    pub digest: Digest,
    /// Where its object lies; the store knows what it means.
    pub location: String,
    /// Length in bytes.
    pub size: u64,
}

impl Db {
    /// Writes the database as it is at this moment into the file at `path`, which must be empty or not there.
    /// Other processes read and write meanwhile. Nothing is synced.
    ///
    /// # Errors
    /// When the database cannot be read, or the file cannot be written.
    pub async fn copy_to(&self, path: &Path) -> Result<(), CopyError> {
        let failed = |why: String| CopyError { path: path.to_owned(), why };
        let name = path.to_str().ok_or_else(|| failed("its name is no text".to_owned()))?;
        // A connection that may not write may not write to other files either.
        match self.outside().run(sql("VACUUM INTO $1").bind(name)).await {
            Ok(_) => Ok(()),
            Err(StateError::Unavailable(error)) => Err(failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Leaves in a copy only what its blobs are needed for: uploads under way, garbage, and blobs that no
    /// repository holds go. A blob without a holder must not stay without its object: whoever pushes it
    /// again would be told that it is there.
    pub async fn forget_what_no_copy_has(&self) -> Result<(), StateError> {
        let mut write = self.write().await?;
        for statement in [
            sql("DELETE FROM upload"),
            sql("DELETE FROM garbage"),
            sql("DELETE FROM blob WHERE NOT EXISTS
                     (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)"),
        ] {
            write.run(statement).await?;
        }
        write.commit().await
    }

    /// The blobs that repositories hold, by digest, from behind `after`.
    pub async fn held_blobs(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<HeldBlob>, StateError> {
        let statement = sql("SELECT digest, location, size FROM blob WHERE digest > $1
             AND EXISTS (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest)
             ORDER BY digest LIMIT $2");
        let after = after.map_or_else(|| Value::from(&b""[..]), Value::from);
        let rows = self.read().all(statement.bind(after).bind(capped(limit))).await?;
        let read = |row: &Row| {
            Ok(HeldBlob {
                digest: row.digest("digest")?,
                location: row.text("location")?,
                size: row.count("size")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The repositories that hold a blob, by name.
    pub async fn holders(&self, digest: &Digest) -> Result<Vec<RepositoryName>, StateError> {
        let statement =
            sql("SELECT r.name FROM repository_blob b JOIN repository r ON r.id = b.repository
             WHERE b.digest = $1 ORDER BY r.name");
        let rows = self.read().all(statement.bind(digest)).await?;
        rows.iter().map(|row| row.parsed("name")).collect()
    }
}

/// A copy that could not be written: the file's disk, or the database, does not let us.
#[derive(Debug, thiserror::Error)]
#[error("cannot copy the database to {}: {why}", path.display())]
pub struct CopyError {
    /// The file.
    path: PathBuf,
    /// What SQLite said.
    why: String,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{BlobCommit, Change, Committed, NewUpload, UploadId};

    #[tokio::test]
    async fn a_copy_has_all_of_one_moment_and_nothing_of_what_came_later() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("state.db")).await.unwrap();
        let [early, late] = [b"early", b"later"].map(|bytes| Digest::sha256(bytes));
        hold(&db, "a", &early).await;
        let copy = folder.path().join("copy.db");
        db.copy_to(&copy).await.unwrap();
        hold(&db, "a", &late).await;

        let copy = Db::open(&copy).await.unwrap();
        let held = copy.held_blobs(None, 10).await.unwrap();
        assert_eq!(held.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [early]);
        assert_eq!(db.held_blobs(None, 10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_copy_names_no_object_that_it_does_not_need() {
        let db = Db::in_memory().await.unwrap();
        let [kept, let_go] = [b"a", b"b"].map(|bytes| Digest::sha256(bytes));
        hold(&db, "a", &kept).await;
        hold(&db, "b", &kept).await;
        hold(&db, "a", &let_go).await;
        assert_eq!(db.delete_blob(&name("a"), &let_go, NOW).await.unwrap(), Change::Done);
        let upload = NewUpload {
            id: UploadId::from_random([1; 16]),
            repository: &name("a"),
            progress: b"{}",
        };
        db.begin_upload(&upload, NOW).await.unwrap();

        db.forget_what_no_copy_has().await.unwrap();
        assert!(db.uploads(None, 10).await.unwrap().is_empty());
        let later = NOW + Duration::from_hours(9);
        assert!(db.unreferenced_blobs(later, 10).await.unwrap().is_empty());
        assert_eq!(db.holders(&kept).await.unwrap(), [name("a"), name("b")]);
        assert!(db.holders(&let_go).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn held_blobs_come_page_by_page() {
        let db = Db::in_memory().await.unwrap();
        for number in 0..5_u8 {
            hold(&db, "a", &Digest::sha256(&[number])).await;
        }
        let (mut after, mut seen) = (None, 0);
        loop {
            let page = db.held_blobs(after.as_ref(), 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.digest);
            seen += page.len();
        }
        assert_eq!(seen, 5);
    }

    #[tokio::test]
    async fn a_copy_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("state.db")).await.unwrap();
        let there = folder.path().join("there");
        std::fs::write(&there, "something").unwrap();
        for path in [there, folder.path().join("none/copy.db")] {
            let error = db.copy_to(&path).await.unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    async fn hold(db: &Db, repository: &str, digest: &Digest) {
        let commit = BlobCommit {
            repository: &name(repository),
            digest,
            location: &digest.hex(),
            size: 1,
            media_type: "application/octet-stream",
            upload: None,
        };
        assert_eq!(db.commit_blob(&commit, NOW).await.unwrap(), Committed::Stored);
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
}
