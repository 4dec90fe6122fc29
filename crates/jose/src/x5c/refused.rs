//! Chains that were refused a moment ago.

use std::time::{Duration, SystemTime};

use quick_cache::{Weighter, sync::Cache};

use super::ChainError;

/// Refusals, by the SHA-256 of their chains: whoever sends one header again and again is refused for a hash.
///
/// Apart from the chains that held, so that a flood of bad ones pushes out none of those.
pub(super) struct Refusals(Cache<[u8; 32], Refusal, Length>);

#[derive(Clone)]
struct Refusal {
    why: ChainError,
    at: SystemTime,
    length: u64,
}

/// Names in a certificate may be long, and the reason repeats them.
#[derive(Clone)]
struct Length;

impl Weighter<[u8; 32], Refusal> for Length {
    fn weight(&self, _: &[u8; 32], refusal: &Refusal) -> u64 {
        refusal.length
    }
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(ENTRIES, MAX_LENGTH, Length))
    }

    pub(super) fn get(&self, chain: &[u8; 32], now: SystemTime) -> Option<ChainError> {
        let refusal = self.0.get(chain)?;
        // Not before it was made either: the clock may have been set back.
        let age = now.duration_since(refusal.at).ok()?;
        (age < REMEMBER_FOR).then_some(refusal.why)
    }

    /// Dates are nobody's attack, and change by themselves: those are looked at each time.
    pub(super) fn insert(&self, chain: [u8; 32], why: &ChainError, at: SystemTime) {
        if matches!(why, ChainError::OutOfDate(_)) {
            return;
        }
        let length = OVERHEAD + why.to_string().len() as u64;
        self.0.insert(chain, Refusal { why: why.clone(), at, length });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A bundle changes with its `TrustRoots`, so nothing but time ends a refusal.
const REMEMBER_FOR: Duration = Duration::from_mins(1);
const ENTRIES: usize = 1_024;
/// Of all refusals together, in bytes.
const MAX_LENGTH: u64 = 1 << 20;
const OVERHEAD: u64 = 256;
