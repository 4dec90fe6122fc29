//! HTTP servers for tests of clients: real sockets on loopback, and answers that the test decides.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
};

mod raw;

pub use raw::{Raw, Then};

/// A request that a server got.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of its first line.
    pub method: Method,
    /// `Host`.
    pub host: String,
    /// The path of its URL, percent-encoded.
    pub path: String,
    /// The parameters of its URL.
    pub query: Vec<(String, String)>,
    /// The fields of its body, if that is a form.
    pub form: Vec<(String, String)>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Seen {
    /// The values of a parameter of the query or the form.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let pairs = self.query.iter().chain(&self.form);
        pairs.filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a parameter.
    ///
    /// # Panics
    /// If there are several.
    pub fn one(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is there {} times", values.len());
        values.first().copied()
    }

    /// Name and password of `Basic`.
    ///
    /// # Panics
    /// If they are not base64 of UTF-8.
    pub fn basic(&self) -> Option<String> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let encoded = self.authorization.as_deref()?.strip_prefix("Basic ")?;
        Some(String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("UTF-8"))
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(header::HeaderName, String)>,
    body: Bytes,
}

/// An answer with this status and body.
pub fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into() }
}

/// A redirect.
pub fn redirect(status: u16, to: impl Into<String>) -> Reply {
    reply(status, "").with(header::LOCATION, to)
}

/// A 401 with this challenge.
pub fn challenge(challenge: impl Into<String>) -> Reply {
    let body =
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#;
    reply(401, body).with(header::WWW_AUTHENTICATE, challenge)
}

impl Reply {
    /// With this header, too.
    #[must_use]
    pub fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server that is gone when this is dropped.
#[derive(Debug)]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    /// A server that gives these answers, on a port that the kernel picks.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&seen));
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let request = Seen {
                method,
                host: headers
                    .get(header::HOST)
                    .map(|host| host.to_str().expect("a text").to_owned())
                    .unwrap_or_default(),
                path: uri.path().to_owned(),
                query: pairs(uri.query().unwrap_or_default().as_bytes()),
                form: pairs(&body),
                authorization: headers
                    .get(header::AUTHORIZATION)
                    .map(|value| value.to_str().expect("a text").to_owned()),
                headers,
                body,
            };
            let reply = answer(&request);
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            async move {
                let mut response = Response::new(Body::from(reply.body));
                *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status");
                for (name, value) in reply.headers {
                    response.headers_mut().append(name, value.parse().expect("a header's value"));
                }
                response
            }
        };
        let router = Router::new().fallback(handler).layer(DefaultBodyLimit::disable());
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, seen, task }
    }

    /// A server that answers everything alike.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// The URL of a path there.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The only request so far.
    ///
    /// # Panics
    /// If there is none, or more than one.
    pub fn only(&self) -> Seen {
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
