//! Manifests that nothing keeps: no tag names them, no index holds them, and what they refer to is not here.
//!
//! ```text
//! pushed, or lost a tag, an index or its subject   a row of `orphan`, made by a trigger
//! a collection has looked                          find_orphans: since
//! old enough                                       condemn_orphans: condemned_at -> (a read clears it)
//! a grace period later                             remove_condemned
//! ```
//! Whether something keeps them is asked again at each step. Images may be in use by digest alone, so this is an
//! operator's choice, never a default.

use std::time::SystemTime;

use portpass_protocol::{Digest, RepositoryName};

use crate::{
    Announced, Db, StateError,
    garbage::{Piece, unreferenced},
    manifest::mark_suspects,
    page::capped,
    repository::RepositoryRow,
    sql::{Statement, sql},
};

/// What is old enough to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrphanAge {
    /// Nothing has kept it since before then.
    pub orphaned_before: SystemTime,
    /// It was not pulled since then, if that counts.
    pub not_pulled_since: Option<SystemTime>,
}

/// A manifest that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedManifest {
    /// From where.
    pub repository: RepositoryName,
    /// Which.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// The manifests that may be orphans and were not looked at yet, `$1` of them.
macro_rules! unseen {
    () => {
        "(SELECT rowid FROM orphan WHERE since IS NULL AND repository > 0
          ORDER BY repository, manifest LIMIT $1)"
    };
}

/// Those that are old enough: before the time `$1`, `$2` of them.
macro_rules! waiting {
    () => {
        "(SELECT rowid FROM orphan WHERE condemned_at IS NULL AND since < $1
          ORDER BY since LIMIT $2)"
    };
}

/// Whether nothing keeps the manifest of a row of `orphan`.
macro_rules! unkept {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM manifest WHERE manifest.repository = orphan.repository
                 AND manifest.digest = orphan.manifest AND ",
            unreferenced!(),
            ")"
        )
    };
}

impl Db {
    /// Dates what nothing keeps from `now` on, and forgets what something does; at most `limit`.
    pub async fn find_orphans(&self, now: SystemTime, limit: usize) -> Result<Piece, StateError> {
        let mut write = self.write_long().await?;
        let statement =
            sql(concat!("DELETE FROM orphan WHERE rowid IN ", unseen!(), " AND NOT ", unkept!()));
        let kept = write.run(statement.bind(capped(limit))).await?;
        let statement = sql(concat!(
            "UPDATE orphan SET since = $2 WHERE rowid IN ",
            unseen!(),
            " AND ",
            unkept!()
        ));
        let unkept = write.run(statement.bind(capped(limit)).bind(now)).await?;
        write.commit().await?;
        Ok(Piece { seen: kept + unkept, unkept })
    }

    /// Condemns those that are old enough, at most `limit`. Asking for one by its digest takes that back.
    ///
    /// Those that were pulled too lately wait for as long again as the last pull is too late.
    pub async fn condemn_orphans(
        &self,
        age: OrphanAge,
        now: SystemTime,
        limit: usize,
    ) -> Result<Piece, StateError> {
        let mut write = self.write_to_any().await?;
        let bound = |statement: Statement| statement.bind(age.orphaned_before).bind(capped(limit));
        let statement =
            sql(concat!("DELETE FROM orphan WHERE rowid IN ", waiting!(), " AND NOT ", unkept!()));
        let kept = write.run(bound(statement)).await?;
        let mut pulled = 0;
        if let Some(since) = age.not_pulled_since {
            // Its time begins with the pull, so that the next collection does not look at it again.
            let statement = sql(concat!(
                "UPDATE orphan SET since = MAX(since, (SELECT p.pulled_at FROM manifest_pull p
                     WHERE p.repository = orphan.repository AND p.manifest = orphan.manifest)
                     + $1 - $3)
                 WHERE rowid IN ",
                waiting!(),
                " AND EXISTS (SELECT 1 FROM manifest_pull p WHERE p.repository = orphan.repository
                     AND p.manifest = orphan.manifest AND p.pulled_at >= $3)"
            ));
            pulled = write.run(bound(statement).bind(since)).await?;
        }
        let statement = sql(concat!(
            "UPDATE orphan SET condemned_at = $3 WHERE rowid IN ",
            waiting!(),
            " AND ",
            unkept!()
        ));
        let unkept = write.run(bound(statement).bind(now)).await?;
        write.commit().await?;
        Ok(Piece { seen: kept + pulled + unkept, unkept })
    }

    /// Removes manifests that have been condemned since before `before`, at most `limit`, in one transaction; says
    /// which, and how many were looked at.
    pub async fn remove_condemned(
        &self,
        before: SystemTime,
        limit: usize,
    ) -> Result<(Piece, Vec<RemovedManifest>), StateError> {
        let mut write = self.write_to_any().await?;
        let statement = sql("SELECT o.repository, o.manifest, r.name, m.size FROM orphan o
             JOIN repository r ON r.id = o.repository
             JOIN manifest m ON m.repository = o.repository AND m.digest = o.manifest
             WHERE o.condemned_at < $1 ORDER BY o.condemned_at LIMIT $2");
        let rows = write.all(statement.bind(before).bind(capped(limit))).await?;
        let mut removed = Vec::with_capacity(rows.len());
        for row in &rows {
            let (repository, digest) =
                (RepositoryRow(row.integer("repository")?), row.digest("manifest")?);
            mark_suspects(repository, &digest, &mut write).await?;
            let statement = sql(concat!(
                "DELETE FROM manifest WHERE repository = $1 AND digest = $2 AND ",
                unreferenced!()
            ));
            if write.run(statement.bind(repository).bind(&digest)).await? > 0 {
                let repository = row.parsed("name")?;
                let announced = Announced::ManifestDeleted { digest: &digest, tags: &[] };
                self.announce(&repository, announced, &mut write).await?;
                removed.push(RemovedManifest { repository, digest, size: row.count("size")? });
                continue;
            }
            let statement = sql("DELETE FROM orphan WHERE repository = $1 AND manifest = $2");
            write.run(statement.bind(repository).bind(&digest)).await?;
        }
        write.commit().await?;
        let piece = Piece { seen: rows.len() as u64, unkept: removed.len() as u64 };
        Ok((piece, removed))
    }

    /// Takes back that a manifest was condemned, for somebody asks for it.
    pub(crate) async fn reprieve(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), StateError> {
        let statement = sql("UPDATE orphan SET condemned_at = NULL WHERE manifest = $2
             AND repository = (SELECT id FROM repository WHERE name = $1)");
        self.change(statement.bind(repository.as_str()).bind(digest)).await?;
        Ok(())
    }
}
