//! Where time and chance come from. Everything else takes them as parameters.

use std::{fmt::Debug, time::SystemTime};

/// Says what time it is.
pub trait Clock: Debug + Send + Sync {
    /// The moment at which it is asked.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the others are given")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Gives bytes that nobody can guess.
pub trait Random: Debug + Send + Sync {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// If the machine has no randomness to give: nothing that needs secrets may go on.
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the machine's random source answers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let draw = || {
            let mut bytes = [0; 32];
            SystemRandom.fill(&mut bytes);
            bytes
        };
        assert_ne!(draw(), draw());
    }

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(crate::NumericDate::from(SystemClock.now()).0 > 1_790_000_000);
    }
}
