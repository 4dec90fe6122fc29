//! Tokens for callers without an account, signed once a second.
//!
//! Two of these callers that ask for the same within one second get the same token: whatever it says, it says of
//! both. A node pool that starts a public image asks a hundred times at once, and one signature serves it. Who may
//! have it is decided for each of them, before; each is in the trail.

use std::sync::Arc;

use quick_cache::sync::Cache;

/// What was signed lately, by its claims without `jti`.
#[derive(Debug)]
pub(super) struct AnonymousTokens(Cache<Box<[u8]>, Arc<str>>);

impl AnonymousTokens {
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
