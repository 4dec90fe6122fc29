//! Which servers are trusted: files of authorities, the TLS of a connection, and the rules by which each TLS library
//! judges a server's certificates. They differ, and a registry meets them all.
//!
//! [`client_config`] is the TLS of a connection. [`evaluate`] tells of a chain that [`RecordedChain`] has kept which
//! libraries trust it, and why the others do not.

use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, ServerName};

mod certificate;
mod describe;
mod fault;
mod file;
mod fix;
mod leaf;
mod name_constraints;
mod path;
mod report;
mod rules;
mod rustls_rules;
#[cfg(test)]
mod tests;
mod tls;
mod verifier;

pub use self::{
    describe::describe,
    fault::CertificateFault,
    file::{Bundle, MAX_FILE, read_limited},
    report::{TlsLibrary, TrustReport, evaluate},
    tls::{Identity, Protocols, client_config},
    verifier::RecordedChain,
};
pub(crate) use self::{describe::tls_error_text, rustls_rules::certificate_fault};

/// The authorities that the system trusts. An empty list is no failure.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// How the certificates of a server are verified.
#[derive(Debug, Clone)]
pub enum ServerVerification {
    /// By rustls, and by the fallback where rustls refuses.
    Authorities {
        /// The system's.
        system: Vec<CertificateDer<'static>>,
        /// Those of the caller.
        named: Vec<CertificateDer<'static>>,
        /// What is trusted where rustls refuses.
        fallback: Fallback,
    },
    /// Not at all: an attacker in the network can read and change what is sent. Only if the user asked for it.
    Disabled,
    /// Not at all, and the chain is recorded. Nothing may be sent over the connection.
    Recorded(RecordedChain),
}

/// What is trusted if rustls refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fallback {
    /// A certificate that was named, byte for byte.
    #[default]
    Named,
    /// What Go trusts. A caller has to tell its user that other libraries refuse.
    Go,
}

/// What a server presented, to be judged for this name at this time.
#[derive(Debug, Clone, Copy)]
pub struct PresentedChain<'a> {
    /// Its certificates in their order, its own first.
    pub chain: &'a [CertificateDer<'a>],
    /// The name or address that the client asked for.
    pub name: &'a ServerName<'a>,
    /// By the client's clock.
    pub now: SystemTime,
}
