//! Requests, their answers, and what of both may be shown.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, HeaderName},
};
use secrecy::SecretString;

/// The longest body that is read. The largest client reads 1 MiB of a token service's answer.
pub(super) const MAX_BODY: usize = 1024 * 1024;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// GET and the like.
    pub(super) method: Method,
    /// Where to.
    pub(super) url: Url,
    /// Beside those that are sent anyway.
    pub(super) headers: Vec<(HeaderName, String)>,
    /// The credentials.
    pub(super) authorization: Authorization,
    /// What is sent.
    pub(super) body: RequestBody,
    /// Over which protocol.
    pub(super) version: HttpVersion,
    /// On a connection of its own.
    pub(super) fresh: bool,
}

/// The value of `Authorization`.
#[derive(Debug, Clone)]
pub(super) enum Authorization {
    /// Nothing.
    None,
    /// `Basic`.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// `Bearer`.
    Bearer(SecretString),
    /// This text. It is shown as it is, and must hold no secret.
    Literal(String),
}

/// A request's body.
#[derive(Debug, Clone)]
pub(super) enum RequestBody {
    /// None.
    Nothing,
    /// A form; its values are shown, but for passwords and tokens.
    Form(Vec<(&'static str, SecretString)>),
    /// Bytes, shown by their number.
    Bytes(Bytes),
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum HttpVersion {
    /// What TLS agrees on.
    Any,
    /// HTTP/1.1 alone.
    Http1,
}

impl Request {
    /// `GET`, with nothing.
    pub(super) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// With nothing.
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            authorization: Authorization::None,
            body: RequestBody::Nothing,
            version: HttpVersion::Any,
            fresh: false,
        }
    }

    /// As this caller.
    #[must_use]
    pub(super) fn with(mut self, authorization: Authorization) -> Self {
        self.authorization = authorization;
        self
    }

    /// With this body.
    #[must_use]
    pub(super) fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }

    /// On a connection of its own.
    #[must_use]
    pub(super) fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }
}

/// An answer. Its body may hold secrets: it is for looking at, not for showing.
#[derive(Debug, Clone)]
pub(super) struct Response {
    /// Of HTTP.
    pub(super) status: StatusCode,
    /// All of them; several of one name are several.
    pub(super) headers: HeaderMap,
    /// Cut at [`MAX_BODY`].
    pub(super) body: Bytes,
    /// Whether there was more of it.
    pub(super) truncated: bool,
    /// From where.
    pub(super) address: Option<SocketAddr>,
    /// By the version that was spoken.
    pub(super) http2: bool,
    /// How long it took.
    pub(super) took: Duration,
    /// When it was there, by our clock.
    pub(super) at: SystemTime,
}

impl Response {
    /// A header, if it is there once or more and is text; the first one.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `application/json`, without parameters and in lower case.
    pub(super) fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether it is a page for people.
    pub(super) fn is_html(&self) -> bool {
        self.media_type() == "text/html" || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// The server's clock, from `Date`.
    pub(super) fn date(&self) -> Option<SystemTime> {
        let text = self.header("date")?;
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(SystemTime::from(date.timestamp()))
    }
}

/// One exchange as it may be shown.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// `GET https://…`, with the query; values of secrets are left out.
    pub request: Vec<String>,
    /// Status, headers and the beginning of the body, or why there is none.
    pub answer: Vec<String>,
}
