//! Whom a directory's server has to prove to be.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::CertificateDer;

/// Trusts these authorities and no other.
pub fn trusting(
    authorities: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots
            .add(authority)
            .map_err(|error| TrustError::Certificate { reason: error.to_string() })?;
    }
    if roots.is_empty() {
        return Err(TrustError::Nobody);
    }
    configured(roots)
}

/// Trusts the authorities that this machine trusts. There may be none: then no server is trusted.
pub fn of_this_machine() -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    configured(roots)
}

fn configured(roots: RootCertStore) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder =
        versions.map_err(|error| TrustError::Certificate { reason: error.to_string() })?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Why nobody can be trusted so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// There is no certificate.
    #[error("there is no certificate in it")]
    Nobody,
    /// A certificate is none.
    #[error("a certificate in it cannot be used: {reason}")]
    Certificate {
        /// Why.
        reason: String,
    },
}
