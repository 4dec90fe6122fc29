//! `http`: the address that the registry is served on, and how clients call it.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use portpass_protocol::origin::Origin;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Address, ConfigError, Files, Located, Location, measure::Span, tls::TlsFiles, tls::TlsSection,
};

/// The section `http`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    /// Address and port to listen on. Default: 127.0.0.1:5000, because it is plain HTTP.
    pub addr: Option<Located<Address>>,
    /// Serve HTTPS. Absent: plain HTTP.
    pub tls: Option<Located<TlsSection>>,
    /// The URL that clients use: `https://registry.example.com`. Absent: taken from the request.
    pub host: Option<Located<String>>,
    /// Networks of proxies. Their X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-For are trusted.
    #[schemars(with = "Option<Vec<String>>")]
    pub trusted_proxies: Option<Vec<Located<String>>>,
    /// How long a connection may stay open without a request. Default: 620s.
    #[schemars(with = "Option<Span>")]
    pub idle_timeout: Option<Located<String>>,
    /// Headers that are added to every response.
    #[schemars(with = "Option<BTreeMap<String, Vec<String>>>")]
    pub headers: Option<BTreeMap<String, Vec<Located<String>>>>,
}

/// What `http` means.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen, unless nothing is served there.
    pub addr: Address,
    /// Certificate and key, read and checked.
    pub tls: Option<TlsFiles>,
    /// The origin that clients use, if it is fixed.
    pub host: Option<Origin>,
    /// Whose forwarding headers count.
    pub trusted_proxies: TrustedProxies,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// Added to every answer.
    pub headers: HeaderMap,
}

impl HttpSection {
    /// Reads the files and checks the values.
    pub(crate) fn build(self, files: &Files) -> Result<Http, ConfigError> {
        Ok(Http {
            addr: self.addr.map_or(DEFAULT_ADDRESS.into(), |addr| addr.value),
            tls: match self.tls {
                Some(tls) => tls.value.build("http.tls", &tls.place, files)?,
                None => None,
            },
            host: self.host.map(|host| origin("http.host", &host, files)).transpose()?,
            trusted_proxies: TrustedProxies::build(
                self.trusted_proxies.unwrap_or_default(),
                files,
            )?,
            idle_timeout: idle_timeout(self.idle_timeout, files)?,
            headers: headers(self.headers.unwrap_or_default(), files)?,
        })
    }
}

/// The networks of proxies whose word on the client counts.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether this peer's forwarding headers count.
    pub fn contain(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }

    fn build(typed: Vec<Located<String>>, files: &Files) -> Result<Self, ConfigError> {
        let parse = |typed: Located<String>| {
            let network =
                typed.value.parse().or_else(|_| typed.value.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                let message = format!("{:?} is neither a network nor an address", typed.value);
                files
                    .error(&typed.place, "http.trusted_proxies", message)
                    .hint("as in 10.0.0.0/8 or ::1")
            })
        };
        Ok(Self(typed.into_iter().map(parse).collect::<Result<_, _>>()?))
    }
}

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// A scheme, host and optional port, and nothing behind them.
pub(crate) fn origin(
    key: &str,
    typed: &Located<String>,
    files: &Files,
) -> Result<Origin, ConfigError> {
    let text = typed.value.strip_suffix('/').unwrap_or(&typed.value);
    let refuse = |why: String| {
        files
            .error(&typed.place, key, why)
            .hint("as in https://registry.example.com or http://10.0.0.1:5000")
    };
    let (scheme, authority) =
        text.split_once("://").ok_or_else(|| refuse(format!("{text:?} has no scheme")))?;
    Ok(Origin {
        scheme: scheme.parse().map_err(|error| refuse(format!("{error}")))?,
        authority: authority.parse().map_err(|error| refuse(format!("{error}")))?,
    })
}

fn idle_timeout(typed: Option<Located<String>>, files: &Files) -> Result<Duration, ConfigError> {
    let Some(Located { value, place }) = typed else { return Ok(DEFAULT_IDLE_TIMEOUT) };
    let refuse = |why: String| files.error(&place, "http.idle_timeout", why);
    let span: Span = value.parse().map_err(|error| refuse(format!("{value:?}: {error}")))?;
    if (SHORTEST_IDLE..=LONGEST_IDLE).contains(&span) {
        Ok(span.0)
    } else {
        Err(refuse(format!(
            "a connection cannot be idle for {span}; {SHORTEST_IDLE} to {LONGEST_IDLE} are possible"
        )))
    }
}

fn headers(
    typed: BTreeMap<String, Vec<Located<String>>>,
    files: &Files,
) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, values) in typed {
        let key = format!("http.headers.{name}");
        let place = values.first().map_or(Location::Default, |value| value.place.clone());
        let name = HeaderName::try_from(&name)
            .map_err(|_| files.error(&place, &key, format!("{name:?} is not a header's name")))?;
        if !may_be_set(&name) {
            return Err(files.error(&place, &key, "the server writes this header itself"));
        }
        for value in values {
            let text = HeaderValue::try_from(&value.value).map_err(|_| {
                files.error(
                    &value.place,
                    &key,
                    format!("{:?} is not a header's value", value.value),
                )
            })?;
            headers.append(&name, text);
        }
    }
    Ok(headers)
}

/// Whether a configuration may set this header.
pub(crate) fn may_be_set(name: &HeaderName) -> bool {
    !OURS.contains(name)
}

/// Setting one of these would break a connection or a client.
const OURS: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::LOCATION,
    header::TRANSFER_ENCODING,
    header::WWW_AUTHENTICATE,
];

/// Longer than any load balancer keeps a connection that it may send a request on (Google's 600 s): if we ended it first,
/// that request would be lost.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(620);
const SHORTEST_IDLE: Span = Span(Duration::from_secs(1));
const LONGEST_IDLE: Span = Span(Duration::from_hours(24));

/// Plain HTTP stays on the machine unless somebody asks for more.
const DEFAULT_ADDRESS: std::net::SocketAddr =
    std::net::SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);
