//! Credentials that were proved a moment ago.

use std::{num::NonZeroUsize, time::Duration};

/// Remembers proved credentials, never refused ones. Skips only the hash: whether the account is
/// still there and enabled is asked each time.
#[derive(Debug)]
pub struct CredentialCache {}

impl CredentialCache {
    /// `key` comes from the caller's source of randomness and never leaves the process.
    pub fn new(_key: [u8; 32], _entries: NonZeroUsize, _lifetime: Duration) -> Self {
        todo!()
    }
}
