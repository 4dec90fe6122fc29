//! What the tests of a session stand on: credentials in memory, a clock that stands still, a registry with its token
//! service.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use portpass_token::Clock;

mod memory;
mod registry;

pub(crate) use memory::{MEMORY, MemoryStore};
pub(crate) use registry::{Fixture, RecordedTimer, rights, session};

/// A clock that stands still until it is told.
#[derive(Debug)]
pub(crate) struct StoppedClock(Mutex<SystemTime>);

impl StoppedClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}
