//! Times as claims write them.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// Whole seconds since 1970-01-01T00:00:00Z (RFC 7519 §2), perhaps absurdly many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumericDate(pub i64);

impl NumericDate {
    /// The end of the year 9999, after which nobody prints dates alike.
    pub const LAST: Self = Self(253_402_300_799);

    /// How long ago it is at `now`; `None` if it is `now` or still to come.
    pub(crate) fn since(self, now: SystemTime) -> Option<Duration> {
        duration(nanoseconds(now) - self.nanoseconds())
    }

    /// How far away it is at `now`; `None` if it is `now` or past.
    pub(crate) fn until(self, now: SystemTime) -> Option<Duration> {
        duration(self.nanoseconds() - nanoseconds(now))
    }

    /// Does not overflow, whatever a token says (JW5).
    fn nanoseconds(self) -> i128 {
        i128::from(self.0) * 1_000_000_000
    }
}

impl From<SystemTime> for NumericDate {
    /// The second that has begun.
    fn from(time: SystemTime) -> Self {
        let seconds = nanoseconds(time).div_euclid(1_000_000_000);
        Self(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for NumericDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn nanoseconds(time: SystemTime) -> i128 {
    let signed = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}

/// A positive number of nanoseconds, as far as a duration reaches.
fn duration(nanoseconds: i128) -> Option<Duration> {
    let positive = u128::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds > 0)?;
    let seconds = u64::try_from(positive / 1_000_000_000).unwrap_or(u64::MAX);
    let rest = u32::try_from(positive % 1_000_000_000).unwrap_or_default();
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_becomes_the_second_that_has_begun() {
        let at = |nanoseconds: u64| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        assert_eq!(NumericDate::from(at(1_999_999_999)), NumericDate(1));
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1500);
        assert_eq!(NumericDate::from(before), NumericDate(-2));
    }

    #[test]
    fn distances_count_every_nanosecond_and_never_overflow() {
        let now = SystemTime::UNIX_EPOCH + Duration::new(100, 1);
        assert_eq!(NumericDate(100).since(now), Some(Duration::from_nanos(1)));
        assert_eq!(NumericDate(101).until(now), Some(Duration::from_nanos(999_999_999)));
        assert_eq!(NumericDate(100).until(now), None);
        let exact = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!((NumericDate(100).since(exact), NumericDate(100).until(exact)), (None, None));
        let ages = Duration::new(9_223_372_036_854_775_707, 0);
        assert_eq!(NumericDate(i64::MAX).until(exact), Some(ages));
        assert_eq!(NumericDate(i64::MIN).until(exact), None);
        assert!(NumericDate(i64::MIN).since(exact).is_some());
    }
}
