//! Why nothing came back.

use std::{error::Error, path::PathBuf};

use reqwest::Url;

use super::{shown, zone::TooNear};
use crate::{
    causes,
    trust::{certificate_fault, tls_error_text},
};

/// Why a request has no answer. URLs are shown without their query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// A file of certificates to trust.
    #[error("certificates of {} cannot be used: {reason}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Its certificate is not one that we trust, or not its own.
    #[error("the certificate of {host} is not trusted: {reason}")]
    Certificate {
        /// `host:port`
        host: String,
        /// What is wrong with it.
        reason: String,
        /// What to do about that.
        fix: String,
    },
    /// Nobody listens, or the name is nobody's.
    #[error("{host} cannot be reached: {reason}")]
    Connect {
        /// `host:port`
        host: String,
        /// What the system says.
        reason: String,
    },
    /// It answers, but not in TLS.
    #[error("{host} does not speak TLS")]
    NotTls {
        /// `host:port`
        host: String,
    },
    /// A redirect to a place that what was sent is not for.
    #[error("{from} redirects to {to}, where the request must not be sent")]
    Redirect {
        /// Without the query.
        from: String,
        /// Without the query.
        to: String,
    },
    /// What is given for TLS cannot be used, as a key that is not the certificate's.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// What is wrong with it.
        reason: String,
    },
    /// It took too long.
    #[error("{host} did not respond in time")]
    Timeout {
        /// `host:port`
        host: String,
    },
    /// The name has an address on a nearer network than the registry that led there.
    #[error("{reason}, but a server on a farther network leads there")]
    TooNear {
        /// The name and its address.
        reason: String,
    },
    /// Round and round.
    #[error("{url} redirects too often")]
    TooManyRedirects {
        /// The last one, without the query.
        url: String,
    },
    /// The answer broke off, or is no HTTP.
    #[error("the response of {host} cannot be read: {reason}")]
    Unreadable {
        /// `host:port`
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret that does not fit into a header.
    #[error("the token or password for {url} has characters that no header can carry")]
    Unsendable {
        /// Without the query.
        url: String,
    },
}

impl TransportError {
    /// What a failed exchange amounts to.
    pub(super) fn of(url: &Url, error: &reqwest::Error) -> Self {
        let host = authority(url);
        let reason = deepest(error);
        if let Some(near) = find::<TooNear>(error) {
            return Self::TooNear { reason: near.to_string() };
        }
        match find::<rustls::Error>(error) {
            Some(rustls::Error::InvalidCertificate(error)) => {
                let fault = certificate_fault(error);
                let fix = fault.fix(&where_to_put_it(&host));
                return Self::Certificate { host, reason: fault.to_string(), fix };
            }
            Some(rustls::Error::InvalidMessage(_)) => return Self::NotTls { host },
            Some(error) => return Self::Connect { host, reason: tls_error_text(error) },
            None => {}
        }
        if error.is_timeout() {
            Self::Timeout { host }
        } else if error.is_connect() || error.is_builder() {
            Self::Connect { host, reason }
        } else {
            Self::Unreadable { host, reason }
        }
    }

    pub(crate) fn timeout(url: &Url) -> Self {
        Self::Timeout { host: authority(url) }
    }

    /// Whether the same may work a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. } | Self::Unreadable { .. })
    }

    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Certificate { fix, .. } => vec![fix.clone()],
            Self::NotTls { .. } => vec![
                "if it should speak plain HTTP, use --plain-http (docker: \"insecure-registries\")"
                    .into(),
            ],
            Self::Redirect { from, to } => vec![format!(
                "if {to} is right, the server should name it directly instead of {from}"
            )],
            _ => Vec::new(),
        }
    }
}

/// Where an authority is looked for.
fn where_to_put_it(host: &str) -> String {
    format!("--ca FILE, /etc/docker/certs.d/{host}/ca.crt as for docker, or the system's store")
}

/// `host:port`, with the port that the scheme implies.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => shown(url),
    }
}

/// The cause of all causes, in its own words.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}
