//! HTTP, counted: after so many answers, or in the middle of so many bytes, the server is killed.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicI64, Ordering},
};

use axum::body::Bytes;
use futures_util::{StreamExt as _, stream};
use portpass_protocol::Digest;
use portpass_testkit::{Portpass, SeededRng};
use reqwest::{
    Body, Client, Method, RequestBuilder, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap},
};

/// The server, and when it will be killed.
#[derive(Debug)]
pub(crate) struct Victim {
    server: Mutex<Portpass>,
    acknowledgements: AtomicI64,
    bytes: AtomicI64,
}

impl Victim {
    /// Lives until it is [condemned](Self::condemn).
    pub(crate) fn new(server: Portpass) -> Self {
        let never = || AtomicI64::new(i64::MAX);
        Self { server: Mutex::new(server), acknowledgements: never(), bytes: never() }
    }

    /// Lets chance say at which answer, or within which byte, it ends.
    pub(crate) fn condemn(&self, rng: &mut SeededRng) {
        let (counter, from, to) = match rng.below(2) {
            0 => (&self.acknowledgements, 50, 700),
            _ => (&self.bytes, 500_000, 20_000_000),
        };
        counter.store(i64::try_from(rng.between(from, to)).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, Portpass> {
        self.server.lock().unwrap()
    }

    fn count(&self, counter: &AtomicI64, number: usize) {
        let number = i64::try_from(number).unwrap();
        let left = counter.fetch_sub(number, Ordering::Relaxed);
        if left > 0 && left <= number {
            self.server().kill();
        }
    }
}

/// A server's answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Why nobody knows whether something was done, or why it was not.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nobody listened.
    NeverSent,
    /// The connection broke off.
    Unanswered,
    /// The server says that it cannot.
    Refused(Box<Answer>),
}

/// The way to the server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    http: Client,
    base: String,
    pub(crate) victim: Arc<Victim>,
}

impl Wire {
    pub(crate) fn to(victim: &Arc<Victim>) -> Self {
        let http = Client::builder().no_proxy().http1_only().build().unwrap();
        let base = victim.server().url();
        Self { http, base, victim: victim.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Gives the request a body that is sent in pieces.
    pub(crate) fn carrying(&self, request: RequestBuilder, bytes: &Bytes) -> RequestBuilder {
        let pieces: Vec<Bytes> =
            (0..bytes.len()).step_by(PIECE).map(|at| slice(bytes, at, at + PIECE)).collect();
        let victim = self.victim.clone();
        let pieces = stream::iter(pieces).map(move |piece| {
            victim.count(&victim.bytes, piece.len());
            Ok::<_, std::io::Error>(piece)
        });
        request
            .header(CONTENT_LENGTH, bytes.len())
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Body::wrap_stream(pieces))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, Lost> {
        let response = request.send().await.map_err(|error| lost(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| lost(&error))?;
        if status.is_success() {
            self.victim.count(&self.victim.acknowledgements, 1);
        }
        Ok(Answer { status, headers, body })
    }

    /// The bytes at a path, if there are any: whole, and what the digest says.
    pub(crate) async fn fetch(&self, path: &str, token: &str) -> Result<Option<Bytes>, Lost> {
        let answer = self.send(self.request(Method::GET, path).bearer_auth(token)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => {
                let said: Digest = answer.header("docker-content-digest").parse().unwrap();
                assert_eq!(Digest::of(said.algorithm(), &answer.body), said, "{path}");
                Ok(Some(answer.body))
            }
            status if status.is_server_error() => Err(Lost::Refused(answer.into())),
            _ => panic!("GET {path}: {answer:?}"),
        }
    }
}

fn slice(bytes: &Bytes, from: usize, to: usize) -> Bytes {
    bytes.slice(from..to.min(bytes.len()))
}

fn lost(error: &reqwest::Error) -> Lost {
    assert!(!error.is_builder(), "{error:?}");
    if error.is_connect() { Lost::NeverSent } else { Lost::Unanswered }
}

const PIECE: usize = 16 * 1024;
