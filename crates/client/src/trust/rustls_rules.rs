//! The rules of rustls, and what its words mean.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime},
};

use super::{CertificateFault, PresentedChain, certificate::parsed, leaf, path};

/// Judges by them alone, with these authorities.
pub(super) fn verify(
    presented: &PresentedChain<'_>,
    roots: &[CertificateDer<'static>],
) -> Result<(), CertificateFault> {
    let (der, above) = presented.chain.split_first().ok_or(CertificateFault::Unreadable)?;
    let leaf = parsed(der).ok_or(CertificateFault::Unreadable)?;
    // Without any authority there is no verifier either.
    let Some(verifier) = verifier(roots.iter().cloned()) else {
        return Err(path::missing(presented.chain));
    };
    let since = presented.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(since);
    match verifier.verify_server_cert(der, above, presented.name, &[], now) {
        // A handshake with it fails all the same.
        Ok(_) => leaf::verifiable(der),
        Err(Error::InvalidCertificate(error)) => Err(match certificate_fault(&error) {
            what @ (CertificateFault::Unknown
            | CertificateFault::Signature
            | CertificateFault::Algorithm) => match (leaf::verifiable(der), what) {
                (Err(short), _) => short,
                (Ok(()), CertificateFault::Algorithm) => CertificateFault::Algorithm,
                (Ok(()), _) => path::missing(presented.chain),
            },
            CertificateFault::NameMismatch if leaf::is_common_name_alone(&leaf, presented.name) => {
                CertificateFault::CommonName
            }
            other => other,
        }),
        Err(_) => Err(CertificateFault::Other),
    }
}

/// What the library makes of these; `None` without any.
pub(super) fn verifier(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Option<Arc<WebPkiServerVerifier>> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build().ok()
}

/// What an error about a certificate means.
pub(crate) fn certificate_fault(error: &CertificateError) -> CertificateFault {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => CertificateFault::Unknown,
        E::Expired | E::ExpiredContext { .. } => CertificateFault::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => CertificateFault::NotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => CertificateFault::NameMismatch,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => CertificateFault::Purpose,
        E::UnhandledCriticalExtension => CertificateFault::Extension,
        E::BadEncoding => CertificateFault::Unreadable,
        E::BadSignature => CertificateFault::Signature,
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => CertificateFault::Algorithm,
        E::Revoked
        | E::UnknownRevocationStatus
        | E::ExpiredRevocationList
        | E::ExpiredRevocationListContext { .. }
        | E::InvalidOcspResponse => CertificateFault::Revoked,
        E::Other(other) => {
            match (other.0.downcast_ref::<CertificateFault>(), other.0.downcast_ref()) {
                (Some(fault), _) => fault.clone(),
                (None, Some(error)) => of_webpki(error),
                (None, None) => CertificateFault::Other,
            }
        }
        _ => CertificateFault::Other,
    }
}

fn of_webpki(error: &webpki::Error) -> CertificateFault {
    use webpki::Error as E;
    match error {
        E::CaUsedAsEndEntity => CertificateFault::Authority,
        E::EndEntityUsedAsCa | E::PathLenConstraintViolated => {
            CertificateFault::NotAnAuthority("a certificate above it".to_owned())
        }
        E::UnsupportedCriticalExtension => CertificateFault::Extension,
        E::NameConstraintViolation | E::MalformedNameConstraint => CertificateFault::Constraint,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => CertificateFault::Purpose,
        E::BadDer
        | E::BadDerTime
        | E::ExtensionValueInvalid
        | E::InvalidCertValidity
        | E::InvalidSerialNumber
        | E::MalformedExtensions
        | E::SignatureAlgorithmMismatch
        | E::TrailingData(_)
        | E::UnsupportedCertVersion => CertificateFault::Unreadable,
        E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumSignatureChecksExceeded => CertificateFault::Unknown,
        _ => CertificateFault::Other,
    }
}
