//! Whom a client believes that it speaks with: files of authorities, and the rules by which each TLS library
//! judges a server's certificates. They differ, and a registry meets them all.

use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, ServerName};

mod certificate;
mod danger;
mod distrust;
mod file;
mod fix;
mod judged;
mod leaf;
mod name_constraints;
mod path;
mod rules;
mod rustls_rules;
#[cfg(test)]
mod tests;
mod tls;
mod words;

#[cfg(test)]
pub(crate) use file::MAX_FILE;
pub use tls::Identity;
pub(crate) use {
    danger::Shown,
    distrust::Distrust,
    file::{Bundle, read_limited},
    judged::Judged,
    rustls_rules::distrust,
    tls::{Protocols, client_config},
    words::{causes, in_words, words},
};

/// The authorities that the system trusts. None is no failure.
pub(crate) fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Whom we believe to be who they say they are.
#[derive(Debug, Clone)]
pub(crate) enum Believed {
    /// Those whom rustls takes, and those whom this rule takes beside.
    Authorities {
        /// The system's.
        system: Vec<CertificateDer<'static>>,
        /// Those that somebody has given.
        named: Vec<CertificateDer<'static>>,
        /// What is taken where rustls refuses.
        beside: Rule,
    },
    /// Everybody: nothing is checked, for somebody said so.
    Anybody,
    /// Everybody, to look at what they show, which is kept there. Nothing may be sent.
    Shown(Shown),
}

/// What is trusted beside what rustls trusts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A certificate that was named, byte for byte.
    #[default]
    Named,
    /// Whatever Go trusts: for a diagnosis alone, which has told that others do not.
    Go,
}

/// What a server showed, to be judged for this name at this time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented<'a> {
    /// Its certificates in their order, its own first.
    pub(crate) chain: &'a [CertificateDer<'a>],
    /// What it was called.
    pub(crate) name: &'a ServerName<'a>,
    /// By our clock.
    pub(crate) now: SystemTime,
}
