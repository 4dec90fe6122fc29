//! The rows of the key ring, read and replaced as a whole under one version.

use std::time::SystemTime;

use crate::{
    AuditRecord, Db, StateError,
    audit::append,
    meta::{Counter, Raised},
    sql::{Row, Statement, sql},
};

/// One key: its certificate and its sealed private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its key id, unique in the ring.
    pub id: String,
    /// What it is for, and where in its life it is.
    pub role: KeyRole,
    /// The name of its algorithm, as in a JWS header.
    pub algorithm: String,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its private key, sealed by the caller: never a plain key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: SystemTime,
}

/// What a key of the ring is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// Signs certificates of leaves.
    Root,
    /// Signs tokens.
    Leaf(KeyPhase),
}

/// Where in its life a signing key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPhase {
    /// Published, not used yet.
    Announced {
        /// When it takes over.
        signs_from: SystemTime,
    },
    /// Signs.
    Signing {
        /// Since when.
        since: SystemTime,
    },
    /// Signs no more; its last tokens are still valid.
    Retired {
        /// When it is forgotten.
        until: SystemTime,
    },
}

/// All keys, and the version that a change must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    /// Zero for the empty ring of a new database; grows with each change.
    pub version: u64,
    /// In the order they were made.
    pub keys: Vec<KeyRow>,
}

/// Whether a change of the ring took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "another process may have been first"]
pub enum Swap {
    /// It did.
    Done {
        /// The ring's version now.
        version: u64,
    },
    /// Another process changed the ring first; nothing was written: read it again.
    Lost {
        /// The ring's version now.
        version: u64,
    },
}

impl Db {
    /// The ring and its version, read together.
    pub async fn key_ring(&self) -> Result<KeyRing, StateError> {
        // One statement, one snapshot. A ring without keys is one row without a key.
        let statement = sql("SELECT c.value AS ring_version, k.* FROM counter c
             LEFT JOIN signing_key k ON 1 = 1 WHERE c.name = 'key_ring' ORDER BY k.place");
        let rows = self.read().all(statement).await?;
        let Some(first) = rows.first() else {
            return Err(StateError::inconsistent("ring_version", "there is none"));
        };
        let version = first.count("ring_version")?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(id) = row.optional_text("id")? {
                keys.push(KeyRow::read(row, id)?);
            }
        }
        Ok(KeyRing { version, keys })
    }

    /// The ring's version alone: cheap enough to be asked every second.
    pub async fn key_ring_version(&self) -> Result<u64, StateError> {
        Counter::KeyRing.read(self.read()).await
    }

    /// Replaces all keys, if the ring still has the version the change was computed from.
    pub async fn replace_key_ring(
        &self,
        from: u64,
        keys: &[KeyRow],
        audit: &[AuditRecord],
    ) -> Result<Swap, StateError> {
        let mut write = self.write().await?;
        let version = match Counter::KeyRing.raise_from(from, &mut write).await? {
            Raised::Done(version) => version,
            Raised::Elsewhere(version) => {
                write.roll_back().await?;
                return Ok(Swap::Lost { version });
            }
        };
        write.run(sql("DELETE FROM signing_key")).await?;
        for (place, key) in keys.iter().enumerate() {
            write.run(key.insert(place)).await?;
        }
        append(audit, &mut write).await?;
        write.commit().await?;
        Ok(Swap::Done { version })
    }
}

impl KeyRow {
    fn insert(&self, place: usize) -> Statement {
        let (phase, phase_at) = self.role.columns();
        sql("INSERT INTO signing_key
                 (id, place, phase, phase_at, algorithm, certificate, sealed, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(self.id.as_str())
        .bind(place)
        .bind(phase)
        .bind(phase_at)
        .bind(self.algorithm.as_str())
        .bind(self.certificate.as_slice())
        .bind(self.sealed.as_slice())
        .bind(self.created_at)
    }

    fn read(row: &Row, id: String) -> Result<Self, StateError> {
        Ok(Self {
            id,
            role: KeyRole::read(&row.text("phase")?, row.optional_time("phase_at")?)?,
            algorithm: row.text("algorithm")?,
            certificate: row.bytes("certificate")?,
            sealed: row.bytes("sealed")?,
            created_at: row.time("created_at")?,
        })
    }
}

impl KeyRole {
    fn columns(self) -> (&'static str, Option<SystemTime>) {
        match self {
            Self::Root => ("root", None),
            Self::Leaf(KeyPhase::Announced { signs_from }) => ("announced", Some(signs_from)),
            Self::Leaf(KeyPhase::Signing { since }) => ("signing", Some(since)),
            Self::Leaf(KeyPhase::Retired { until }) => ("retired", Some(until)),
        }
    }

    fn read(phase: &str, at: Option<SystemTime>) -> Result<Self, StateError> {
        match (phase, at) {
            ("root", None) => Ok(Self::Root),
            ("announced", Some(signs_from)) => Ok(Self::Leaf(KeyPhase::Announced { signs_from })),
            ("signing", Some(since)) => Ok(Self::Leaf(KeyPhase::Signing { since })),
            ("retired", Some(until)) => Ok(Self::Leaf(KeyPhase::Retired { until })),
            (phase, at) => {
                let time = if at.is_some() { "with" } else { "without" };
                let reason = format!("no key is in phase {phase:?} {time} a time");
                Err(StateError::inconsistent("phase, phase_at", reason))
            }
        }
    }
}
