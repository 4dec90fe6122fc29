//! `token_service.accounts[].http`: a service that knows accounts.

use std::{fmt, num::NonZeroUsize, path::PathBuf, time::Duration};

use portpass_authority::{accounts::http::Lookups, subject::SourceName};
use portpass_federation::{
    hook::{BearerToken, HookSettings},
    issuer_url::{IssuerUrlError, secure_url},
    web::{Redirects, WebSettings},
};
use rustls_pki_types::CertificateDer;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::section::{Section, is_of_another_kind};
use crate::{ConfigError, Files, Located, Location, measure::Span, tls::TlsSection};

/// The section `http`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    /// What rules call it, if there is a second one: `user:NAME/ann`. Default: http
    pub name: Option<Located<String>>,
    /// Where questions are sent: an https URL, or http on this machine.
    #[schemars(required)]
    pub url: Option<Located<String>>,
    /// Trust these certificates, in PEM form, for the service too.
    pub ca: Option<Located<PathBuf>>,
    /// The certificate that portpass shows, for a service that asks for one.
    pub client: Option<Located<TlsSection>>,
    /// What is sent as `Authorization: Bearer`. A file is better.
    #[schemars(with = "Option<String>")]
    pub bearer_token: Option<Located<SecretString>>,
    /// The file of it.
    pub bearer_token_file: Option<Located<PathBuf>>,
    /// Whether the service is asked for accounts without a password, as for refresh tokens. Default: yes
    pub lookup: Option<bool>,
    /// How long the service's word counts without being asked again. Default: 5m
    #[schemars(with = "Option<Span>")]
    pub cache: Option<Located<String>>,
    /// How long a question may take. Default: 3s
    #[schemars(with = "Option<Span>")]
    pub timeout: Option<Located<String>>,
    /// How many questions may be open at once. Default: 16
    pub calls: Option<Located<u32>>,
}

/// What the section means. Each has a name of its own, by which alone they are compared.
#[derive(Clone)]
pub struct HttpSource {
    /// What rules call it.
    pub name: SourceName,
    /// The service.
    pub hook: HookSettings,
    /// Whether it is asked without a password.
    pub lookups: Lookups,
    /// How long its word counts.
    pub cache: Duration,
}

impl PartialEq for HttpSource {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for HttpSource {}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSource").field("name", &self.name).finish_non_exhaustive()
    }
}

impl HttpSection {
    /// All files that it can name.
    pub(crate) fn paths(&mut self) -> Vec<Option<&mut Located<PathBuf>>> {
        let mut paths = vec![self.ca.as_mut(), self.bearer_token_file.as_mut()];
        if let Some(client) = &mut self.client {
            let TlsSection { certificate, key } = &mut client.value;
            paths.extend([certificate.as_mut(), key.as_mut()]);
        }
        paths
    }

    /// Reads the files. The service is not asked: one that is away is no mistake.
    pub(super) fn build(self, place: &Location, files: &Files) -> Result<HttpSource, ConfigError> {
        let at = &Section { key: KEY, place, files };
        let url = self.url.as_ref().ok_or_else(|| {
            at.missing("url").hint("as in `url: https://accounts.example.com/portpass`")
        })?;
        let url = secure_url(&url.value).map_err(|problem| wrong_url(at, url, &problem))?;
        let bearer = bearer(at, self.bearer_token, self.bearer_token_file)?;
        let identity = match self.client {
            Some(client) => {
                let files = client.value.read(&at.key_of("client"), &client.place, files)?;
                Some(files.pair)
            }
            None => None,
        };
        let without_tls = (url.scheme() == "http").then_some(self.ca.as_ref()).flatten();
        if let Some(ca) = without_tls {
            let error = at.error("ca", ca, "`url` begins with http://, so there is no TLS");
            return Err(error.hint("leave it out, or use https://"));
        }
        let web = WebSettings {
            authorities: some_authorities(at, self.ca.as_ref())?,
            identity,
            timeout: at.span("timeout", self.timeout.as_ref(), TIMEOUT, SHORTEST..=LONGEST)?,
            redirects: Redirects::Refused,
        };
        let hook = HookSettings {
            url,
            web,
            bearer,
            calls: at.number("calls", self.calls.as_ref(), CALLS, MOST_CALLS)?,
        };
        let lookups = if self.lookup == Some(false) { Lookups::None } else { Lookups::Answered };
        let cache = at.span("cache", self.cache.as_ref(), CACHE, Duration::ZERO..=LONGEST_CACHE)?;
        Ok(HttpSource { name: source_name(at, self.name.as_ref())?, hook, lookups, cache })
    }
}

