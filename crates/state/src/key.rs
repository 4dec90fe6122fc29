//! The rows of the key ring, read and replaced as a whole under one version.

use std::time::SystemTime;

use crate::{AuditRecord, Db, StateError};

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
        todo!()
    }

    /// The ring's version alone: cheap enough to be asked every second.
    pub async fn key_ring_version(&self) -> Result<u64, StateError> {
        todo!()
    }

    /// Replaces all keys, if the ring still has the version the change was computed from.
    pub async fn replace_key_ring(
        &self,
        from: u64,
        keys: &[KeyRow],
        audit: &[AuditRecord],
    ) -> Result<Swap, StateError> {
        todo!("{from} {keys:?} {audit:?}")
    }
}
