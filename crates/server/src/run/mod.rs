//! Running: bind, serve, keep up, drain.
//!
//! ```text
//! Components ─ bind ─► Server ─ run ─► drain: sockets closed, requests end,
//!                         │              jobs stop, the trail is written
//!                         └ ReloadHandle: second Components, built whole, then swapped
//! ```

mod audit_retention;
mod jobs;
mod notifications;
mod reload;
mod routers;

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
    reload::{ReloadError, ReloadHandle},
    routers::Login,
};
pub use crate::http::listener::BindError;
use crate::{
    components::Components,
    http::{
        listener::{Connections, Listener},
        listener_service::ListenerService,
        monitoring::Health,
        tls::Tls,
    },
    listeners::ListenerKind,
    refusals::{ring::RefusalLog, socket::RefusalSocket},
    request::id::RequestIds,
    shutdown::Shutdown,
    system::MOST_CONNECTIONS,
};

/// Parts with their sockets bound: clients wait in the kernel's queue until [`Server::run`].
#[derive(Debug)]
pub struct Server {
    /// Goes first: its socket must not outlive the data directory's lock.
    refusal_socket: Option<RefusalSocket>,
    refusals: Arc<RefusalLog>,
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
    pub drain_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { connections: MOST_CONNECTIONS, drain_timeout: Duration::from_secs(30) }
    }
}

/// What can be exchanged while the server runs.
#[derive(Debug)]
struct State {
    components: ArcSwap<Components>,
    services: Vec<(ListenerKind, Arc<ListenerService>)>,
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
pub async fn run(components: Components, shutdown: Shutdown) -> Result<(), RunError> {
    Server::bind(components, ServerSettings::default()).await?.run(shutdown).await;
    Ok(())
}

impl Server {
    /// Opens a listener wherever something is served, and nowhere else.
    pub async fn bind(components: Components, settings: ServerSettings) -> Result<Self, RunError> {
        let shared = &components.shared;
        let ids = Arc::new(RequestIds::new(&*shared.system.random));
        let refusals = Arc::new(RefusalLog::new(ids.clone(), shared.system.clock.clone()));
        let health = Arc::new(Health::new(shared.db.clone()));
        let (mut listeners, mut services, mut tls) = (Vec::new(), Vec::new(), Vec::new());
        for listener in &components.listeners {
            let router = Arc::new(routers::router(listener.kind, &components, &health));
            let (name, metrics) = (listener.kind.name(), shared.metrics.clone());
            let service =
                ListenerService::new(name, router, ids.clone(), metrics, refusals.clone());
            let service = Arc::new(service);
            services.push((listener.kind, service.clone()));
            let encryption = listener.tls.clone().map(Tls::new).transpose()?.map(Arc::new);
            tls.extend(encryption.clone());
            let bound =
                Listener::bind(listener.kind.key(), listener.address, encryption, service).await?;
            tracing::info!(
                address = %bound.address(),
                scheme = %bound.scheme(),
                "{} listens",
                routers::description(listener.kind, &components)
            );
            listeners.push(bound);
        }
        let refusal_socket = RefusalSocket::open(shared.directory.path()).await;
        let refusal_socket = refusal_socket.inspect_err(|error| {
            tracing::warn!("`portpass explain` cannot reach this server: {error}");
        });
        let refusal_socket = refusal_socket.ok();
        let state = State {
            components: ArcSwap::from_pointee(components),
            services,
            health,
            jobs: Mutex::new(None),
            reloading: tokio::sync::Mutex::new(()),
        };
        Ok(Self { refusal_socket, refusals, state: Arc::new(state), listeners, tls, settings })
    }

    /// Where it is reached.
    pub fn addresses(&self) -> Addresses {
        let mut addresses = Addresses::default();
        for (listener, (kind, _)) in self.listeners.iter().zip(&self.state.services) {
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
        routers::login(&self.state.components.load(), self.addresses().http?.address)
    }

    /// To reload its configuration while it runs.
    pub fn handle(&self) -> ReloadHandle {
        ReloadHandle::new(&self.state)
    }

    /// The components that it serves at the moment.
    pub fn components(&self) -> Arc<Components> {
        self.state.components.load_full()
    }

    /// Serves until told to stop; then requests under way end, and what is to be written is written.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { refusal_socket, refusals, state, listeners, tls, settings } = self;
        let shared = state.components.load().shared.clone();
        let trail = shared.take_writer().map(|writer| tokio::spawn(writer.run()));
        state.start_jobs();
        let mut watching = JoinSet::new();
        watching.spawn(jobs::watch_certificates(tls));
        if let Some(refusal_socket) = refusal_socket {
            watching.spawn(refusal_socket.serve(refusals));
        }

        // Probes are answered until everything else has ended.
        let clients = Connections::new(settings.connections);
        let probes = Connections::new(PROBES);
        let mut accepting = JoinSet::new();
        for (listener, (kind, _)) in listeners.into_iter().zip(&state.services) {
            let connections = if *kind == ListenerKind::Admin { &probes } else { &clients };
            accepting.spawn(listener.accept(connections.clone()));
        }

        shutdown.drain().await;
        tracing::info!("stopping: requests in progress may end");
        state.health.drain();
        let cut_off = clients.drain(settings.drain_timeout, shutdown.now()).await;
        if cut_off > 0 {
            tracing::warn!(connections = cut_off, "cut off the requests that had not ended");
        }
        probes.drain(Duration::ZERO, std::future::ready(())).await;
        watching.shutdown().await;
        state.stop_jobs().await;
        accepting.shutdown().await;
        if let Err(error) = shared.uses.flush().await {
            tracing::warn!("cannot write when accounts were used last: {error}");
        }
        if let Err(error) = shared.pulls.clone().flush(shared.db.clone()).await {
            tracing::warn!("cannot write what was pulled last: {error}");
        }
        if let Err(error) = shared.pull_events.clone().flush(shared.db.clone()).await {
            tracing::warn!("cannot write events of the last pulls: {error}");
        }
        // The trail is written to its end when nobody is left to write to it.
        let db = shared.db.clone();
        drop((shared, state));
        if let Some(trail) = trail
            && timeout(TRAIL_FLUSH_TIMEOUT, trail).await.is_err()
        {
            tracing::error!("the end of the audit trail could not be written");
        }
        db.close().await;
        tracing::info!("stopped");
    }
}

impl State {
    fn start_jobs(&self) {
        let jobs = Jobs::start(&self.components.load());
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

/// Why a server could not be started on its components.
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
const TRAIL_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
