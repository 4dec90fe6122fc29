//! Which TLS libraries trust a chain.

use std::fmt;

use rustls::pki_types::CertificateDer;

use super::{CertificateFault, PresentedChain, leaf, path, rules, rustls_rules};

/// A TLS library, and so the clients that are built on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsLibrary {
    /// Go's crypto/tls: every client that a diagnosis names.
    Go,
    /// rustls by itself, without what is named here byte for byte.
    Rustls,
    /// OpenSSL as it is by itself.
    OpenSsl,
}

impl TlsLibrary {
    /// `Go`, `rustls`, `OpenSSL`
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::Rustls => "rustls",
            Self::OpenSsl => "OpenSSL",
        }
    }

    fn clients(self) -> &'static str {
        match self {
            Self::Go => "docker, containerd, podman, crane, oras, regclient",
            Self::Rustls => "clients in Rust",
            Self::OpenSsl => "clients in Python",
        }
    }
}

impl fmt::Display for TlsLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.clients())
    }
}

/// Whether each library trusts a chain, and why not.
#[derive(Debug, Clone)]
pub struct TrustReport {
    /// Go's crypto/tls.
    pub go: Result<(), CertificateFault>,
    /// rustls.
    pub rustls: Result<(), CertificateFault>,
    /// OpenSSL.
    pub open_ssl: Result<(), CertificateFault>,
    /// Whether [`client_config`](super::client_config) can verify a handshake with it, whatever the fallback.
    pub verifiable: Result<(), CertificateFault>,
}

/// Judges a chain by the rules of all libraries. These authorities are trusted, and no others.
pub fn evaluate(presented: &PresentedChain<'_>, roots: &[CertificateDer<'static>]) -> TrustReport {
    let rustls = rustls_rules::verify(presented, roots);
    let leaf = presented.chain.first();
    TrustReport {
        go: path::verify(rules::GO, presented, roots, &rustls),
        open_ssl: path::verify(rules::OPEN_SSL, presented, roots, &rustls),
        verifiable: leaf.map_or(Err(CertificateFault::Unreadable), leaf::verifiable),
        rustls,
    }
}

impl TrustReport {
    /// Refused by all libraries.
    pub fn refused_by_all(fault: &CertificateFault) -> Self {
        let no = || Err(fault.clone());
        Self { go: no(), rustls: no(), open_ssl: no(), verifiable: no() }
    }

    /// What each library says.
    pub fn each(&self) -> [(TlsLibrary, &Result<(), CertificateFault>); 3] {
        [
            (TlsLibrary::Go, &self.go),
            (TlsLibrary::Rustls, &self.rustls),
            (TlsLibrary::OpenSsl, &self.open_ssl),
        ]
    }

    /// The libraries that do not trust it, and why.
    pub fn refusals(&self) -> impl Iterator<Item = (TlsLibrary, &CertificateFault)> {
        let each = self.each().into_iter();
        each.filter_map(|(family, verdict)| verdict.as_ref().err().map(|fault| (family, fault)))
    }
}
