//! How long tokens live.

use std::time::Duration;

/// How long a token lives: a minute at least, since clients take less for a minute (T4), and a day
/// at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(u32);

impl Lifetime {
    /// No token lives longer.
    pub const MAX: Self = Self(MAX_LIFETIME);

    /// Checks a number of seconds.
    pub fn from_seconds(seconds: u64) -> Result<Self, LifetimeError> {
        let short =
            u32::try_from(seconds).ok().filter(|s| (MIN_LIFETIME..=MAX_LIFETIME).contains(s));
        short.map(Self).ok_or(LifetimeError { seconds })
    }

    /// In seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// As a span of time.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

/// A lifetime that tokens cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token cannot be valid for {seconds} seconds; {MIN_LIFETIME} to {MAX_LIFETIME} are possible"
)]
pub struct LifetimeError {
    seconds: u64,
}

const MIN_LIFETIME: u32 = 60;
const MAX_LIFETIME: u32 = 24 * 60 * 60;
