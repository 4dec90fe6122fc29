//! Running: bind, serve, keep up, drain.
//!
//! ```text
//! Parts ─ bind ─► Server ─ run ─► drain: sockets closed, requests end,
//!                    │              jobs stop, the trail is written
//!                    └ Handle ─ reload: second Parts, built whole, then swapped
//! ```

mod jobs;
mod reload;
mod routers;
mod trail;

#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use portpass_protocol::Scheme;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use self::jobs::Jobs;
pub use self::{
    reload::{Handle, ReloadError},
    routers::Login,
};
pub use crate::http::listen::BindError;
use crate::{
    http::{
        door::Door,
        listen::{Connections, Listener},
        monitoring::Health,
        tls::Tls,
    },
    listeners::ListenerKind,
    parts::Parts,
    refusals::{desk::Desk, ring::Refusals},
    request::id::RequestIds,
    shutdown::Shutdown,
    system::MOST_CONNECTIONS,
};

/// Parts with their sockets bound: clients wait in the kernel's queue until [`Server::run`].
#[derive(Debug)]
pub struct Server {
    /// Goes first: its socket must not outlive the data directory's lock.
    desk: Option<Desk>,
    refusals: Arc<Refusals>,
    state: Arc<State>,
    listeners: Vec<Listener>,
    tls: Vec<Arc<Tls>>,
    settings: ServerSettings,
}

/// How much a server bears.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// Connections at once; above that they wait in the kernel's queue.
    pub connections: usize,
    /// How long requests under way may take after the end was asked for.
    pub patience: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { connections: MOST_CONNECTIONS, patience: Duration::from_secs(30) }
    }
}

/// What can be exchanged while the server runs.
#[derive(Debug)]
struct State {
    parts: ArcSwap<Parts>,
    doors: Vec<(ListenerKind, Arc<Door>)>,
    health: Arc<Health>,
    jobs: Mutex<Option<Jobs>>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// Where a server is reached, with the ports that the kernel chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The registry, and the token service if it is beside it.
    pub http: Option<Bound>,
    /// The token service, if it has an address of its own.
    pub tokens: Option<Bound>,
    /// Health and metrics.
    pub admin: Option<Bound>,
}

/// One address that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// As the socket has it.
    pub address: SocketAddr,
    /// Whether it is encrypted.
    pub scheme: Scheme,
}

/// Binds, and serves until `shutdown` says so.
pub async fn run(parts: Parts, shutdown: Shutdown) -> Result<(), RunError> {
    Server::bind(parts, ServerSettings::default()).await?.run(shutdown).await;
    Ok(())
}

impl Server {
    /// Opens a listener wherever something is served, and nowhere else.
    pub async fn bind(parts: Parts, settings: ServerSettings) -> Result<Self, RunError> {
        let base = &parts.base;
        let ids = Arc::new(RequestIds::new(&*base.system.random));
        let refusals = Arc::new(Refusals::new(ids.clone(), base.system.clock.clone()));
        let health = Arc::new(Health::new(base.db.clone()));
        let (mut listeners, mut doors, mut tls) = (Vec::new(), Vec::new(), Vec::new());
        for listener in &parts.listeners {
            let surface = Arc::new(routers::router(listener.kind, &parts, &health));
            let (name, metrics) = (listener.kind.name(), base.metrics.clone());
            let door = Door::new(name, surface, ids.clone(), metrics, refusals.clone());
            let door = Arc::new(door);
            doors.push((listener.kind, door.clone()));
            let encryption = listener.tls.clone().map(Tls::new).transpose()?.map(Arc::new);
            tls.extend(encryption.clone());
            let bound =
                Listener::bind(listener.kind.key(), listener.address, encryption, door).await?;
            tracing::info!(
                address = %bound.address(),
                scheme = %bound.scheme(),
                "{} listens",
                routers::description(listener.kind, &parts)
            );
            listeners.push(bound);
        }
        let desk = Desk::open(base.directory.path()).await;
        let desk = desk.inspect_err(|error| {
            tracing::warn!("`portpass explain` cannot ask this server: {error}");
        });
        let desk = desk.ok();
        let state = State {
            parts: ArcSwap::from_pointee(parts),
            doors,
            health,
            jobs: Mutex::new(None),
            reloading: tokio::sync::Mutex::new(()),
        };
        Ok(Self { desk, refusals, state: Arc::new(state), listeners, tls, settings })
    }

    /// Where it is reached.
    pub fn addresses(&self) -> Addresses {
        let mut addresses = Addresses::default();
        for (listener, (kind, _)) in self.listeners.iter().zip(&self.state.doors) {
            let bound = Some(Bound { address: listener.address(), scheme: listener.scheme() });
            match kind {
                ListenerKind::Http => addresses.http = bound,
                ListenerKind::Tokens => addresses.tokens = bound,
                ListenerKind::Admin => addresses.admin = bound,
            }
        }
        addresses
    }

    /// How to log in to the registry; `None` where there is none, or nobody is asked who they are.
    pub fn login(&self) -> Option<Login> {
        routers::login(&self.state.parts.load(), self.addresses().http?.address)
    }

    /// To reload its configuration while it runs.
    pub fn handle(&self) -> Handle {
        Handle::new(&self.state)
    }

    /// The parts it serves at the moment.
    pub fn parts(&self) -> Arc<Parts> {
        self.state.parts.load_full()
    }

    /// Serves until told to stop; then requests under way end, and what is to be written is written.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { desk, refusals, state, listeners, tls, settings } = self;
        let base = state.parts.load().base.clone();
        let trail = base.take_writer().map(|writer| tokio::spawn(writer.run()));
        state.start_jobs();
        let mut watching = JoinSet::new();
        watching.spawn(jobs::watch_certificates(tls));
        if let Some(desk) = desk {
            watching.spawn(desk.serve(refusals));
        }

        // Probes are answered until everything else has ended.
        let clients = Connections::new(settings.connections);
        let probes = Connections::new(PROBES);
        let mut accepting = JoinSet::new();
        for (listener, (kind, _)) in listeners.into_iter().zip(&state.doors) {
            let connections = if *kind == ListenerKind::Admin { &probes } else { &clients };
            accepting.spawn(listener.accept(connections.clone()));
        }

        shutdown.drain().await;
        tracing::info!("stopping: requests under way may end");
        state.health.drain();
        let cut_off = clients.drain(settings.patience, shutdown.now()).await;
        if cut_off > 0 {
            tracing::warn!(connections = cut_off, "cut off what had not ended");
        }
        probes.drain(Duration::ZERO, std::future::ready(())).await;
        watching.shutdown().await;
        state.stop_jobs().await;
        accepting.shutdown().await;
        // The trail is written to its end when nobody is left to write to it.
        let db = base.db.clone();
        drop((base, state));
        if let Some(trail) = trail
            && timeout(LAST_WORDS, trail).await.is_err()
        {
            tracing::error!("the audit trail could not be written to its end");
        }
        db.close().await;
        tracing::info!("stopped");
    }
}

impl State {
    fn start_jobs(&self) {
        let jobs = Jobs::start(&self.parts.load());
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) = Some(jobs);
    }

    async fn stop_jobs(&self) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(jobs) = jobs {
            jobs.stop().await;
        }
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut timer = interval(period);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

/// Why a server could not be started on its parts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl RunError {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Bind(error) => error.hints(),
            Self::Tls(_) => Vec::new(),
        }
    }
}

/// Connections of whoever watches us; more would be a mistake of theirs.
const PROBES: usize = 64;

/// For the audit trail at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
