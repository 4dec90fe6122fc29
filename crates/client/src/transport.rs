//! HTTP for all requests: limits, TLS, redirects without credentials, and network zones.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use portpass_protocol::error::reported::Reported;
use reqwest::{
    Client, ClientBuilder, Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    host::is_loopback,
    trust::{Protocols, client_config, tls_error_text},
};

mod error;
mod retry_after;
mod settings;
mod streaming;
#[cfg(test)]
mod tests;
mod zone;

pub use error::TransportError;
use error::deepest;
pub(crate) use retry_after::{retry_after, retry_after_text};
pub use settings::{CertificatePaths, Settings, danger};
pub(crate) use streaming::{Content, StreamingRequest, StreamingResponse, resolve_location};
pub use zone::{NetworkZone, Resolver};

pub use crate::trust::Identity;

/// The longest body of a short response, in bytes (T3).
pub const MAX_BODY: usize = 64 * 1024;
/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends HTTP requests. It builds its HTTP clients (one per [`NetworkZone`]) on first use, and they
/// keep their connections.
#[derive(Debug, Default)]
pub struct Transport {
    settings: Settings,
    clients: Mutex<HashMap<Route, Client>>,
}

/// Which client a request goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Route {
    zone: NetworkZone,
    /// Proxies of the environment do not count for loopback.
    direct: bool,
    /// No TLS is spoken, not even with a proxy: the system's authorities need not be read, which takes
    /// longer than most commands.
    plain: bool,
}

/// One request. It has a secret in it or it has not; both are known here.
#[derive(Debug)]
pub(crate) struct BufferedRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// How far it may go.
    pub(crate) zone: NetworkZone,
    pub(crate) authorization: Option<SecretString>,
    /// An `application/x-www-form-urlencoded` body, with secrets in it.
    pub(crate) form: Option<SecretString>,
}

impl BufferedRequest {
    pub(crate) fn get(url: Url, zone: NetworkZone) -> Self {
        Self { method: Method::GET, url, zone, authorization: None, form: None }
    }

    fn has_secrets(&self) -> bool {
        self.authorization.is_some() || self.form.is_some()
    }
}

/// An answer, its body cut at [`MAX_BODY`].
#[derive(Debug)]
pub(crate) struct BufferedResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether there was more of it.
    pub(crate) truncated: bool,
    /// Where it came from in the end.
    pub(crate) url: Url,
    pub(crate) address: Option<SocketAddr>,
}

impl BufferedResponse {
    /// What an error's body says, for a person.
    pub(crate) fn said(&self) -> Reported {
        Reported::read(&self.body)
    }

    pub(crate) fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

/// For messages: a URL without its query, which may name accounts.
pub fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

impl Transport {
    /// A transport with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, clients: Mutex::default() }
    }

    /// Whether plain HTTP was asked for beyond loopback.
    pub(crate) fn plain_http(&self) -> bool {
        self.settings.plain_http
    }

    /// Sends a request and reads its answer.
    ///
    /// A redirect within the origin is followed with everything that was sent. One that leads
    /// elsewhere is followed only if there is nothing secret to send, and never from HTTPS to HTTP.
    pub(crate) async fn send(
        &self,
        mut call: BufferedRequest,
    ) -> Result<BufferedResponse, TransportError> {
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send_once(&call).await?;
            match redirected(&call, &answer)? {
                None => return Ok(answer),
                Some(url) => call.url = url,
            }
        }
        Err(TransportError::TooManyRedirects { url: shown(&call.url) })
    }

    async fn send_once(&self, call: &BufferedRequest) -> Result<BufferedResponse, TransportError> {
        let failed = |error: reqwest::Error| TransportError::of(&call.url, &error);
        let client = self.client_to(&call.url, call.zone)?;
        let mut request = client.request(call.method.clone(), call.url.clone()).timeout(TIMEOUT);
        if let Some(authorization) = &call.authorization {
            let mut value = HeaderValue::try_from(authorization.expose_secret())
                .map_err(|_| TransportError::Unsendable { url: shown(&call.url) })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(form) = &call.form {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.expose_secret().to_owned());
        }
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        let mut truncated = false;
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            let room = MAX_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        Ok(BufferedResponse {
            status: response.status(),
            headers: response.headers().clone(),
            body,
            truncated,
            url: response.url().clone(),
            address: response.remote_addr(),
        })
    }

    fn client_to(&self, url: &Url, zone: NetworkZone) -> Result<Client, TransportError> {
        let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
        let direct = host.is_some_and(is_loopback);
        let route = Route { zone, direct, plain: direct && url.scheme() == "http" };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&route) {
            return Ok(client.clone());
        }
        let client = self.build(route)?;
        clients.insert(route, client.clone());
        Ok(client)
    }

    fn build(&self, route: Route) -> Result<Client, TransportError> {
        let verification = self.settings.server_verification(!route.plain);
        let tls = client_config(verification, self.settings.identity.as_ref(), Protocols::Both)
            .map_err(|error| TransportError::Tls { reason: tls_error_text(&error) })?;
        let client = builder(route).tls_backend_preconfigured(tls).build();
        client.map_err(|error| TransportError::Tls { reason: deepest(&error) })
    }
}

fn builder(route: Route) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("portpass/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(Resolver(route.zone));
    if route.direct { builder.no_proxy() } else { builder }
}

/// Where to go next, if the answer says so and we may.
fn redirected(
    call: &BufferedRequest,
    answer: &BufferedResponse,
) -> Result<Option<Url>, TransportError> {
    let keeps_method = matches!(answer.status.as_u16(), 307 | 308);
    let repeats =
        keeps_method || (call.form.is_none() && matches!(answer.status.as_u16(), 301..=303));
    let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(target) = location.and_then(|location| call.url.join(location).ok()) else {
        return Ok(None);
    };
    if !answer.status.is_redirection() {
        return Ok(None);
    }
    let elsewhere = || TransportError::Redirect { from: shown(&call.url), to: shown(&target) };
    if !repeats {
        return Err(elsewhere());
    }
    if target.origin() != call.url.origin() {
        let downgrade = call.url.scheme() == "https" && target.scheme() != "https";
        let known = matches!(target.scheme(), "http" | "https");
        if call.has_secrets() || downgrade || !known || !call.zone.allows_host(&target) {
            return Err(elsewhere());
        }
    }
    Ok(Some(target))
}
