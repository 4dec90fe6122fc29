//! Servers that want to be told: bytes are posted to them, signed where they share a secret with us.

use std::fmt::{self, Write as _};

use aws_lc_rs::hmac;
use bytes::Bytes;
use reqwest::{
    Method, Request, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use crate::web::{Web, WebError, WebSettings, shown};

/// Where a server is, and what is sent with every message.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Where messages are posted. Plain HTTP is possible: what is signed cannot be changed on the way, but read.
    pub url: Url,
    /// Whom to trust, and how long one message may take.
    pub web: WebSettings,
    /// Sent with every message; values that may be secret are marked as sensitive.
    pub headers: HeaderMap,
    /// Proves that a message is ours.
    pub secret: Option<SigningSecret>,
}

/// A secret that signs messages.
#[derive(Clone)]
pub struct SigningSecret(hmac::Key);

impl SigningSecret {
    /// From any text; the empty one signs nothing.
    pub fn new(text: &SecretString) -> Option<Self> {
        let text = text.expose_secret().as_bytes();
        (!text.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, text)))
    }

    /// `sha256=`, and the HMAC (RFC 2104) of the body in hex: the form in which many receivers expect it.
    fn sign(&self, body: &[u8]) -> String {
        let mut text = "sha256=".to_owned();
        for byte in hmac::sign(&self.0, body).as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

/// A server that is told.
#[derive(Debug)]
pub struct Webhook {
    url: Url,
    web: Web,
    headers: HeaderMap,
    secret: Option<SigningSecret>,
}

impl Webhook {
    /// Nothing is sent yet.
    pub fn new(settings: WebhookSettings) -> Self {
        let WebhookSettings { url, web, headers, secret } = settings;
        Self { url, web: Web::new(web), headers, secret }
    }

    /// Posts a message. It has arrived where the server says so by a status of 2xx.
    ///
    /// # Errors
    /// When it may not have arrived. What the error says holds no header and no secret.
    pub async fn deliver(&self, media_type: &'static str, body: Bytes) -> Result<(), WebhookError> {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(secret) = &self.secret
            && let Ok(signature) = secret.sign(&body).parse()
        {
            headers.insert(SIGNATURE, signature);
        }
        *request.body_mut() = Some(body.into());
        let status = self.web.status_of(request).await?;
        let url = || shown(&self.url);
        match status {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => Err(WebhookError::Redirect { url: url(), status }),
            status => Err(WebhookError::Status { url: url(), status }),
        }
    }
}

/// Why a message may not have arrived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It leads elsewhere.
    #[error("{url} answered {status}: redirects are not followed; name the last URL in `url`")]
    Redirect {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// It did not take the message.
    #[error("{url} answered {status}")]
    Status {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// There was no answer.
    #[error(transparent)]
    Web(#[from] WebError),
}

/// The name that receivers of webhooks know.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use axum::{Router, extract::State, http::Request as HttpRequest, response::Redirect};
    use tokio::{
        net::TcpListener,
        sync::{Mutex, mpsc},
    };

    use super::*;
    use crate::web::Redirects;

    /// RFC 4231 §4.3.
    #[test]
    fn a_message_is_signed_as_receivers_compute_it() {
        let secret = SigningSecret::new(&"Jefe".into()).unwrap();
        assert_eq!(
            secret.sign(b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(format!("{secret:?}"), "SigningSecret");
        assert!(SigningSecret::new(&"".into()).is_none());
    }

    fn webhook(url: &str, timeout: Duration) -> Webhook {
        let mut headers = HeaderMap::new();
        headers.insert("x-own", HeaderValue::from_static("a"));
        headers.append("x-own", HeaderValue::from_static("b"));
        Webhook::new(WebhookSettings {
            url: url.parse().unwrap(),
            web: WebSettings {
                authorities: Vec::new(),
                identity: None,
                timeout,
                redirects: Redirects::Refused,
            },
            headers,
            secret: SigningSecret::new(&"Jefe".into()),
        })
    }

    async fn serve(router: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=hidden", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    #[tokio::test]
    async fn the_server_gets_body_headers_and_signature_and_its_own_answer_is_not_read() {
        let (told, mut seen) = mpsc::channel(1);
        let told = Arc::new(Mutex::new(told));
        let handler = |State(told): State<Arc<Mutex<mpsc::Sender<_>>>>,
                       request: HttpRequest<axum::body::Body>| async move {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 99).await.unwrap();
            told.lock().await.send((head.headers, body)).await.unwrap();
            "long ".repeat(1 << 20)
        };
        let url = serve(Router::new().fallback(handler).with_state(told)).await;
        let body = Bytes::from_static(b"what do ya want for nothing?");
        let hook = webhook(&url, Duration::from_secs(9));
        hook.deliver("text/plain", body.clone()).await.unwrap();
        let (headers, received) = seen.recv().await.unwrap();
        assert_eq!(received, body);
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(headers.get_all("x-own").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            headers[SIGNATURE],
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[tokio::test]
    async fn what_was_not_taken_is_an_error_without_the_query_of_the_url() {
        let elsewhere = Router::new().fallback(|| async { Redirect::temporary("/other") });
        let refused = Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR });
        let silent = Router::new().fallback(std::future::pending::<&str>);
        for (router, expected) in [
            (elsewhere, "answered 307 Temporary Redirect: redirects are not followed"),
            (refused, "answered 500 Internal Server Error"),
            (silent, "did not answer within 300 ms"),
        ] {
            let hook = webhook(&serve(router).await, Duration::from_millis(300));
            let error = hook.deliver("text/plain", Bytes::new()).await.unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hidden"), "{error}");
        }
    }
}
