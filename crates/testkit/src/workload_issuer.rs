//! An issuer of workload identities: its discovery document and its keys on loopback, and tokens of the shapes that
//! real issuers sign.

pub mod shape;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use portpass_jose::{Algorithm, KeyIdForm, KeySet, SigningKey};
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub use self::shape::Shape;

/// An issuer that is asked over HTTP.
#[derive(Debug)]
pub struct WorkloadIssuer {
    address: SocketAddr,
    published: Arc<Published>,
    key: Mutex<SigningKey>,
    server: Mutex<Option<Server>>,
}

/// What it tells of itself.
#[derive(Debug)]
struct Published {
    issuer: String,
    keys: Mutex<String>,
    asked: AtomicUsize,
    broken: Mutex<Option<StatusCode>>,
}

#[derive(Debug)]
struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl WorkloadIssuer {
    /// Starts it, with a key for this algorithm.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn start(algorithm: Algorithm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let key = SigningKey::generate(algorithm).expect("a key");
        let published = Arc::new(Published {
            issuer: format!("http://{address}"),
            keys: Mutex::new(key_set(&[&key])),
            asked: AtomicUsize::new(0),
            broken: Mutex::default(),
        });
        let server = serve(listener, Arc::clone(&published));
        Self { address, published, key: Mutex::new(key), server: Mutex::new(Some(server)) }
    }

    /// Its URL, as in `iss`.
    pub fn url(&self) -> &str {
        &self.published.issuer
    }

    /// The keys that it publishes.
    pub fn key_set(&self) -> String {
        locked(&self.published.keys).clone()
    }

    /// How often its keys were fetched.
    pub fn fetched(&self) -> usize {
        self.published.asked.load(Ordering::SeqCst)
    }

    /// Signs with a new key from now on, and publishes it beside nothing else.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn rotate(&self) {
        let algorithm = locked(&self.key).algorithm();
        let key = SigningKey::generate(algorithm).expect("a key");
        *locked(&self.published.keys) = key_set(&[&key]);
        *locked(&self.key) = key;
    }

    /// Answers everything with this status, or again as it should.
    ///
    /// # Panics
    /// If there is no such status.
    pub fn answer(&self, status: Option<u16>) {
        let status = status.map(|status| StatusCode::from_u16(status).expect("a status"));
        *locked(&self.published.broken) = status;
    }

    /// Closes its port.
    pub fn stop(&self) {
        if let Some(server) = locked(&self.server).take() {
            let _ = server.stop.send(());
            let _ = server.thread.join();
        }
    }

    /// Opens the same port again.
    ///
    /// # Panics
    /// If somebody else has it.
    pub fn start_again(&self) {
        let listener = TcpListener::bind(self.address).expect("the same port");
        *locked(&self.server) = Some(serve(listener, Arc::clone(&self.published)));
    }

    /// A token of this shape for this audience, issued now, with the members of `claims` in place of the shape's.
    ///
    /// # Panics
    /// If `claims` is no object.
    pub fn token(&self, shape: Shape, audience: &str, now: SystemTime, claims: &Value) -> String {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
        let mut all = shape.claims(self.url(), audience, since.as_secs());
        let members = all.as_object_mut().expect("a shape is an object");
        for (name, value) in claims.as_object().expect("claims are an object") {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        self.sign(&all)
    }

    /// Signs any claims.
    ///
    /// # Panics
    /// If the key does not sign.
    pub fn sign(&self, claims: &Value) -> String {
        let payload = claims.to_string();
        let signed = locked(&self.key).sign_compact(KeyIdForm::Rfc7638, payload.as_bytes());
        signed.expect("a signature")
    }
}

impl Drop for WorkloadIssuer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// As Kubernetes publishes them: beside the keys one of a kind that nobody here knows.
fn key_set(keys: &[&SigningKey]) -> String {
    let mut set = KeySet::new();
    for key in keys {
        set.insert(key.public().clone());
    }
    let mut set: Value = serde_json::from_str(&set.to_jwks()).expect("a key set is JSON");
    let unknown =
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "unknown", "use": "sig", "pub": "AAAA" });
    set["keys"].as_array_mut().expect("a list of keys").insert(0, unknown);
    set.to_string()
}

fn serve(listener: TcpListener, published: Arc<Published>) -> Server {
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            listener.set_nonblocking(true).expect("a socket that does not block");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let router = Router::new()
                .route("/.well-known/openid-configuration", get(document))
                .route("/keys", get(keys))
                .with_state(published);
            // What is being answered is cut off: an issuer that is down answers nobody.
            tokio::select! {
                served = axum::serve(listener, router) => served.expect("it serves"),
                _ = stopped => {}
            }
        });
    });
    Server { stop, thread }
}

/// What Kubernetes and GitHub publish has no `authorization_endpoint`.
async fn document(State(published): State<Arc<Published>>) -> impl IntoResponse {
    if let Some(status) = *locked(&published.broken) {
        return (status, String::new());
    }
    let issuer = &published.issuer;
    let document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    (StatusCode::OK, document.to_string())
}

async fn keys(State(published): State<Arc<Published>>) -> impl IntoResponse {
    published.asked.fetch_add(1, Ordering::SeqCst);
    match *locked(&published.broken) {
        Some(status) => (status, String::new()),
        None => (StatusCode::OK, locked(&published.keys).clone()),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a token of most issuers lives.
pub const LIFETIME: Duration = Duration::from_mins(5);
