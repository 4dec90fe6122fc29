//! Tokens that held: checking a signature costs more than serving a manifest.

use std::{sync::Arc, time::SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::{Weighter, sync::Cache};

use crate::Claims;

/// Tokens whose signature, issuer and audience were found right, by their SHA-256.
///
/// Failures are never kept, so a flood of bad tokens pushes out nothing.
#[derive(Debug)]
pub(super) struct Seen(Cache<[u8; 32], Entry, Bytes>);

#[derive(Debug, Clone)]
struct Entry {
    claims: Arc<Claims>,
    /// When the certificates that vouch for the key run out.
    valid_until: Option<SystemTime>,
    weight: u64,
}

/// Counts roughly what an entry occupies.
#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<[u8; 32], Entry> for Bytes {
    fn weight(&self, _: &[u8; 32], entry: &Entry) -> u64 {
        entry.weight
    }
}

impl Seen {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(ENTRIES, ENTRIES as u64 * LEAST_WEIGHT, Bytes))
    }

    pub(super) fn key(token: &str) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        key
    }

    /// The claims of a token that held, if whatever vouches for its key still does.
    pub(super) fn get(&self, key: &[u8; 32], now: SystemTime) -> Option<Arc<Claims>> {
        let entry = self.0.get(key)?;
        entry.valid_until.is_none_or(|until| now <= until).then_some(entry.claims)
    }

    pub(super) fn insert(
        &self,
        key: [u8; 32],
        claims: Arc<Claims>,
        valid_until: Option<SystemTime>,
        token_length: usize,
    ) {
        // The claims take up to twice the space of their base64; small ones have a fixed cost.
        let weight = (2 * token_length as u64).max(LEAST_WEIGHT);
        self.0.insert(key, Entry { claims, valid_until, weight });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// At most so many tokens, and 16 MiB of them.
const ENTRIES: usize = 16 * 1024;
const LEAST_WEIGHT: u64 = 1024;
