//! What happens by itself: the key ring's schedule, upkeep of the registry, certificates that change.

use std::{convert::Infallible, sync::Arc, time::Duration};

use portpass_authority::keyring::{KeyRing, Ring};
use portpass_state::Db;
use portpass_token::Clock;
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{every, trail::bound_trail};
use crate::{
    http::tls::{Reading, Tls},
    key_files,
    parts::{Base, Parts},
};

/// The jobs of one configuration.
#[derive(Debug)]
pub(super) struct Jobs {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Jobs {
    /// Starts all that these parts need.
    pub(super) fn start(parts: &Arc<Parts>) -> Self {
        let jobs = Self { tracker: TaskTracker::new(), stop: CancellationToken::new() };
        let clock = parts.base.system.clock.clone();
        let (db, data) = (parts.base.db.clone(), parts.data().to_path_buf());
        jobs.spawn(bound_trail(db, parts.audit, data, clock.clone()));
        if let Some(part) = &parts.registry {
            jobs.spawn(part.registry.clone().keep_up());
        }
        if let Some(tokens) = &parts.tokens {
            jobs.spawn(turn_keys(tokens.keys.clone(), clock.clone()));
            jobs.spawn(publish_keys(tokens.keys.subscribe(), parts.base.clone()));
            jobs.spawn(forget_sessions(parts.base.db.clone(), clock));
        }
        jobs
    }

    /// Returns when none of them does anything any more.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn spawn(&self, job: impl Future<Output = Infallible> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                never = job => match never {},
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Announces, promotes and forgets keys when it is time, and sees what other processes did.
async fn turn_keys(keys: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Infallible {
    let mut timer = every(LOOK_AT_KEYS);
    let mut failing = false;
    loop {
        timer.tick().await;
        match keys.tick(clock.now()).await {
            Ok(()) => failing = false,
            Err(error) if failing => {
                tracing::debug!("the key ring still cannot be looked at: {error}");
            }
            Err(error) => {
                failing = true;
                tracing::error!(
                    "the key ring cannot be looked at, the keys stay as they are: {error}"
                );
            }
        }
    }
}

/// After each change, other registries' files are written; what could not be written is tried again.
async fn publish_keys(mut ring: watch::Receiver<Arc<Ring>>, base: Arc<Base>) -> Infallible {
    // What was current when this was subscribed to is published already.
    let mut published = true;
    loop {
        let changed = if published {
            ring.changed().await
        } else {
            timeout(LOOK_AT_KEYS, ring.changed()).await.unwrap_or(Ok(()))
        };
        if changed.is_err() {
            return std::future::pending().await;
        }
        let current = ring.borrow_and_update().clone();
        let written = key_files::write(base.directory.path(), &current).await;
        published = written.is_ok();
        match written {
            Ok(()) => tracing::info!(key = %current.signing().id(), "the key ring has changed"),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Removes the rows of refresh tokens that nobody can use, after anybody could still want to know why.
async fn forget_sessions(db: Db, clock: Arc<dyn Clock>) -> Infallible {
    let mut timer = every(FORGET_SESSIONS);
    loop {
        timer.tick().await;
        let now = clock.now();
        let Some(before) = now.checked_sub(REMEMBER_SESSIONS) else { continue };
        match db.forget_refresh_tokens(before, now).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "forgot dead refresh tokens"),
            Err(error) => tracing::warn!("dead refresh tokens cannot be forgotten: {error}"),
        }
    }
}

/// Looks at certificates and keys of listeners; a pair that cannot be used leaves the old one in place.
pub(super) async fn watch_certificates(listeners: Vec<Arc<Tls>>) {
    if listeners.is_empty() {
        return;
    }
    let mut timer = every(LOOK_AT_CERTIFICATES);
    loop {
        timer.tick().await;
        for tls in &listeners {
            let looked = tls.clone();
            let reading = tokio::task::spawn_blocking(move || looked.read_if_changed()).await;
            let file = tls.certificate().display();
            match reading {
                Ok(Reading::Unchanged) | Err(_) => {}
                Ok(Reading::Replaced) => tracing::info!("new connections use the changed {file}"),
                Ok(Reading::Kept(error)) => {
                    tracing::error!("the changed {file} is not used: {error}");
                }
            }
        }
    }
}

/// A rotation by another process must count before the old key's tokens are gone.
const LOOK_AT_KEYS: Duration = Duration::from_secs(5);

const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(5);

const FORGET_SESSIONS: Duration = Duration::from_hours(1);

const REMEMBER_SESSIONS: Duration = Duration::from_hours(30 * 24);
