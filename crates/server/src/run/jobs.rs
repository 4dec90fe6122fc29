//! What happens by itself: the key ring's schedule, upkeep of the registry, certificates that change.

use std::{convert::Infallible, sync::Arc, time::Duration};

use portpass_authority::{
    accounts::last_uses::LastUses,
    keyring::{KeyRing, Ring},
    service::Lifetime,
};
use portpass_config::GcSchedule;
use portpass_state::Db;
use portpass_token::Clock;
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    audit_retention::enforce_audit_retention,
    every,
    notifications::{Delivery, keep_queue_short},
};
use crate::{
    components::{Components, RegistryComponent, SharedState},
    http::tls::{CertificateReload, Tls},
    key_files,
    rule_file::{RulesReload, WatchedRules},
};

/// The jobs of one configuration.
#[derive(Debug)]
pub(super) struct Jobs {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Jobs {
    /// Starts all that these components need.
    pub(super) fn start(components: &Arc<Components>) -> Self {
        let jobs = Self { tracker: TaskTracker::new(), stop: CancellationToken::new() };
        let clock = components.shared.system.clock.clone();
        let (db, data) = (components.shared.db.clone(), components.data().to_path_buf());
        jobs.spawn(enforce_audit_retention(db, components.audit, data, clock.clone()));
        if let Some(part) = &components.registry {
            jobs.spawn(part.registry.clone().run_upkeep());
            jobs.spawn(forget_foreign_writes(components.shared.db.clone()));
            if let GcSchedule::Every(interval) = part.gc.schedule {
                jobs.spawn(part.registry.clone().run_gc(part.gc.settings, interval));
            }
            jobs.spawn(part.registry.clone().run_retention());
            let shared = &components.shared;
            jobs.spawn(shared.pulls.clone().run(shared.db.clone()));
            let (read_only, db) = (part.read_only.clone(), shared.db.clone());
            jobs.spawn(async move { read_only.run(db).await });
            jobs.notify(part, shared);
        }
        if components.revocations.concerns_somebody() {
            jobs.spawn(follow_revocations(components.clone()));
        }
        if let Some(tokens) = &components.tokens {
            jobs.spawn(rotate_keys(tokens.keys.clone(), clock.clone()));
            jobs.spawn(write_key_files(tokens.keys.subscribe(), components.shared.clone()));
            jobs.spawn(delete_dead_sessions(components.shared.db.clone(), clock));
            if let Some(rules) = &tokens.rules {
                jobs.spawn(watch_rules(rules.clone(), components.shared.clone()));
            }
            jobs.spawn(write_last_uses(components.shared.uses.clone()));
        }
        jobs
    }

