//! Tokens that were signed lately, each good for all who are granted the same within one second.
//!
//! Two requests whose claims are equal get the same token: whatever it says, it says of both. A node pool that
//! starts an image asks a hundred times at once, without an account or all as one robot, and one signature serves
//! it. Who may have it is decided for each request, before; each is in the trail.

use std::sync::Arc;

use portpass_jose::KeyId;
use quick_cache::sync::Cache;

/// What was signed lately.
#[derive(Debug)]
pub(super) struct SignedTokens(Cache<Content, Arc<str>>);

/// What two requests have to have in common: the claims without `jti`, which name the second of their issue, and the
/// key. After a rotation nobody gets a token of the key before it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Content(Box<[u8]>);

impl Content {
    /// Of claims in JSON, which end by themselves.
    pub(super) fn of(claims: Vec<u8>, key: &KeyId) -> Self {
        let mut content = claims;
        content.extend_from_slice(key.as_str().as_bytes());
        Self(content.into())
    }
}

impl SignedTokens {
    pub(super) fn new() -> Self {
        Self(Cache::new(ENTRIES))
    }

    /// The token that was signed for this very content.
    pub(super) fn get(&self, content: &Content) -> Option<Arc<str>> {
        self.0.get(content)
    }

    /// Keeps it for the rest of the second, and as long as nobody needs the room.
    pub(super) fn insert(&self, content: Content, token: &str) {
        if token.len() <= LONGEST {
            self.0.insert(content, token.into());
        }
    }
}

/// With the longest tokens a megabyte.
const ENTRIES: usize = 256;
/// In bytes. A token for dozens of repositories is nobody else's.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_claims_share_a_token_of_one_key() {
        let (tokens, content) = (SignedTokens::new(), |claims: &[u8], key: &str| {
            Content::of(claims.to_vec(), &key.into())
        });
        tokens.insert(content(b"{\"aud\":\"a\"}", "first"), "token");
        assert_eq!(tokens.get(&content(b"{\"aud\":\"a\"}", "first")).as_deref(), Some("token"));
        assert_eq!(tokens.get(&content(b"{\"aud\":\"a\"}", "second")), None, "after a rotation");
        assert_eq!(tokens.get(&content(b"{\"aud\":\"b\"}", "first")), None, "of another service");
    }
}
