//! Requests to the servers of others, with limits to everything.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Request, Response, StatusCode, Url,
    header::{ACCEPT, HeaderValue},
    redirect,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::CertificateDer,
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::sync::OnceCell;

use crate::issuer_url::{is_loopback, is_secure};

/// Whom to trust, what to show, and how long to wait.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Trusted beside the system's authorities.
    pub authorities: Vec<CertificateDer<'static>>,
    /// A certificate to show, for servers that ask for one.
    pub identity: Option<Arc<CertifiedKey>>,
    /// For one request, from the first packet to the last.
    pub timeout: Duration,
    /// Whether answers may lead elsewhere.
    pub redirects: Redirects,
}

/// Whether a redirect is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// A few, and never from HTTPS to HTTP.
    Followed,
    /// None: what is sent has a secret in it.
    Refused,
}

/// Sends requests to one server. Nothing is read or built before the first.
#[derive(Debug)]
pub(crate) struct Web {
    settings: Arc<WebSettings>,
    client: OnceCell<Client>,
}

impl Web {
    pub(crate) fn new(settings: WebSettings) -> Self {
        Self { settings: Arc::new(settings), client: OnceCell::new() }
    }

    /// What a GET brings, if it is 200 and no longer than that.
    pub(crate) async fn get(&self, url: &Url, most: usize) -> Result<Bytes, WebError> {
        let mut request = Request::new(reqwest::Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let (status, body) = self.send(request, most).await?;
        if status == StatusCode::OK {
            Ok(body)
        } else {
            Err(WebError::Status { url: shown(url), status })
        }
    }

    /// Sends a request and reads its answer, whatever the status.
    pub(crate) async fn send(
        &self,
        request: Request,
        most: usize,
    ) -> Result<(StatusCode, Bytes), WebError> {
        let url = request.url().clone();
        let answer = async {
            let mut response = self.execute(request).await?;
            let mut body = Vec::new();
            while let Some(chunk) =
                response.chunk().await.map_err(|error| self.failed(&url, &error))?
            {
                body.extend_from_slice(&chunk);
                if body.len() > most {
                    return Err(WebError::TooLong { url: shown(&url), most });
                }
            }
            Ok((response.status(), body.into()))
        };
        self.in_time(&url, answer).await
    }

    /// Sends a request to which the status is all the answer: nobody reads the rest.
    pub(crate) async fn status_of(&self, request: Request) -> Result<StatusCode, WebError> {
        let url = request.url().clone();
        let answer = async { Ok(self.execute(request).await?.status()) };
        self.in_time(&url, answer).await
    }

    async fn execute(&self, request: Request) -> Result<Response, WebError> {
        let url = request.url().clone();
        let client = self.client(&url).await?;
        client.execute(request).await.map_err(|error| self.failed(&url, &error))
    }

    async fn in_time<T>(
        &self,
        url: &Url,
        answer: impl Future<Output = Result<T, WebError>>,
    ) -> Result<T, WebError> {
        let timeout = self.settings.timeout;
        tokio::time::timeout(timeout, answer)
            .await
            .unwrap_or_else(|_| Err(WebError::Timeout { url: shown(url), timeout }))
    }

    fn failed(&self, url: &Url, error: &reqwest::Error) -> WebError {
        let url = shown(url);
        if error.is_timeout() && !error.is_connect() {
            WebError::Timeout { url, timeout: self.settings.timeout }
        } else {
            WebError::Failed { url, why: deepest(error) }
        }
    }

    /// Built at the first request: reading the system's authorities takes a while.
    async fn client(&self, url: &Url) -> Result<&Client, WebError> {
        let (settings, direct) = (Arc::clone(&self.settings), is_loopback(url));
        let plain = direct && url.scheme() == "http";
        let build = || async move {
            let built = tokio::task::spawn_blocking(move || build(&settings, direct, plain)).await;
            built
                .unwrap_or_else(|panic| Err(panic.to_string()))
                .map_err(|why| WebError::Tls { why })
        };
        self.client.get_or_try_init(build).await
    }
}

/// The proxies of the environment count, but not for loopback.
fn build(settings: &WebSettings, direct: bool, plain: bool) -> Result<Client, String> {
    let tls = tls(settings, plain).map_err(|error| error.to_string())?;
    let builder = Client::builder()
        .user_agent(concat!("portpass/", env!("CARGO_PKG_VERSION")))
        .redirect(match settings.redirects {
            Redirects::Refused => redirect::Policy::none(),
            Redirects::Followed => redirect::Policy::custom(follow),
        })
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(settings.timeout)
        .tls_backend_preconfigured(tls);
    let builder = if direct { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| deepest(&error))
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let before = attempt.previous();
    let leaves_here =
        before.last().is_some_and(|last| !is_loopback(last)) && is_loopback(attempt.url());
    if before.len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else if !is_secure(attempt.url()) || leaves_here {
        attempt.error("the redirect leads to plain HTTP or into this machine")
    } else {
        attempt.follow()
    }
}

fn tls(settings: &WebSettings, plain: bool) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    if !plain {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for authority in &settings.authorities {
        roots.add(authority.clone())?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .with_root_certificates(roots);
    match &settings.identity {
        Some(own) => {
            let identity = SingleCertAndKey::from(Arc::clone(own));
            Ok(builder.with_client_cert_resolver(Arc::new(identity)))
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

/// Why a server of others gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// No connection, no TLS, or it broke.
    #[error("{url} cannot be reached: {why}")]
    Failed {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// Another answer than one that is of use.
    #[error("{url} answered {status}")]
    Status {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// It took too long.
    #[error("{url} did not answer within {} ms", timeout.as_millis())]
    Timeout {
        /// Where.
        url: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// Our own side of TLS.
    #[error("TLS cannot be set up: {why}")]
    Tls {
        /// Why.
        why: String,
    },
    /// More than anybody has to say.
    #[error("{url} answered with more than {most} bytes")]
    TooLong {
        /// Where.
        url: String,
        /// In bytes.
        most: usize,
    },
}

/// For messages: a URL without its query, which may hold a secret.
pub(crate) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// The cause of all causes, in its own words.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 3;
