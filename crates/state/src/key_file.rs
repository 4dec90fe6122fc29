//! Which certificates of keys from files have signed tokens that may still live. A pair of files holds one key
//! at a time, and a restart must not forget the one before it.

use std::time::SystemTime;

use crate::{
    AuditRecord, Db, StateError,
    audit::append,
    sql::{Row, sql},
};

/// A key from files, as far as everybody may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFileRow {
    /// Its certificate, DER: one key may have had several.
    pub certificate: Vec<u8>,
    /// Its key id.
    pub id: String,
    /// The name of its algorithm, as in a JWS header.
    pub algorithm: String,
    /// When its last token ends; absent while it signs.
    pub until: Option<SystemTime>,
}

impl Db {
    /// All of them, those first that end first; those that sign come last.
    pub async fn key_files(&self) -> Result<Vec<KeyFileRow>, StateError> {
        let statement = sql("SELECT * FROM key_file ORDER BY until NULLS LAST");
        self.read().all(statement).await?.iter().map(KeyFileRow::read).collect()
    }

    /// Notes that these keys sign from now on, and that those that did are needed until `until`; forgets those
    /// that nobody needs at `now`.
    pub async fn replace_key_files(
        &self,
        signing: &[KeyFileRow],
        until: SystemTime,
        now: SystemTime,
        audit: &[AuditRecord],
    ) -> Result<(), StateError> {
        let mut write = self.write().await?;
        write.run(sql("DELETE FROM key_file WHERE until < $1").bind(now)).await?;
        let retire = sql("UPDATE key_file SET until = $1 WHERE until IS NULL");
        write.run(retire.bind(until)).await?;
        for row in signing {
            let statement = sql("INSERT INTO key_file (certificate, id, algorithm, until)
                 VALUES ($1, $2, $3, NULL)
                 ON CONFLICT (certificate) DO UPDATE SET until = NULL")
            .bind(row.certificate.as_slice())
            .bind(row.id.as_str())
            .bind(row.algorithm.as_str());
            write.run(statement).await?;
        }
        append(audit, &mut write).await?;
        write.commit().await
    }
}

impl KeyFileRow {
    fn read(row: &Row) -> Result<Self, StateError> {
        Ok(Self {
            certificate: row.bytes("certificate")?,
            id: row.text("id")?,
            algorithm: row.text("algorithm")?,
            until: row.optional_time("until")?,
        })
    }
}
