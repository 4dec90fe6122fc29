//! Whether what repositories hold may change at the moment.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use portpass_state::{Db, StateError};
use tokio::time::{self, MissedTickBehavior};

/// The configuration's word, and the switch in the database that every process sees.
#[derive(Debug)]
pub struct ReadOnly {
    configured: bool,
    switched: AtomicBool,
}

impl ReadOnly {
    /// As the configuration says, and the database at the moment.
    pub async fn read(configured: bool, db: &Db) -> Result<Self, StateError> {
        let switched = AtomicBool::new(db.read_only_since().await?.is_some());
        Ok(Self { configured, switched })
    }

    /// Whether changes are refused.
    pub fn is_on(&self) -> bool {
        self.configured || self.switched.load(Relaxed)
    }

    /// Looks at the switch.
    pub async fn follow(&self, db: &Db) -> Result<(), StateError> {
        let on = db.read_only_since().await?.is_some();
        if self.switched.swap(on, Relaxed) != on && !self.configured {
            let state = if on { "read-only" } else { "writable again" };
            tracing::warn!("the registry is {state} from now on");
        }
        Ok(())
    }

    /// Looks once a second for as long as it is polled. Where the database does not answer, it stays as it is.
    pub async fn run(&self, db: Db) -> Infallible {
        let mut timer = time::interval(LOOK_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if let Err(error) = self.follow(&db).await {
                tracing::debug!("cannot read whether the registry is read-only: {error}");
            }
        }
    }
}

/// The switch counts within two seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
