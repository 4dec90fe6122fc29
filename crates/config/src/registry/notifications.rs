//! `registry.notifications`: who is told of pushes, pulls and deletes, as distribution has it.

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use portpass_federation::{
    web::{Redirects, WebSettings},
    webhook::{SIGNATURE, SigningSecret, WebhookSettings},
};
use portpass_registry::notification::Interest;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::{ConfigError, Files, Located, accounts::section::Section, measure::Span};

/// The section `registry.notifications`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationsSection {
    /// What events say.
    pub events: Option<EventsSection>,
    /// Who is told.
    pub endpoints: Option<Vec<Located<EndpointSection>>>,
}

/// The section `registry.notifications.events`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsSection {
    /// Whether events of manifests name what the manifest refers to. Default: no
    pub includereferences: Option<bool>,
}

/// A server that is told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointSection {
    /// What `portpass events` and the log call it.
    #[schemars(required)]
    pub name: Option<Located<String>>,
    /// Whether it is told nothing. Default: no
    pub disabled: Option<bool>,
    /// Where events are posted.
    #[schemars(required)]
    pub url: Option<Located<String>>,
    /// Headers that are added to every request.
    #[schemars(with = "Option<BTreeMap<String, Vec<String>>>")]
    pub headers: Option<BTreeMap<String, Vec<Located<SecretString>>>>,
    /// Signs what is posted, in the header X-Hub-Signature-256. A file is better.
    #[schemars(with = "Option<String>")]
    pub secret: Option<Located<SecretString>>,
    /// The file of it.
    pub secret_file: Option<Located<PathBuf>>,
    /// Trust these certificates, in PEM form, for the server too.
    pub ca: Option<Located<PathBuf>>,
    /// How long one request may take. Default: 1s
    #[schemars(with = "Option<Span>")]
    pub timeout: Option<Located<String>>,
    /// After so many failures in a row each further pause is twice as long, up to five minutes. Default: 10
    pub threshold: Option<Located<u32>>,
    /// The pause after a failure. Default: 1s
    #[schemars(with = "Option<Span>")]
    pub backoff: Option<Located<String>>,
    /// What it is not told of.
    pub ignore: Option<IgnoreSection>,
    /// The same as `ignore.mediatypes`.
    pub ignoredmediatypes: Option<Vec<String>>,
}

/// What an endpoint is not told of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoreSection {
    /// Things of these media types; blobs are `application/octet-stream`.
    pub mediatypes: Option<Vec<String>>,
    /// Some of `pull`, `push`, `mount` and `delete`.
    #[schemars(with = "Option<Vec<String>>")]
    pub actions: Option<Vec<Located<String>>>,
}

/// What `registry.notifications` means.
#[derive(Debug, Default)]
pub struct NotificationsConfig {
    /// Whether events of manifests name what the manifest refers to.
    pub references: bool,
    /// Those that are told.
    pub endpoints: Vec<NotificationEndpoint>,
}

/// A server that is told.
#[derive(Debug, Clone)]
pub struct NotificationEndpoint {
    /// What it is called.
    pub name: String,
    /// Where it is, and what is sent with every request.
    pub webhook: WebhookSettings,
    /// What it is told of.
    pub interest: Interest,
    /// So many failures in a row have the same pause.
    pub threshold: NonZeroUsize,
    /// The pause.
    pub backoff: Duration,
}

impl NotificationsSection {
    /// Reads the files. No endpoint is asked: one that is away is no mistake.
    pub(super) fn build(self, files: &Files) -> Result<NotificationsConfig, ConfigError> {
        let mut endpoints: Vec<NotificationEndpoint> = Vec::new();
        for Located { value, place } in self.endpoints.unwrap_or_default() {
            let at = &Section { key: KEY, place: &place, files };
            let disabled = value.disabled == Some(true);
            let endpoint = value.build(at)?;
            if endpoints.iter().any(|other| other.name == endpoint.name) {
                let message = format!("there is another endpoint {:?}", endpoint.name);
                return Err(files.error(&place, KEY, message).hint("each has a name of its own"));
            }
            if !disabled {
                endpoints.push(endpoint);
            }
        }
        let references = self.events.and_then(|events| events.includereferences);
        Ok(NotificationsConfig { references: references.unwrap_or(false), endpoints })
    }
}

impl EndpointSection {
    /// All files that it can name.
    pub(crate) fn paths(&mut self) -> [Option<&mut Located<PathBuf>>; 2] {
        [self.secret_file.as_mut(), self.ca.as_mut()]
    }

