//! What each family of clients says of one chain.

use std::fmt;

use rustls::pki_types::CertificateDer;

use super::{Distrust, Presented, leaf, path, rules, rustls_rules};

/// A TLS library, and so the clients that are built on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Go's crypto/tls: every client that a diagnosis names.
    Go,
    /// rustls by itself, without what is named here byte for byte.
    Rustls,
    /// OpenSSL as it is by itself.
    OpenSsl,
}

impl Family {
    /// `Go`, `rustls`, `OpenSSL`
    pub(crate) fn name(self) -> &'static str {
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

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.clients())
    }
}

/// Whether each family trusts a chain.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) go: Result<(), Distrust>,
    pub(crate) rustls: Result<(), Distrust>,
    pub(crate) open_ssl: Result<(), Distrust>,
    /// Whether a connection can be verified here, by whose rules ever.
    pub(crate) verifiable: Result<(), Distrust>,
}

impl Judged {
    /// Judges by the rules of all of them. These authorities are trusted, and nobody else.
    pub(crate) fn new(presented: &Presented<'_>, roots: &[CertificateDer<'static>]) -> Self {
        let rustls = rustls_rules::judge(presented, roots);
        let leaf = presented.chain.first();
        Self {
            go: path::judge(rules::GO, presented, roots, &rustls),
            open_ssl: path::judge(rules::OPEN_SSL, presented, roots, &rustls),
            verifiable: leaf.map_or(Err(Distrust::Unreadable), leaf::verifiable),
            rustls,
        }
    }

    /// Refused by all.
    pub(crate) fn refused(distrust: &Distrust) -> Self {
        let no = || Err(distrust.clone());
        Self { go: no(), rustls: no(), open_ssl: no(), verifiable: no() }
    }

    /// What each of them says.
    pub(crate) fn each(&self) -> [(Family, &Result<(), Distrust>); 3] {
        [(Family::Go, &self.go), (Family::Rustls, &self.rustls), (Family::OpenSsl, &self.open_ssl)]
    }

    /// Those that do not trust it, and why.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Family, &Distrust)> {
        let each = self.each().into_iter();
        each.filter_map(|(family, verdict)| verdict.as_ref().err().map(|fault| (family, fault)))
    }
}
