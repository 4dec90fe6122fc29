//! Where time and chance come from.
use std::{fmt::Debug, time::SystemTime};
/// Says what time it is.
pub trait Clock: Debug + Send + Sync {
    /// Now.
    fn now(&self) -> SystemTime;
}
/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;
impl Clock for SystemClock { fn now(&self) -> SystemTime { todo!() } }
/// Gives unpredictable bytes.
pub trait Random: Debug + Send + Sync {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}
/// The machine's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;
impl Random for SystemRandom { fn fill(&self, _bytes: &mut [u8]) { todo!() } }