    fn build(self, at: &Section<'_>) -> Result<NotificationEndpoint, ConfigError> {
        let name = self.name.as_ref().ok_or_else(|| at.missing("name").hint("as in `name: ci`"))?;
        if name.value.is_empty()
            || name.value.len() > LONGEST_NAME
            || name.value.chars().any(char::is_control)
        {
            let message = format!("a name has 1 to {LONGEST_NAME} characters that can be printed");
            return Err(at.error("name", name, message));
        }
        let url = self
            .url
            .as_ref()
            .ok_or_else(|| at.missing("url").hint("as in `url: https://ci.example.com/events`"))?;
        let timeout =
            at.span("timeout", self.timeout.as_ref(), TIMEOUT, SHORTEST..=LONGEST_TIMEOUT)?;
        let web = WebSettings {
            authorities: self
                .ca
                .as_ref()
                .map_or_else(|| Ok(Vec::new()), |ca| at.authorities(ca))?,
            identity: None,
            timeout,
            redirects: Redirects::Refused,
        };
        let webhook = WebhookSettings {
            url: http_url(at, url)?,
            web,
            headers: headers(at, self.headers.unwrap_or_default())?,
            secret: secret(at, self.secret, self.secret_file)?,
        };
        let threshold = self.threshold.as_ref();
        Ok(NotificationEndpoint {
            name: name.value.clone(),
            webhook,
            interest: interest(at, self.ignoredmediatypes, self.ignore.unwrap_or_default())?,
            threshold: at.number("threshold", threshold, THRESHOLD, MOST_THRESHOLD)?,
            backoff: at.span(
                "backoff",
                self.backoff.as_ref(),
                BACKOFF,
                SHORTEST..=LONGEST_BACKOFF,
            )?,
        })
    }
}

/// The text is not repeated: it may hold a secret.
fn http_url(at: &Section<'_>, typed: &Located<String>) -> Result<Url, ConfigError> {
    let error = |message: &str| {
        at.error("url", typed, message).hint("as in `url: https://ci.example.com/events`")
    };
    let url = Url::parse(&typed.value).map_err(|why| error(&format!("it is not a URL: {why}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(error("it begins neither with https:// nor with http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(at
            .error("url", typed, "the URL has a user name or a password in it")
            .hint("use `headers: { Authorization: [Basic …] }`"));
    }
    Ok(url)
}

/// No value is repeated: it may be a secret.
fn headers(
    at: &Section<'_>,
    typed: BTreeMap<String, Vec<Located<SecretString>>>,
) -> Result<HeaderMap, ConfigError> {
    use secrecy::ExposeSecret as _;
    let mut headers = HeaderMap::new();
    for (name, values) in typed {
        let key = format!("headers.{name}");
        for value in values {
            let header = HeaderName::try_from(&name)
                .map_err(|_| at.error(&key, &value, format!("{name:?} is not a header's name")))?;
            if OURS.contains(&header) || header == SIGNATURE {
                return Err(at.error(&key, &value, "the server writes this header itself"));
            }
            let mut text = HeaderValue::try_from(value.value.expose_secret())
                .map_err(|_| at.error(&key, &value, "this is not a header's value"))?;
            text.set_sensitive(true);
            headers.append(header, text);
        }
    }
    Ok(headers)
}

fn secret(
    at: &Section<'_>,
    typed: Option<Located<SecretString>>,
    file: Option<Located<PathBuf>>,
) -> Result<Option<SigningSecret>, ConfigError> {
    let (key, secret, place) = match (typed, file) {
        (Some(_), Some(file)) => {
            let error = at.error("secret_file", &file, "`secret` is there too");
            return Err(error.hint("keep one of them"));
        }
        (Some(typed), None) => ("secret", typed.value, typed.place),
        (None, Some(file)) => {
            let text = at.files.read_text(&at.key_of("secret_file"), &file)?;
            ("secret_file", SecretString::from(text.trim_end()), file.place)
        }
        (None, None) => return Ok(None),
    };
    let secret = SigningSecret::new(&secret).ok_or_else(|| {
        at.files
            .error(&place, &at.key_of(key), "the secret is empty")
            .hint("as `openssl rand -base64 32` writes one")
    })?;
    Ok(Some(secret))
}

fn interest(
    at: &Section<'_>,
    media_types: Option<Vec<String>>,
    ignore: IgnoreSection,
) -> Result<Interest, ConfigError> {
    let actions = ignore.actions.unwrap_or_default().into_iter().map(|typed| {
        let action = typed.value.parse();
        action
            .map_err(|why| at.error("ignore.actions", &typed, format!("{:?}: {why}", typed.value)))
    });
    let ignored_media_types = [media_types, ignore.mediatypes].into_iter().flatten().flatten();
    Ok(Interest {
        ignored_media_types: ignored_media_types.collect(),
        ignored_actions: actions.collect::<Result<_, _>>()?,
    })
}

const KEY: &str = "registry.notifications.endpoints";
const LONGEST_NAME: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);
const BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);
const THRESHOLD: NonZeroUsize = NonZeroUsize::new(10).expect("not zero");
const MOST_THRESHOLD: NonZeroUsize = NonZeroUsize::new(1_000_000).expect("not zero");

/// What a request is made of.
const OURS: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
];
