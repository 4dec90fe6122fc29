//! Which requests are retried, and after how long.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use async_trait::async_trait;

/// How often the same is sent, at most.
const MAX_TRIES: u32 = 4;
/// How long one request waits in all, at most. A registry that wants to be left alone for longer is
/// not waited for.
pub const MAX_WAIT: Duration = Duration::from_mins(1);
/// The first wait; every further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Waits between retries, with jitter. Tests use their own.
#[async_trait]
pub trait RetryTimer: fmt::Debug + Send + Sync {
    /// Returns after this long.
    async fn wait(&self, duration: Duration);

    /// A random number for the jitter.
    fn random(&self) -> u32;
}

/// The runtime's timer and the system's randomness.
#[derive(Debug, Default)]
pub struct SystemRetryTimer;

#[async_trait]
impl RetryTimer for SystemRetryTimer {
    async fn wait(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self) -> u32 {
        // Every state is seeded anew; good enough for not being in step.
        u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default()
    }
}

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// Never.
    Never,
    /// If the registry did not process it: it was not reached, or answered 429 or 503.
    IfNotProcessed,
    /// After every failure: the request only reads.
    Always,
}

/// Why a request may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryReason {
    /// The registry did not process it. It names this delay, if any.
    NotProcessed(Option<Duration>),
    /// The registry may have processed it.
    Unknown,
}

/// The retries of one request.
#[derive(Debug)]
pub(crate) struct Retries {
    retry: RetryPolicy,
    made: u32,
    waited: Duration,
}

impl Retries {
    pub(crate) fn new(retry: RetryPolicy) -> Self {
        Self { retry, made: 1, waited: Duration::ZERO }
    }

    /// How long to wait before the same is sent again; `None` if it is not.
    pub(crate) fn next(&mut self, retry_reason: RetryReason, random: u32) -> Option<Duration> {
        let (may, after) = match (self.retry, retry_reason) {
            (RetryPolicy::Never, _) | (RetryPolicy::IfNotProcessed, RetryReason::Unknown) => {
                return None;
            }
            (
                RetryPolicy::IfNotProcessed | RetryPolicy::Always,
                RetryReason::NotProcessed(after),
            ) => (MAX_TRIES, after),
            (RetryPolicy::Always, RetryReason::Unknown) => (MAX_TRIES, None),
        };
        if self.made >= may {
            return None;
        }
        let back_off = FIRST_WAIT.saturating_mul(1 << (self.made - 1));
        let wait = after.unwrap_or_default().saturating_add(jittered(back_off, random));
        let waited = self.waited.saturating_add(wait);
        if waited > MAX_WAIT {
            return None;
        }
        self.made += 1;
        self.waited = waited;
        Some(wait)
    }
}

/// Between half of it and all of it.
fn jittered(wait: Duration, random: u32) -> Duration {
    let half = wait / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let mut tries = Retries::new(RetryPolicy::Always);
        let waits: Vec<u128> = std::iter::from_fn(|| tries.next(RetryReason::Unknown, u32::MAX))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, [500, 1000, 2000]);
        let mut tries = Retries::new(RetryPolicy::Always);
        assert_eq!(tries.next(RetryReason::Unknown, 0), Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_may_have_been_done_is_only_read_again() {
        for (retry, retry_reason, again) in [
            (RetryPolicy::Always, RetryReason::Unknown, true),
            (RetryPolicy::Always, RetryReason::NotProcessed(None), true),
            (RetryPolicy::IfNotProcessed, RetryReason::Unknown, false),
            (RetryPolicy::IfNotProcessed, RetryReason::NotProcessed(None), true),
            (RetryPolicy::Never, RetryReason::NotProcessed(None), false),
        ] {
            assert_eq!(
                Retries::new(retry).next(retry_reason, 0).is_some(),
                again,
                "{retry:?} {retry_reason:?}"
            );
        }
    }

    #[test]
    fn nobody_is_waited_for_longer_than_the_bound() {
        let undone = |seconds| RetryReason::NotProcessed(Some(Duration::from_secs(seconds)));
        assert_eq!(Retries::new(RetryPolicy::IfNotProcessed).next(undone(61), 0), None);
        assert_eq!(Retries::new(RetryPolicy::IfNotProcessed).next(undone(u64::MAX), 0), None);
        let mut tries = Retries::new(RetryPolicy::IfNotProcessed);
        assert!(tries.next(undone(40), 0).is_some());
        assert_eq!(tries.next(undone(40), 0), None, "in all");
    }

    #[test]
    fn the_dice_fall_differently() {
        let rolled: std::collections::BTreeSet<u32> =
            (0..8).map(|_| SystemRetryTimer.random()).collect();
        assert!(rolled.len() > 1);
    }
}
