//! The registry as a service: one way in for every request.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use axum::{body::Body, response::Response};
use http::{Request, request::Parts};
use portpass_protocol::{ClientAddress, Handled, Origin};
use portpass_state::Db;
use portpass_storage::BlobStore;
use portpass_token::{Clock, Random};

use crate::{
    access::{self, Authorized, Caller},
    controller::Guard,
    error::Error,
    event::Witness,
    handler,
    intake::Intake,
    respond,
    route::Route,
};

/// What a registry is made of.
#[derive(Debug)]
pub struct RegistryParts {
    /// Who may do what.
    pub guard: Guard,
    /// Manifests, tags, and which blobs belong to which repository.
    pub db: Db,
    /// The bytes of blobs.
    pub store: Arc<dyn BlobStore>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Names for upload sessions.
    pub random: Arc<dyn Random>,
    /// Whether anything may be deleted.
    pub deletes: Deletes,
    /// Who is told of what changes.
    pub witness: Arc<dyn Witness>,
}

/// One switch for tags, manifests and blobs (CVE-2026-41888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    /// Refused with 405, whoever asks.
    Disabled,
    /// A question of rights.
    Enabled,
}

/// The registry. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
    /// For what is written on behalf of somebody.
    db: Db,
}

/// What all clones have in common.
#[derive(Debug)]
struct Shared {
    parts: RegistryParts,
    intake: Intake,
}

impl Registry {
    /// A registry of these parts.
    pub fn new(parts: RegistryParts) -> Self {
        let db = parts.db.clone();
        Self { shared: Arc::new(Shared { parts, intake: Intake::new() }), db }
    }

    /// The whole way of a request. There is no other door to a handler.
    ///
    /// The listener has put the address that the client used into the request's extensions
    /// ([`Origin`]). The answer's extensions say who asked and why they were refused ([`Handled`]):
    /// whoever writes the access log writes it there, beside the request's id.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        let (head, body) = request.into_parts();
        let method = head.method.clone();
        let response = self.answer(head, body).await;
        respond::finish(&method, response)
    }

    async fn answer(&self, head: Parts, body: Body) -> Response {
        if head.uri.path() == "/" {
            // Load balancers ask here whether anybody is alive (AR15).
            return Response::new(Body::empty());
        }
        let route = match Route::parse(&head.method, &head.uri) {
            Ok(route) => route,
            Err(error) => return respond::route_error(&error),
        };
        let Some(origin) = head.extensions.get::<Origin>() else {
            return respond::error(&Error::Origin, "");
        };
        match access::authorize(self.guard(), Caller::of(&head), route, origin).await {
            Ok(authorized) => self.serve(authorized, head, body).await,
            Err(denied) => respond::denied(&denied),
        }
    }

    async fn serve(&self, authorized: Authorized, head: Parts, body: Body) -> Response {
        let subject = authorized.grant().subject().to_owned();
        let registry = if head.method.is_safe() {
            self.clone()
        } else {
            self.on_behalf_of(&subject, head.extensions.get().copied())
        };
        match handler::serve(authorized, registry, head, body).await {
            Ok(mut response) => {
                response.extensions_mut().insert(Handled::served(subject));
                response
            }
            Err(error) => respond::error(&error, &subject),
        }
    }

    /// The same registry, where this account writes, or this address where it has no name: among those who write,
    /// each has its turn.
    pub(crate) fn on_behalf_of(&self, account: &str, address: Option<ClientAddress>) -> Self {
        let db = match (account, address) {
            ("", Some(address)) => self.db.by(&format!("network {:02x?}", address.network())),
            (account, _) => self.db.by(account),
        };
        Self { shared: Arc::clone(&self.shared), db }
    }

    /// Room for manifests under way.
    pub(crate) fn intake(&self) -> &Intake {
        &self.shared.intake
    }

    /// Who may do what.
    pub(crate) fn guard(&self) -> &Guard {
        &self.shared.parts.guard
    }

    /// Manifests, tags, and which blobs belong to which repository.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// The bytes of blobs.
    pub(crate) fn store(&self) -> &Arc<dyn BlobStore> {
        &self.shared.parts.store
    }

    /// What time it is.
    pub(crate) fn now(&self) -> SystemTime {
        self.shared.parts.clock.now()
    }

    /// 128 random bits.
    pub(crate) fn draw(&self) -> [u8; 16] {
        let mut bits = [0; 16];
        self.shared.parts.random.fill(&mut bits);
        bits
    }

    /// Who is told of what changes.
    pub(crate) fn witness(&self) -> &dyn Witness {
        &*self.shared.parts.witness
    }

    /// Whether anything may be deleted.
    pub(crate) fn deletes(&self) -> Deletes {
        self.shared.parts.deletes
    }
}

impl tower::Service<Request<Body>> for Registry {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let registry = self.clone();
        Box::pin(async move { Ok(registry.handle(request).await) })
    }
}