    /// Tells endpoints of events.
    fn notify(&self, part: &RegistryComponent, shared: &SharedState) {
        let names = part.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
        self.spawn(keep_queue_short(shared.db.clone(), names));
        if part.endpoints.is_empty() {
            return;
        }
        self.spawn(shared.pull_events.clone().run(shared.db.clone()));
        for endpoint in &part.endpoints {
            let delivery = Delivery::new(endpoint.clone(), shared.db.clone());
            self.spawn(delivery.run(shared.pull_events.bell()));
        }
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
async fn rotate_keys(keys: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Infallible {
    let mut timer = every(LOOK_AT_KEYS);
    let mut failing = false;
    loop {
        timer.tick().await;
        match keys.tick(clock.now()).await {
            Ok(()) => failing = false,
            Err(error) if failing => {
                tracing::debug!("still cannot read the key ring: {error}");
            }
            Err(error) => {
                failing = true;
                tracing::error!("cannot read the key ring, the keys stay as they are: {error}");
            }
        }
    }
}

/// Has whatever checks tokens refuse those that were revoked by any process on this database.
async fn follow_revocations(components: Arc<Components>) -> Infallible {
    let mut timer = every(LOOK_AT_REVOCATIONS);
    let mut failing = false;
    loop {
        timer.tick().await;
        match components.revocations.follow().await {
            Ok(()) => failing = false,
            Err(error) if failing => {
                tracing::debug!("still cannot read which tokens are revoked: {error}");
            }
            Err(error) => {
                failing = true;
                tracing::error!(
                    "cannot read which tokens are revoked, those known stay so: {error}"
                );
            }
        }
    }
}

/// Sees what other processes change of repositories: `portpass gc` beside this one, for instance.
async fn forget_foreign_writes(db: Db) -> Infallible {
    let mut timer = every(LOOK_AT_FOREIGN_WRITES);
    let mut failing = false;
    loop {
        timer.tick().await;
        match db.forget_foreign_writes().await {
            Ok(_) => failing = false,
            Err(error) if failing => {
                tracing::debug!("still cannot see what other processes write: {error}");
            }
            Err(error) => {
                failing = true;
                tracing::error!("cannot see what other processes write: {error}");
            }
        }
    }
}

/// After each change, other registries' files are written; what could not be written is tried again.
async fn write_key_files(
    mut ring: watch::Receiver<Arc<Ring>>,
    shared: Arc<SharedState>,
) -> Infallible {
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
        let written = key_files::write(shared.directory.path(), &current).await;
        published = written.is_ok();
        match written {
            Ok(()) => {
                let keys: Vec<_> = current.all_signing().map(|key| key.id().as_str()).collect();
                tracing::info!(keys = keys.join(" "), "the key ring has changed");
            }
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Writes down who was here last; what cannot be written now is written later.
async fn write_last_uses(uses: Arc<LastUses>) -> Infallible {
    let mut timer = every(WRITE_USES_EVERY);
    loop {
        timer.tick().await;
        if let Err(error) = uses.flush().await {
            tracing::debug!("cannot write when accounts were used last: {error}");
        }
    }
}

/// Removes the rows of refresh tokens that nobody can use, after anybody could still want to know why; and of
/// revocations those that end no token any more.
async fn delete_dead_sessions(db: Db, clock: Arc<dyn Clock>) -> Infallible {
    let mut timer = every(DELETE_SESSIONS_EVERY);
    loop {
        timer.tick().await;
        let now = clock.now();
        let Some(before) = now.checked_sub(KEEP_DEAD_SESSIONS) else { continue };
        match db.prune_refresh_tokens(before, now).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "removed dead refresh tokens"),
            Err(error) => tracing::warn!("cannot remove dead refresh tokens: {error}"),
        }
        let Some(before) = now.checked_sub(KEEP_ENDED_SECRETS) else { continue };
        if let Err(error) = db.prune_ended_secrets(before).await {
            tracing::warn!("cannot forget secrets that ended long ago: {error}");
        }
        let longest = Duration::from_secs(Lifetime::MAX.seconds().into()) + CLOCKS_APART;
        let Some(before) = now.checked_sub(longest) else { continue };
        if let Err(error) = db.prune_not_before(before, now + CLOCKS_APART).await {
            tracing::warn!("cannot remove revocations that are over: {error}");
        }
    }
}

/// Looks at the file of the rules; one that cannot be used leaves the last good rules in force.
async fn watch_rules(rules: Arc<WatchedRules>, shared: Arc<SharedState>) -> Infallible {
    let mut timer = every(LOOK_AT_RULES);
    let path = rules.file().path().display().to_string();
    // Without it there would be no configuration.
    shared.metrics.rules_are_current(true);
    loop {
        timer.tick().await;
        let looked = rules.clone();
        let reading = tokio::task::spawn_blocking(move || looked.reload_if_changed()).await;
        match reading {
            Ok(RulesReload::Unchanged) | Err(_) => {}
            Ok(RulesReload::Replaced { rules, warnings }) => {
                shared.metrics.rules_are_current(true);
                tracing::info!(%path, rules, "the changed rule file is in force");
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
            }
            Ok(RulesReload::Rejected(error)) => {
                shared.metrics.rules_are_current(false);
                let hints = (!error.hints().is_empty()).then(|| error.hints().join("; "));
                tracing::error!(
                    hints,
                    "the rule file is not used, its last good rules stay in force: {error}"
                );
            }
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
            let reading = tokio::task::spawn_blocking(move || looked.reload_if_changed()).await;
            let file = tls.certificate().display();
            match reading {
                Ok(CertificateReload::Unchanged) | Err(_) => {}
                Ok(CertificateReload::Replaced) => {
                    tracing::info!("new connections use the changed {file}");
                }
                Ok(CertificateReload::Rejected(error)) => {
                    tracing::error!("the changed {file} is not used: {error}");
                }
            }
        }
    }
}

/// A rotation by another process must count before the old key's tokens are gone.
const LOOK_AT_KEYS: Duration = Duration::from_secs(5);

/// What is revoked is refused within two seconds.
const LOOK_AT_REVOCATIONS: Duration = Duration::from_secs(1);

/// What another process has marked as garbage is not told to clients for longer: see `portpass_registry::gc`.
const LOOK_AT_FOREIGN_WRITES: Duration = Duration::from_secs(1);

const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(5);

/// What is new must be there at two looks, and count within two seconds.
const LOOK_AT_RULES: Duration = Duration::from_millis(500);

const WRITE_USES_EVERY: Duration = Duration::from_secs(10);
const DELETE_SESSIONS_EVERY: Duration = Duration::from_hours(1);

/// More than what is forgiven at the ends of a token.
const CLOCKS_APART: Duration = Duration::from_hours(1);

/// A cluster that nobody looks at still sends one.
const KEEP_ENDED_SECRETS: Duration = Duration::from_hours(90 * 24);
const KEEP_DEAD_SESSIONS: Duration = Duration::from_hours(30 * 24);
