//! Tokens that were signed lately, each good for all who are granted the same within one second.
//!
//! Two requests whose claims are equal get the same token: whatever it says, it says of both. A node pool that
//! starts an image asks a hundred times at once, without an account or all as one robot, and one signature serves
//! it. Who may have it is decided for each request, before; each is in the trail.

use std::sync::Arc;

use quick_cache::sync::Cache;

/// What was signed lately, by its claims without `jti`.
#[derive(Debug)]
pub(super) struct SignedTokens(Cache<Box<[u8]>, Arc<str>>);

impl SignedTokens {
    pub(super) fn new() -> Self {
        Self(Cache::new(ENTRIES))
    }

    /// The token that was signed for these very claims; they name the second of their issue.
    pub(super) fn get(&self, claims: &[u8]) -> Option<Arc<str>> {
        self.0.get(claims)
    }

    /// Keeps it for the rest of the second, and as long as nobody needs the room.
    pub(super) fn insert(&self, claims: &[u8], token: &str) {
        if token.len() <= LONGEST {
            self.0.insert(claims.into(), token.into());
        }
    }
}

/// With the longest tokens a megabyte.
const ENTRIES: usize = 256;
/// In bytes. A token for dozens of repositories is nobody else's.
const LONGEST: usize = 4096;
