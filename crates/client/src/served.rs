//! Token services and registries for the tests: real sockets on loopback, answers as told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
};
use portpass_token::Clock;

mod memory;
mod raw;
mod stage;

pub(crate) use memory::{MEMORY, Memory};
pub(crate) use raw::{Raw, Then};
pub(crate) use stage::{Counted, Stage, rights, session};

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) authorization: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// The values of a parameter of the query or the form.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let pairs = self.query.iter().chain(&self.form);
        pairs.filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a parameter.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is there {} times", values.len());
        values.first().copied()
    }

    /// Name and password of `Basic`.
    pub(crate) fn basic(&self) -> Option<String> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let encoded = self.authorization.as_deref()?.strip_prefix("Basic ")?;
        Some(String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap())
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(header::HeaderName, String)>,
    body: Bytes,
}

/// An answer with this status and body.
pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into() }
}

/// A redirect.
pub(crate) fn redirect(status: u16, to: impl Into<String>) -> Reply {
    reply(status, "").with(header::LOCATION, to)
}

/// A 401 with this challenge.
pub(crate) fn challenge(challenge: impl Into<String>) -> Reply {
    let body =
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#;
    reply(401, body).with(header::WWW_AUTHENTICATE, challenge)
}

impl Reply {
    pub(crate) fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server that is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&seen));
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let request = Seen {
                method,
                host: headers
                    .get(header::HOST)
                    .map(|host| host.to_str().unwrap().to_owned())
                    .unwrap_or_default(),
                path: uri.path().to_owned(),
                query: pairs(uri.query().unwrap_or_default().as_bytes()),
                form: pairs(&body),
                authorization: headers
                    .get(header::AUTHORIZATION)
                    .map(|value| value.to_str().unwrap().to_owned()),
                headers,
                body,
            };
            let reply = answer(&request);
            kept.lock().unwrap().push(request);
            async move {
                let mut response = Response::new(Body::from(reply.body));
                *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
                for (name, value) in reply.headers {
                    response.headers_mut().append(name, value.parse().unwrap());
                }
                response
            }
        };
        let router = Router::new().fallback(handler).layer(DefaultBodyLimit::disable());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, task }
    }

    /// A server that answers everything alike.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen[0].clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

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
