//! Sends one request at a time, and records it and its answer without secrets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use portpass_client::{
    host::is_loopback,
    transport::{NetworkZone, Resolver, danger::Verification, shown},
    trust::{Fallback, Protocols, ServerVerification, client_config, describe},
};
use portpass_token::Clock;
use reqwest::{
    Client,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret as _;

use super::{
    exchange::{Authorization, Exchange, HttpVersion, MAX_BODY, Request, RequestBody, Response},
    proxy::Proxies,
    redact::{self, Secrets},
};

mod error;

use self::error::request_error;
pub(super) use self::error::{RequestError, RequestErrorKind};

/// The most requests of a diagnosis that may not write.
pub(super) const REQUESTS: usize = 60;
/// The requests that one may send beyond them if it may write.
pub(super) const REQUESTS_TO_WRITE: usize = 60;
/// What docker waits for an answer (T13).
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest wait for all answers together, so that every diagnosis ends.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_mins(3);

/// How connections are made.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// The system's authorities.
    pub(super) system: Arc<[CertificateDer<'static>]>,
    /// Authorities that are trusted beside them.
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Whether certificates are verified.
    pub(super) verification: Verification,
    /// What is trusted where rustls refuses: more, once it is known that clients in Go accept it.
    pub(super) fallback: Fallback,
    /// The proxies of the environment.
    pub(super) proxies: Proxies,
    /// How near a name may lead: the registry's own reach, once it is known.
    pub(super) reach: NetworkZone,
}

/// Sends all requests of a diagnosis.
#[derive(Debug)]
pub(super) struct Probe {
    connection: Connection,
    clock: Arc<dyn Clock>,
    limit: usize,
    /// By version, and by whether proxies of the environment count.
    clients: Mutex<HashMap<(HttpVersion, bool), Client>>,
    exchanges: Mutex<Vec<Exchange>>,
    /// What must not be shown of them.
    pub(super) secrets: Secrets,
    /// How long was waited for answers, those included that did not come.
    waited: Mutex<Duration>,
}

impl Probe {
    /// With these connections.
    pub(super) fn new(connection: Connection, limit: usize, clock: Arc<dyn Clock>) -> Self {
        let (clients, exchanges, secrets, waited) = Default::default();
        Self { connection, clock, limit, clients, exchanges, secrets, waited }
    }

    /// What the next requests go by.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Changes how the next requests connect.
    pub(super) fn change_connection(&mut self, change: impl FnOnce(&mut Connection)) {
        change(&mut self.connection);
        self.clients.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends a request, follows nothing, and writes it down.
    pub(super) async fn send(&self, request: &Request) -> Result<Response, RequestError> {
        if self.exchanges().len() >= self.limit {
            let reason = format!("the limit of {} requests is reached", self.limit);
            return Err(RequestError { reason, kind: RequestErrorKind::Budget });
        }
        if *self.waited() >= TOTAL_TIMEOUT {
            let reason =
                format!("the limit of {} s of waiting is reached", TOTAL_TIMEOUT.as_secs());
            return Err(RequestError { reason, kind: RequestErrorKind::Budget });
        }
        self.secrets.learn_request(request);
        let begun = self.clock.now();
        let answer = self.exchange(request).await;
        *self.waited() += self.clock.now().duration_since(begun).unwrap_or_default();
        let exchange = Exchange {
            request: redact::request(request),
            answer: match &answer {
                Ok(seen) => {
                    self.secrets.learn_answer(&seen.body);
                    redact::answer(seen)
                }
                Err(error) => vec![error.to_string()],
            },
        };
        self.exchanges().push(exchange);
        answer
    }

    /// All that was said, in order, and nothing secret of it.
    pub(super) fn redacted_exchanges(&self) -> Vec<Exchange> {
        let mut spoken = self.exchanges().clone();
        for exchange in &mut spoken {
            self.secrets.hide_in_exchange(exchange);
        }
        spoken
    }

    fn client(&self, request: &Request) -> Result<Client, RequestError> {
        let host = request.url.host_str().unwrap_or_default();
        let route = (request.version, is_loopback(host.trim_matches(['[', ']'])));
        if request.fresh {
            return client(&self.connection, route);
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&route) {
            return Ok(client.clone());
        }
        let client = client(&self.connection, route)?;
        clients.insert(route, client.clone());
        Ok(client)
    }

    fn waited(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchanges(&self) -> std::sync::MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self, request: &Request) -> Result<Response, RequestError> {
        let client = self.client(request)?;
        let begun = self.clock.now();
        let mut response =
            build(&client, request)?.send().await.map_err(|error| request_error(&error))?;
        let mut body = Vec::new();
        let mut truncated = false;
        while let Some(chunk) = response.chunk().await.map_err(|error| request_error(&error))? {
            let room = MAX_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        let at = self.clock.now();
        Ok(Response {
            status: response.status(),
            headers: response.headers().clone(),
            body: body.into(),
            truncated,
            address: response.remote_addr(),
            http2: response.version() == reqwest::Version::HTTP_2,
            took: at.duration_since(begun).unwrap_or_default(),
            at,
        })
    }
}

fn client(
    connection: &Connection,
    (version, direct): (HttpVersion, bool),
) -> Result<Client, RequestError> {
    let builder = Client::builder()
        .user_agent(concat!("portpass-diagnose/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .timeout(TIMEOUT)
        // Whose proxies count is known here, and not asked of the environment.
        .no_proxy();
    let builder = match (direct, connection.proxies.is_empty()) {
        // A proxy may be anywhere, and resolves what it is asked for itself.
        (false, false) => {
            let proxies = connection.proxies.clone();
            builder.proxy(reqwest::Proxy::custom(move |url| {
                proxies.of_url(url).map(|proxy| proxy.url.clone())
            }))
        }
        _ => builder.dns_resolver(Resolver(connection.reach)),
    };
    let (builder, protocols) = match version {
        HttpVersion::Any => (builder, Protocols::Both),
        HttpVersion::Http1 => (builder.http1_only(), Protocols::Http1),
    };
    let believed = match connection.verification {
        Verification::Full => ServerVerification::Authorities {
            system: connection.system.to_vec(),
            named: connection.authorities.clone(),
            fallback: connection.fallback,
        },
        Verification::None => ServerVerification::Disabled,
    };
    let tls = client_config(believed, None, protocols).map_err(|error| RequestError {
        reason: describe(&error).unwrap_or_else(|| error.to_string()),
        kind: RequestErrorKind::Connect,
    })?;
    builder.tls_backend_preconfigured(tls).build().map_err(|error| request_error(&error))
}

fn build(client: &Client, request: &Request) -> Result<reqwest::RequestBuilder, RequestError> {
    let mut builder = client.request(request.method.clone(), request.url.clone());
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder = match &request.authorization {
        Authorization::None => builder,
        Authorization::Basic { username, password } => {
            builder.basic_auth(username, Some(password.expose_secret()))
        }
        Authorization::Bearer(token) => {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| RequestError {
                    reason: format!("a header of {} cannot carry the token", shown(&request.url)),
                    kind: RequestErrorKind::Broken,
                })?;
            value.set_sensitive(true);
            builder.header(AUTHORIZATION, value)
        }
        Authorization::Literal(words) => builder.header(AUTHORIZATION, words),
    };
    Ok(match &request.body {
        RequestBody::Nothing => builder,
        RequestBody::Bytes(bytes) => builder.body(bytes.clone()),
        RequestBody::Form(fields) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in fields {
                form.append_pair(name, value.expose_secret());
            }
            builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use portpass_testkit::http::{Served, reply};
    use reqwest::Url;

    use super::*;

    /// Goes on by a minute whenever it is looked at.
    #[derive(Debug, Default)]
    struct FastClock(Mutex<Duration>);

    impl Clock for FastClock {
        fn now(&self) -> SystemTime {
            let mut time = self.0.lock().unwrap();
            *time += Duration::from_mins(1);
            SystemTime::UNIX_EPOCH + *time
        }
    }

    #[tokio::test]
    async fn whoever_is_slow_is_not_waited_for_without_end() {
        let served = Served::always(reply(200, "")).await;
        let connection = Connection {
            system: Arc::default(),
            authorities: Vec::new(),
            verification: Verification::Full,
            fallback: Fallback::Named,
            proxies: Proxies::default(),
            reach: NetworkZone::Loopback,
        };
        let probe = Probe::new(connection, REQUESTS, Arc::new(FastClock::default()));
        let url: Url = served.url("/").parse().unwrap();
        let mut asked = 0;
        let error = loop {
            match probe.send(&Request::get(url.clone())).await {
                Ok(_) => asked += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind, RequestErrorKind::Budget);
        assert!(asked <= 3, "{asked}");
    }
}
