//! A registry with its token service, and a session with them.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};

use super::{Memory, StoppedClock};
use crate::{
    credentials::Credentials,
    registry::Registry,
    remote::Remote,
    session::{Error, Pace, Session},
    transport::{Settings, Transport},
};

/// A pace that does not wait, and remembers for how long it should have.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<Vec<Duration>>);

impl Counted {
    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Pace for Counted {
    async fn wait(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }

    fn random(&self) -> u32 {
        u32::MAX
    }
}

/// How the registry of a stage asks for tokens.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    /// `Bearer realm="…",service="…"`
    pub(crate) wanted: String,
}

impl Gate {
    /// Lets those in whose token grants this; tells the others what they need.
    pub(crate) fn check(&self, seen: &Seen, scope: &str) -> Result<(), Reply> {
        let needed = scope.split(' ').all(|one| rights(seen).iter().any(|right| right == one));
        if needed {
            return Ok(());
        }
        let error = match seen.authorization {
            None => "",
            Some(_) => ",error=\"insufficient_scope\"",
        };
        Err(challenge(format!("{},scope=\"{scope}\"{error}", self.wanted)))
    }
}

/// What the token of a stage's service grants: what was asked for.
pub(crate) fn rights(seen: &Seen) -> Vec<String> {
    let token = seen.authorization.as_deref().and_then(|shown| shown.split_once('|'));
    token.map(|(_, scopes)| scopes.split('+').map(str::to_owned).collect()).unwrap_or_default()
}

/// A registry, its token service, and a session with them.
pub(crate) struct Stage {
    pub(crate) registry: Served,
    pub(crate) service: Served,
    pub(crate) memory: Arc<Memory>,
    pub(crate) pace: Arc<Counted>,
    pub(crate) session: Arc<Session>,
}

impl Stage {
    /// A registry that answers everything but the ping like this.
    pub(crate) async fn start(
        answer: impl Fn(&Seen, &Gate) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let number = AtomicUsize::new(0);
        let service = Served::start(move |seen| {
            let scopes = seen.all("scope").join(" ").replace(' ', "+");
            let number = number.fetch_add(1, Ordering::SeqCst) + 1;
            reply(200, format!(r#"{{"token":"{number}|{scopes}","expires_in":300}}"#))
        })
        .await;
        Self::with_service(service, answer).await
    }

    /// The same with another token service.
    pub(crate) async fn with_service(
        service: Served,
        answer: impl Fn(&Seen, &Gate) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let wanted = format!(r#"Bearer realm="{}",service="registry""#, service.url("/token"));
        let gate = Gate { wanted };
        let registry = Served::start(move |seen| match (seen.path.as_str(), &seen.authorization) {
            ("/v2/", None) => challenge(gate.wanted.clone()),
            _ => answer(seen, &gate),
        })
        .await;
        let (memory, pace) = (Arc::new(Memory::default()), Arc::new(Counted::default()));
        let session = session(registry.address, &memory, &pace, false);
        Self { registry, service, memory, pace, session }
    }

    /// A repository of it.
    pub(crate) fn remote(&self, name: &str) -> Remote {
        Remote::new(Arc::clone(&self.session), name.parse().unwrap())
    }

    /// The requests that the registry has seen, without the ping.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.registry.seen().into_iter().filter(|seen| seen.path != "/v2/").collect()
    }

    /// An error without the ports that the kernel picked.
    pub(crate) fn said(&self, error: &Error) -> String {
        let said = error.to_string().replace(&self.registry.address.to_string(), "REGISTRY");
        said.replace(&self.service.address.to_string(), "SERVICE")
    }
}

/// A session with whoever listens there; what does not move for half a second does not move.
pub(crate) fn session(
    address: SocketAddr,
    memory: &Arc<Memory>,
    pace: &Arc<Counted>,
    plain_http: bool,
) -> Arc<Session> {
    let settings = Settings { plain_http, idle: Duration::from_millis(500), ..Settings::default() };
    let registry = Registry::new(
        address.to_string().parse().unwrap(),
        Arc::new(Transport::new(settings)),
        Arc::clone(memory) as Arc<dyn Credentials>,
        StoppedClock::new(),
    );
    Arc::new(Session::with_pace(registry, Arc::clone(pace) as Arc<dyn Pace>))
}
