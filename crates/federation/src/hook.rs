//! Accounts that a service of the operator's own knows: one question in JSON, one answer.
//!
//! ```text
//! Question  login: name, password, service, address      who is this?
//!           lookup: name or id, no password              is that account still what it was?
//! Answer    yes { account }   no { reason }   unknown: not mine   unavailable: cannot say
//! Fault     no answer, or one that makes no sense: never a no
//! ```
//!
//! `docs/http-accounts.yaml` describes both for others, and the tests hold them against it.

mod answer;
mod fault;
mod question;
#[cfg(test)]
mod tests;

use std::{fmt, num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, Request, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

pub use self::{
    answer::{Answer, Garbled, HookAccount, HookCeiling},
    fault::Fault,
    question::{AccountKey, Question},
};
use crate::web::{Web, WebSettings, shown};

/// Where the service is, and how it is asked.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// Where questions are sent; nothing secret leaves for it in the clear ([`crate::issuer_url::secure_url`]).
    pub url: Url,
    /// Whom to trust, what to show, and how long a question may take. Redirects are refused: the question has a password
    /// in it.
    pub web: WebSettings,
    /// What proves to the service that it is us who ask.
    pub bearer: Option<BearerToken>,
    /// How many questions may be open at once.
    pub calls: NonZeroUsize,
}

/// A token for `Authorization: Bearer` (RFC 6750 §2.1).
#[derive(Clone)]
pub struct BearerToken(HeaderValue);

impl BearerToken {
    /// Reads one; `None` where the text can be none.
    pub fn parse(text: &SecretString) -> Option<Self> {
        let text = text.expose_secret();
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if text.is_empty() || !text.bytes().all(legal) {
            return None;
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}

/// A service that is asked who somebody is.
#[derive(Debug)]
pub struct Hook {
    url: Url,
    web: Web,
    bearer: Option<BearerToken>,
    open: Semaphore,
    calls: NonZeroUsize,
    timeout: Duration,
}

impl Hook {
    /// Nothing is asked yet: a service that is away stops no start.
    pub fn new(settings: HookSettings) -> Self {
        Self {
            timeout: settings.web.timeout,
            url: settings.url,
            web: Web::new(settings.web),
            bearer: settings.bearer,
            open: Semaphore::new(settings.calls.get()),
            calls: settings.calls,
        }
    }

    /// Asks. The time limit is for waiting in line too.
    ///
    /// # Errors
    /// Where there is no answer that can be used: nobody is let in for it, and nobody refused. What the error says holds
    /// nothing of the password.
    pub async fn ask(&self, question: &Question<'_>) -> Result<Answer, Fault> {
        if question.has_empty_password() {
            // Some services take an empty password for nobody, and answer yes.
            return Ok(Answer::No {
                reason: Some("the password is empty".to_owned()),
                account: None,
            });
        }
        let (status, body) = self.send(question).await?;
        if status != StatusCode::OK {
            return Err(Fault::status(&self.url, status));
        }
        let answer =
            Answer::parse(&body).map_err(|why| Fault::Garbled { url: shown(&self.url), why })?;
        Ok(answer.without(question.password()))
    }

    async fn send(&self, question: &Question<'_>) -> Result<(StatusCode, Bytes), Fault> {
        let (url, after) = (shown(&self.url), self.timeout);
        let until = Instant::now() + after;
        let Ok(_call) = timeout_at(until, self.open.acquire()).await else {
            return Err(Fault::Busy { url, calls: self.calls, after });
        };
        match timeout_at(until, self.web.send(self.request(question), MAX_ANSWER)).await {
            Ok(answered) => Ok(answered?),
            Err(_) => Err(Fault::TimedOut { url, after }),
        }
    }

    fn request(&self, question: &Question<'_>) -> Request {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(BearerToken(bearer)) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        *request.body_mut() = Some(question.to_json().into());
        request
    }
}

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 64 * 1024;