fn source_name(
    at: &Section<'_>,
    typed: Option<&Located<String>>,
) -> Result<SourceName, ConfigError> {
    let Some(typed) = typed else { return Ok(SourceName::http()) };
    let name: SourceName = typed
        .value
        .parse()
        .map_err(|problem| at.error("name", typed, format!("{:?}: {problem}", typed.value)))?;
    if is_of_another_kind(&name, "http") {
        let message = format!("`{name}` is the name of another kind of source");
        return Err(at.error("name", typed, message));
    }
    Ok(name)
}

/// The text is not repeated: it may hold a secret.
fn wrong_url(at: &Section<'_>, typed: &Located<String>, problem: &IssuerUrlError) -> ConfigError {
    let error = |message: String| at.error("url", typed, message);
    match problem {
        IssuerUrlError::PlainHttp => error(
            "passwords would reach the service in the clear".to_owned(),
        )
        .hint(
            "use https://; http:// is for a service on this machine, as in http://127.0.0.1:8080/",
        ),
        IssuerUrlError::Credentials => error(problem.to_string())
            .hint("use `bearer_token_file`, or `client` with a certificate"),
        IssuerUrlError::Malformed { .. } | IssuerUrlError::Query => {
            error(problem.to_string()).hint("as in `url: https://accounts.example.com/portpass`")
        }
    }
}

fn bearer(
    at: &Section<'_>,
    typed: Option<Located<SecretString>>,
    file: Option<Located<PathBuf>>,
) -> Result<Option<BearerToken>, ConfigError> {
    let (key, token, place) = match (typed, file) {
        (Some(_), Some(file)) => {
            let error = at.error("bearer_token_file", &file, "`bearer_token` is there too");
            return Err(error.hint("keep one of them"));
        }
        (Some(typed), None) => ("bearer_token", typed.value, typed.place),
        (None, Some(file)) => {
            let text = at.files.read_text(&at.key_of("bearer_token_file"), &file)?;
            ("bearer_token_file", SecretString::from(text.trim_end()), file.place)
        }
        (None, None) => return Ok(None),
    };
    let token = BearerToken::parse(&token).ok_or_else(|| {
        let message = "the token is empty, or has a character that none has";
        let error = at.files.error(&place, &at.key_of(key), message);
        error.hint("letters, digits and `-._~+/=` are possible (RFC 6750), as `openssl rand -base64 32` writes them")
    })?;
    Ok(Some(token))
}

/// At least one where there is a file.
fn some_authorities(
    at: &Section<'_>,
    ca: Option<&Located<PathBuf>>,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let Some(ca) = ca else { return Ok(Vec::new()) };
    let authorities = at.authorities(ca)?;
    if authorities.is_empty() {
        return Err(at.no_authorities(ca, "it contains no certificate in PEM form"));
    }
    Ok(authorities)
}

const KEY: &str = "token_service.accounts.http";
const TIMEOUT: Duration = Duration::from_secs(3);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
const CACHE: Duration = Duration::from_mins(5);
const LONGEST_CACHE: Duration = Duration::from_hours(24);
const CALLS: NonZeroUsize = NonZeroUsize::new(16).unwrap();
const MOST_CALLS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
