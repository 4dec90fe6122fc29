//! Sends one request at a time and writes down what was said, secrets left out.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use portpass_client::{
    host::is_loopback,
    transport::{Reach, Resolver, danger::Verification, shown},
    trust::{Fallback, Protocols, ServerVerification, client_config, describe},
};
use portpass_token::Clock;
use reqwest::{
    Client, Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    proxy::Proxies,
    redact::{self, Secrets},
};

mod silence;

use self::silence::silence;
pub(super) use self::silence::{Silence, SilenceKind};

/// No more is asked of anybody in one diagnosis, unless it may write.
pub(super) const REQUESTS: usize = 60;
/// Requests more, for one that may.
pub(super) const REQUESTS_TO_WRITE: usize = 60;
/// What docker waits for an answer (T13).
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// All answers together are not waited for longer: a diagnosis ends, whatever it meets.
pub(super) const ALL_PATIENCE: Duration = Duration::from_mins(3);
/// The longest body that is read. The largest client reads 1 MiB of a token service's answer.
pub(super) const MAX_BODY: usize = 1024 * 1024;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// GET and the like.
    pub(super) method: Method,
    /// Where to.
    pub(super) url: Url,
    /// Beside those that are sent anyway.
    pub(super) headers: Vec<(HeaderName, String)>,
    /// Who is asking.
    pub(super) authorization: Authorization,
    /// What is sent.
    pub(super) body: Sent,
    /// Over which protocol.
    pub(super) version: Version,
    /// On a connection of its own.
    pub(super) fresh: bool,
}

/// What stands in `Authorization`.
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
    /// These very words; they are shown as they are, so nothing secret may be in them.
    Words(String),
}

