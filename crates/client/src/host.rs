//! The name of a registry, as people type it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    str::FromStr,
};

use portpass_protocol::Authority;

/// `HOST` or `HOST:PORT`.
///
/// Docker Hub has four names; they are one registry here, with one key for its credentials and one
/// address for its API, as docker has it.
#[derive(Debug, Clone)]
pub struct Host {
    typed: Authority,
    /// Whether `https://` was typed before it.
    https: bool,
}

impl Host {
    /// Where its API is.
    pub fn api(&self) -> &str {
        if self.is_docker_hub() { "registry-1.docker.io" } else { self.typed.as_str() }
    }

    /// Under which key its credentials are kept in docker's files and helpers.
    pub fn credential_key(&self) -> &str {
        if self.is_docker_hub() { "https://index.docker.io/v1/" } else { self.typed.as_str() }
    }

    /// Whether a key of a credential file means this registry. Old files have a scheme and a path
    /// around the host.
    pub fn is_meant_by(&self, key: &str) -> bool {
        let key =
            key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        let host = key.split('/').next().unwrap_or_default();
        host.eq_ignore_ascii_case(self.typed.as_str())
            || (self.is_docker_hub() && is_docker_hub(host))
    }

    /// Whether it is this machine by its very name: `localhost`, `127.0.0.0/8`, `::1`.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.typed.host())
    }

    /// Whether the user wants only TLS, on loopback too: the name was given with `https://`.
    pub fn demands_tls(&self) -> bool {
        self.https
    }

    /// Whether it is Docker Hub, by any of its names.
    pub fn is_docker_hub(&self) -> bool {
        is_docker_hub(self.typed.as_str())
    }
}

/// Two are one that name the same registry, however they were typed.
impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.typed == other.typed
    }
}

impl Eq for Host {}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.typed.hash(state);
    }
}

impl FromStr for Host {
    type Err = HostError;

    /// Takes what docker takes: `http://` before it and a slash after it count for nothing.
    fn from_str(text: &str) -> Result<Self, HostError> {
        let https = text.strip_prefix("https://");
        let bare = https.or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let bare = bare.strip_suffix("/v2/").unwrap_or(bare);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        if let Ok(typed) = bare.parse() {
            return Ok(Self { typed, https: https.is_some() });
        }
        let text = text.chars().take(64).collect();
        match bare.split_once('/') {
            Some((host, _)) if host.parse::<Authority>().is_ok() => {
                Err(HostError::Path { text, host: host.to_owned() })
            }
            _ => Err(HostError::Malformed { text }),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.typed.fmt(f)
    }
}

/// A text that names no registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It is no host with a port.
    #[error(
        "{text:?} is not a registry; write its host and port, as in `registry.example.com:5000`"
    )]
    Malformed {
        /// As typed.
        text: String,
    },
    /// There is a repository after the host.
    #[error("{text:?} is not a registry: it has a path; write only the registry, `{host}`")]
    Path {
        /// As typed.
        text: String,
        /// The part before the path.
        host: String,
    },
}

/// Whether a URL's host, without brackets, is this machine by its very name.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_docker_hub(host: &str) -> bool {
    ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"]
        .iter()
        .any(|name| host.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_are_taken_as_docker_takes_them() {
        for (typed, shown) in [
            ("registry.example.com:5000", "registry.example.com:5000"),
            ("https://registry.example.com/", "registry.example.com"),
            ("http://localhost:5000/v2/", "localhost:5000"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(host(typed).to_string(), shown);
            assert_eq!(host(typed).credential_key(), shown);
        }
        for refused in
            ["", "registry.example.com/team/app", "https://", "a b", "user@host", "ftp://host"]
        {
            let error = refused.parse::<Host>().unwrap_err().to_string();
            assert!(error.contains("is not a registry"), "{refused:?}: {error}");
        }
    }

    #[test]
    fn docker_hub_is_one_registry_under_all_its_names() {
        for name in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert_eq!(host(name).api(), "registry-1.docker.io");
            assert_eq!(host(name).credential_key(), "https://index.docker.io/v1/");
            assert!(host(name).is_meant_by("https://index.docker.io/v1/"));
        }
    }

    /// CVE-2021-41092: no credentials of one host for another.
    #[test]
    fn a_key_means_one_host_only() {
        let registry = host("registry.example.com:5000");
        for key in [
            "registry.example.com:5000",
            "https://Registry.example.com:5000/v1/",
            "http://registry.example.com:5000",
        ] {
            assert!(registry.is_meant_by(key), "{key}");
        }
        for key in [
            "registry.example.com",
            "example.com:5000",
            "https://index.docker.io/v1/",
            "",
            "registry.example.com:50000",
        ] {
            assert!(!registry.is_meant_by(key), "{key}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for name in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.1.2.3",
            "[::1]:5000",
            "a.localhost",
        ] {
            assert!(host(name).is_loopback(), "{name}");
        }
        for name in [
            "localhost.example.com",
            "10.0.0.1",
            "0.0.0.0",
            "127.0.0.1.example.com",
            "notlocalhost",
        ] {
            assert!(!host(name).is_loopback(), "{name}");
        }
    }
}
