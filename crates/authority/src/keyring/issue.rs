//! The root certificate, and leaves below it.

use std::time::{Duration, SystemTime};

use portpass_jose::{Algorithm, Certificate, KeyError, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SubjectPublicKeyInfo,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// A fresh root. Its key is always ES256, which every registry reads: distribution 2.8 does not survive
/// every other kind.
pub(super) fn root(now: SystemTime) -> Result<(SigningKey, Certificate), IssueError> {
    let key = SigningKey::generate(Algorithm::Es256)?;
    let certificate = root_certificate(&key, now, now)?;
    Ok((key, certificate))
}

/// A certificate for the root's key that begins a day ago or at `from`, whichever is earlier, and ends
/// in ten years; of one key, always with the same name.
pub(super) fn root_certificate(
    key: &SigningKey,
    from: SystemTime,
    now: SystemTime,
) -> Result<Certificate, IssueError> {
    let name = format!("portpass root {}", short(key));
    let mut params = named(&name, from.min(now - DAY), now + TEN_YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let made = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    params.serial_number = Some(made.as_secs().into());
    Ok(Certificate::from_der(params.self_signed(&pair(key)?)?.der())?)
}

/// A certificate for a signing key, from a day ago until `until` or the root's own end.
pub(super) fn leaf(
    key: &SigningKey,
    root: &Certificate,
    root_key: &SigningKey,
    now: SystemTime,
    until: SystemTime,
) -> Result<Certificate, IssueError> {
    let name = format!("portpass signing key {}", short(key));
    let not_before = (now - DAY).max(root.not_before());
    let mut params = named(&name, not_before, until.min(root.not_after()));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(root.der()), pair(root_key)?)?;
    let public = SubjectPublicKeyInfo::from_der(key.public().to_spki())?;
    Ok(Certificate::from_der(params.signed_by(&public, &issuer)?.der())?)
}

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The key or the finished certificate is not usable.
    #[error("the key ring cannot make a key: {0}")]
    Key(#[from] KeyError),
    /// The certificate cannot be written.
    #[error("the key ring cannot make a certificate: {0}")]
    Write(#[from] rcgen::Error),
}

fn named(name: &str, not_before: SystemTime, not_after: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = not_before.into();
    params.not_after = not_after.into();
    params
}

fn pair(key: &SigningKey) -> Result<KeyPair, IssueError> {
    let der = key.to_pkcs8()?;
    Ok(KeyPair::try_from(&PrivatePkcs8KeyDer::from(der.as_slice()))?)
}

/// Enough of a key's name to tell it from others at a glance.
fn short(key: &SigningKey) -> &str {
    key.id().as_str().get(..8).unwrap_or_default()
}

const DAY: Duration = Duration::from_hours(24);
/// With the leap days that ten years have at most.
const TEN_YEARS: Duration = Duration::from_hours(24 * (10 * 365 + 3));
