//! The rules of rustls, and what its words mean.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime},
};

use super::{Distrust, Presented, certificate::parsed, leaf, path};

/// Judges by them alone, with these authorities.
pub(super) fn judge(
    presented: &Presented<'_>,
    roots: &[CertificateDer<'static>],
) -> Result<(), Distrust> {
    let (der, above) = presented.chain.split_first().ok_or(Distrust::Unreadable)?;
    let leaf = parsed(der).ok_or(Distrust::Unreadable)?;
    // Without any authority there is no verifier either.
    let Some(verifier) = verifier(roots.iter().cloned()) else {
        return Err(path::missing(presented.chain));
    };
    let since = presented.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(since);
    match verifier.verify_server_cert(der, above, presented.name, &[], now) {
        // A handshake with it fails all the same.
        Ok(_) => leaf::verifiable(der),
        Err(Error::InvalidCertificate(error)) => Err(match distrust(&error) {
            what @ (Distrust::Unknown | Distrust::Signature | Distrust::Algorithm) => {
                match (leaf::verifiable(der), what) {
                    (Err(short), _) => short,
                    (Ok(()), Distrust::Algorithm) => Distrust::Algorithm,
                    (Ok(()), _) => path::missing(presented.chain),
                }
            }
            Distrust::Name if leaf::is_common_name_alone(&leaf, presented.name) => {
                Distrust::CommonName
            }
            other => other,
        }),
        Err(_) => Err(Distrust::Other),
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
pub(crate) fn distrust(error: &CertificateError) -> Distrust {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => Distrust::Unknown,
        E::Expired | E::ExpiredContext { .. } => Distrust::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => Distrust::NotYet,
        E::NotValidForName | E::NotValidForNameContext { .. } => Distrust::Name,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => Distrust::Purpose,
        E::UnhandledCriticalExtension => Distrust::Extension,
        E::BadEncoding => Distrust::Unreadable,
        E::BadSignature => Distrust::Signature,
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Distrust::Algorithm,
        E::Revoked
        | E::UnknownRevocationStatus
        | E::ExpiredRevocationList
        | E::ExpiredRevocationListContext { .. }
        | E::InvalidOcspResponse => Distrust::Revoked,
        E::Other(other) => match (other.0.downcast_ref::<Distrust>(), other.0.downcast_ref()) {
            (Some(distrust), _) => distrust.clone(),
            (None, Some(error)) => of_webpki(error),
            (None, None) => Distrust::Other,
        },
        _ => Distrust::Other,
    }
}

fn of_webpki(error: &webpki::Error) -> Distrust {
    use webpki::Error as E;
    match error {
        E::CaUsedAsEndEntity => Distrust::Authority,
        E::EndEntityUsedAsCa | E::PathLenConstraintViolated => {
            Distrust::NotAnAuthority("a certificate above it".to_owned())
        }
        E::UnsupportedCriticalExtension => Distrust::Extension,
        E::NameConstraintViolation | E::MalformedNameConstraint => Distrust::Constraint,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Distrust::Purpose,
        E::BadDer
        | E::BadDerTime
        | E::ExtensionValueInvalid
        | E::InvalidCertValidity
        | E::InvalidSerialNumber
        | E::MalformedExtensions
        | E::SignatureAlgorithmMismatch
        | E::TrailingData(_)
        | E::UnsupportedCertVersion => Distrust::Unreadable,
        E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumSignatureChecksExceeded => Distrust::Unknown,
        _ => Distrust::Other,
    }
}
