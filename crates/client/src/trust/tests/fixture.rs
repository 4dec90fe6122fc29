//! Certificates, made here, and what each family says of them.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    client::danger::ServerCertVerifier as _,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::super::{
    CertificateFault, Fallback, PresentedChain, ServerVerification, TrustReport, verifier::Verifier,
};

pub(super) struct Made {
    pub(super) der: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

pub(super) fn parameters(
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2030, 1, 1);
    change(&mut parameters);
    parameters
}

pub(super) fn is_ca(parameters: &mut CertificateParams) {
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

pub(super) fn root(change: impl FnOnce(&mut CertificateParams)) -> Made {
    root_of(KeyPair::generate().unwrap(), change)
}

/// A root with this key; the name is always the same.
pub(super) fn root_of(key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let parameters = parameters("a root", |parameters| {
        is_ca(parameters);
        change(parameters);
    });
    let der = parameters.self_signed(&key).unwrap().der().clone();
    Made { der, issuer: Issuer::new(parameters, key) }
}

pub(super) fn below(
    issuer: &Made,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> Made {
    let key = KeyPair::generate().unwrap();
    let parameters = parameters(name, change);
    let der = parameters.signed_by(&key, &issuer.issuer).unwrap().der().clone();
    Made { der, issuer: Issuer::new(parameters, key) }
}

pub(super) fn named(parameters: &mut CertificateParams) {
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.subject_alt_names = names.subject_alt_names;
}

pub(super) fn leaf(
    issuer: &Made,
    change: impl FnOnce(&mut CertificateParams),
) -> CertificateDer<'static> {
    let made = below(issuer, "localhost", |parameters| {
        named(parameters);
        change(parameters);
    });
    made.der
}

/// 2025.
pub(super) const NOW: Duration = Duration::from_secs(1_750_000_000);

pub(super) fn evaluate(
    chain: &[CertificateDer<'static>],
    roots: &[CertificateDer<'static>],
) -> TrustReport {
    let name = ServerName::try_from("localhost").unwrap();
    let now = SystemTime::UNIX_EPOCH + NOW;
    let judged = super::super::evaluate(&PresentedChain { chain, name: &name, now }, roots);
    // A connection is verified by rustls, and beside it by Go where that was asked for.
    let verified = |fallback: Fallback| {
        let named = roots.to_vec();
        let verifier =
            Verifier::new(ServerVerification::Authorities { system: Vec::new(), named, fallback });
        let now = UnixTime::since_unix_epoch(NOW);
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now).is_ok()
    };
    assert_eq!(verified(Fallback::Go), judged.rustls.is_ok() || judged.go.is_ok(), "{judged:?}");
    let itself = roots.contains(&chain[0]);
    let by_name = judged.rustls.is_ok() || (itself && judged.go.is_ok());
    assert_eq!(verified(Fallback::Named), by_name, "{judged:?}");
    judged
}

/// What Go, rustls and OpenSSL say.
#[track_caller]
pub(super) fn say(judged: &TrustReport, [go, rustls, open_ssl]: [Result<(), CertificateFault>; 3]) {
    assert_eq!((&judged.go, &judged.rustls, &judged.open_ssl), (&go, &rustls, &open_ssl));
}

pub(super) const YES: Result<(), CertificateFault> = Ok(());
