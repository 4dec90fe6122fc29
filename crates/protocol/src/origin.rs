//! How a client reached us: what a realm is built from, and what the log says of the caller.
//!
//! The listener makes these values once, from what it has checked, and puts them into the request's
//! extensions; nothing behind it reads `Host` or `X-Forwarded-*` again.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::printable::excerpt;

/// The scheme and authority under which the client called: `https://registry.example:5000`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// What the client's connection speaks, before any proxy that is trusted.
    pub scheme: Scheme,
    /// `host` or `host:port`, as the client wrote it.
    pub authority: Authority,
}

impl Origin {
    /// The absolute URL of a path (which begins with `/`) at this origin.
    pub fn join(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// `http` or `https`, and nothing else (CH13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl FromStr for Scheme {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            other => Err(OriginError::Scheme { scheme: excerpt(other) }),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A host and, where it was given, a port: a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority(Box<str>);

impl Authority {
    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        split(&self.0)
            .map_or(&self.0, |(host, _)| host.trim_start_matches('[').trim_end_matches(']'))
    }

    /// The port, where one was given.
    pub fn port(&self) -> Option<u16> {
        split(&self.0).and_then(|(_, port)| port?.parse().ok())
    }
}

impl FromStr for Authority {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let malformed = || OriginError::Authority { authority: excerpt(text) };
        let (host, port) = split(text).ok_or_else(malformed)?;
        let host_is_legal = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.len() <= MAX_HOST_LENGTH
                    && host
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            }
        };
        let port_is_legal = port.is_none_or(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
        });
        if host_is_legal && port_is_legal { Ok(Self(text.into())) } else { Err(malformed()) }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host or scheme that no challenge may echo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not `host[:port]`.
    #[error("{authority:?} is not a host with an optional port")]
    Authority {
        /// The text, shortened.
        authority: String,
    },
    /// Neither `http` nor `https`.
    #[error("scheme {scheme:?} is neither `http` nor `https`")]
    Scheme {
        /// The text, shortened.
        scheme: String,
    },
}

/// The address that a request came from, behind trusted proxies the one they named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What one caller has who has this address: an IPv4 address, also one that is written as IPv6, or the /64
    /// that an IPv6 address is in.
    pub fn network(self) -> [u8; 8] {
        match self.0.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                // No /64 that is routed looks like this.
                [0, 0, 0, 0, a, b, c, d]
            }
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                network
            }
        }
    }
}

/// Beside a [`ClientAddress`] that trusted proxies forwarded without a client's: it is the last proxy's, which is
/// good for limits and the log, and for no rule about addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnnamedClient;

/// What names one request in the log and in the answer's `X-Request-Id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(pub String);

/// The host (brackets kept) and the port of `host[:port]`; `None` where the brackets do not match.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let (host, rest) = text.split_at(end);
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    Some(match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(port)),
    })
}

const MAX_HOST_LENGTH: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_one_address_of_ipv6_has_its_network() {
        let network = |address: &str| ClientAddress(address.parse().unwrap()).network();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("192.0.2.7"), network("::ffff:192.0.2.7"));
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
    }

    #[test]
    fn hosts_are_split_from_ports() {
        // (text, host, port)
        let table = [
            ("localhost", "localhost", None),
            ("127.0.0.1:5000", "127.0.0.1", Some(5000)),
            ("[::1]:5000", "::1", Some(5000)),
            ("[::1]", "::1", None),
            ("my_registry.example", "my_registry.example", None),
        ];
        for (text, host, port) in table {
            let authority: Authority = text.parse().unwrap();
            assert_eq!((authority.host(), authority.port()), (host, port), "{text}");
        }
    }

    /// CH13: distribution echoes these.
    #[test]
    fn what_could_break_out_of_a_challenge_is_refused() {
        for text in [
            "",
            ":",
            "a:b",
            "a:",
            "a:99999",
            "a:+1",
            "a b",
            "a\"b",
            "a,b",
            "a/b",
            "user@a",
            "::1",
            "[::1",
            "[x]",
            "[::1]5000",
            "é",
        ] {
            assert!(text.parse::<Authority>().is_err(), "{text:?} must be refused");
        }
        assert!("ht\"tp".parse::<Scheme>().is_err());
        assert!("HTTPS".parse::<Scheme>().is_err());
    }

    #[test]
    fn an_origin_joins_a_path() {
        let origin = Origin { scheme: Scheme::Http, authority: "[::1]:5000".parse().unwrap() };
        assert_eq!(origin.join("/token"), "http://[::1]:5000/token");
    }
}
