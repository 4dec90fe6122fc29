//! How TLS is spoken with a registry.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, Error,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::{ServerVerification, verifier::Verifier};

/// A certificate of our own, and its key.
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The versions of HTTP that are offered (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2, and HTTP/1.1 for servers without it.
    Both,
    /// HTTP/1.1 alone.
    Http1,
}

/// TLS 1.2 and 1.3, with servers that this verification accepts.
pub fn client_config(
    verification: ServerVerification,
    identity: Option<&Identity>,
    protocols: Protocols,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(verification)));
    let mut config = match identity {
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    let offered: &[&[u8]] = match protocols {
        Protocols::Both => &[b"h2", b"http/1.1"],
        Protocols::Http1 => &[b"http/1.1"],
    };
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}