/// A request's body.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// None.
    Nothing,
    /// A form; its values are shown, but for passwords and tokens.
    Form(Vec<(&'static str, SecretString)>),
    /// Bytes, shown by their number.
    Bytes(Bytes),
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Version {
    /// What TLS agrees on.
    Any,
    /// HTTP/1.1 alone.
    Http1,
}

impl Ask {
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
            body: Sent::Nothing,
            version: Version::Any,
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
    pub(super) fn send(mut self, body: Sent) -> Self {
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
pub(super) struct Seen {
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

impl Seen {
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

    /// The beginning of the body as one line, tokens left out.
    pub(super) fn excerpt(&self) -> String {
        redact::body(&self.body)
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

/// What requests go by.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// The system's authorities.
    pub(super) system: Arc<[CertificateDer<'static>]>,
    /// Who is trusted beside them.
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Whether it counts that somebody is not trusted.
    pub(super) verification: Verification,
    /// Whom else, once it is known that clients in Go are content and rustls is not.
    pub(super) rule: Fallback,
    /// The proxies of the environment.
    pub(super) proxies: Proxies,
    /// How near a name may lead: the registry's own reach, once it is known.
    pub(super) reach: Reach,
}

/// The one way out of a diagnosis.
#[derive(Debug)]
pub(super) struct Probe {
    way: Way,
    clock: Arc<dyn Clock>,
    limit: usize,
    /// By version, and by whether proxies of the environment count.
    clients: Mutex<HashMap<(Version, bool), Client>>,
    exchanges: Mutex<Vec<Exchange>>,
    /// What must not be shown of them.
    pub(super) secrets: Secrets,
    /// How long was waited for answers, those included that did not come.
    waited: Mutex<Duration>,
}

impl Probe {
    /// Goes this way.
    pub(super) fn new(way: Way, limit: usize, clock: Arc<dyn Clock>) -> Self {
        let (clients, exchanges, secrets, waited) = Default::default();
        Self { way, clock, limit, clients, exchanges, secrets, waited }
    }

    /// What the next requests go by.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// Changes the way that the next requests go.
    pub(super) fn change_way(&mut self, change: impl FnOnce(&mut Way)) {
        change(&mut self.way);
        self.clients.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends a request, follows nothing, and writes it down.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Seen, Silence> {
        if self.exchanges().len() >= self.limit {
            let reason = format!("{} requests are enough for one diagnosis", self.limit);
            return Err(Silence { reason, kind: SilenceKind::Budget });
        }
        if *self.waited() >= ALL_PATIENCE {
            let reason = format!("{} s of waiting are enough", ALL_PATIENCE.as_secs());
            return Err(Silence { reason, kind: SilenceKind::Budget });
        }
        self.secrets.learn_ask(ask);
        let begun = self.clock.now();
        let answer = self.exchange(ask).await;
        *self.waited() += self.clock.now().duration_since(begun).unwrap_or_default();
        let exchange = Exchange {
            request: redact::request(ask),
            answer: match &answer {
                Ok(seen) => {
                    self.secrets.learn_answer(&seen.body);
                    redact::answer(seen)
                }
                Err(silence) => vec![silence.to_string()],
            },
        };
        self.exchanges().push(exchange);
        answer
    }

    /// All that was said, in order, and nothing secret of it.
    pub(super) fn spoken(&self) -> Vec<Exchange> {
        let mut spoken = self.exchanges().clone();
        for exchange in &mut spoken {
            self.secrets.hide_in_exchange(exchange);
        }
        spoken
    }

    fn client(&self, ask: &Ask) -> Result<Client, Silence> {
        let host = ask.url.host_str().unwrap_or_default();
        let route = (ask.version, is_loopback(host.trim_matches(['[', ']'])));
        if ask.fresh {
            return client(&self.way, route);
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&route) {
            return Ok(client.clone());
        }
        let client = client(&self.way, route)?;
        clients.insert(route, client.clone());
        Ok(client)
    }

    fn waited(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchanges(&self) -> std::sync::MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self, ask: &Ask) -> Result<Seen, Silence> {
        let client = self.client(ask)?;
        let begun = self.clock.now();
        let mut response = request(&client, ask)?.send().await.map_err(|error| silence(&error))?;
        let mut body = Vec::new();
        let mut truncated = false;
        while let Some(chunk) = response.chunk().await.map_err(|error| silence(&error))? {
            let room = MAX_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        let at = self.clock.now();
        Ok(Seen {
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

fn client(way: &Way, (version, direct): (Version, bool)) -> Result<Client, Silence> {
    let builder = Client::builder()
        .user_agent(concat!("portpass-diagnose/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .timeout(PATIENCE)
        // Whose proxies count is known here, and not asked of the environment.
        .no_proxy();
    let builder = match (direct, way.proxies.is_empty()) {
        // A proxy may be anywhere, and resolves what it is asked for itself.
        (false, false) => {
            let proxies = way.proxies.clone();
            builder.proxy(reqwest::Proxy::custom(move |url| {
                proxies.of_url(url).map(|proxy| proxy.url.clone())
            }))
        }
        _ => builder.dns_resolver(Resolver(way.reach)),
    };
    let (builder, protocols) = match version {
        Version::Any => (builder, Protocols::Both),
        Version::Http1 => (builder.http1_only(), Protocols::Http1),
    };
    let believed = match way.verification {
        Verification::Full => ServerVerification::Authorities {
            system: way.system.to_vec(),
            named: way.authorities.clone(),
            fallback: way.rule,
        },
        Verification::None => ServerVerification::Disabled,
    };
    let tls = client_config(believed, None, protocols).map_err(|error| Silence {
        reason: describe(&error).unwrap_or_else(|| error.to_string()),
        kind: SilenceKind::Connect,
    })?;
    builder.tls_backend_preconfigured(tls).build().map_err(|error| silence(&error))
}

fn request(client: &Client, ask: &Ask) -> Result<reqwest::RequestBuilder, Silence> {
    let mut request = client.request(ask.method.clone(), ask.url.clone());
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    request = match &ask.authorization {
        Authorization::None => request,
        Authorization::Basic { username, password } => {
            request.basic_auth(username, Some(password.expose_secret()))
        }
        Authorization::Bearer(token) => {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| Silence {
                    reason: format!("the token cannot stand in a header of {}", shown(&ask.url)),
                    kind: SilenceKind::Broken,
                })?;
            value.set_sensitive(true);
            request.header(AUTHORIZATION, value)
        }
        Authorization::Words(words) => request.header(AUTHORIZATION, words),
    };
    Ok(match &ask.body {
        Sent::Nothing => request,
        Sent::Bytes(bytes) => request.body(bytes.clone()),
        Sent::Form(fields) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in fields {
                form.append_pair(name, value.expose_secret());
            }
            request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
        }
    })
}

#[cfg(test)]
mod tests {
    use portpass_testkit::http::{Served, reply};

    use super::*;

    /// Goes on by a minute whenever it is looked at.
    #[derive(Debug, Default)]
    struct Hurried(Mutex<Duration>);

    impl Clock for Hurried {
        fn now(&self) -> SystemTime {
            let mut time = self.0.lock().unwrap();
            *time += Duration::from_mins(1);
            SystemTime::UNIX_EPOCH + *time
        }
    }

    #[tokio::test]
    async fn whoever_is_slow_is_not_waited_for_without_end() {
        let served = Served::always(reply(200, "")).await;
        let way = Way {
            system: Arc::default(),
            authorities: Vec::new(),
            verification: Verification::Full,
            rule: Fallback::Named,
            proxies: Proxies::default(),
            reach: Reach::Loopback,
        };
        let probe = Probe::new(way, REQUESTS, Arc::new(Hurried::default()));
        let url: Url = served.url("/").parse().unwrap();
        let mut asked = 0;
        let silence = loop {
            match probe.ask(&Ask::get(url.clone())).await {
                Ok(_) => asked += 1,
                Err(silence) => break silence,
            }
        };
        assert_eq!(silence.kind, SilenceKind::Budget);
        assert!(asked <= 3, "{asked}");
    }
}
