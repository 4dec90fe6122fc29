//! Certificates for tests, made on the spot.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::{Certificate, CertificateChain, SigningKey};

/// 2026-06-01
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(494_520)
}

/// A certificate with its private key, so that it can sign others.
pub(crate) struct TestCertificate {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) certificate: Certificate,
}

pub(crate) const YEAR: Duration = Duration::from_hours(24 * 365);
pub(crate) const AUTHORITY: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

pub(crate) fn params(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = is_ca;
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

impl TestCertificate {
    pub(crate) fn itself(params: CertificateParams) -> Self {
        Self::with_key(params, KeyPair::generate().unwrap())
    }

    pub(crate) fn with_key(params: CertificateParams, key: KeyPair) -> Self {
        let certificate = params.self_signed(&key).unwrap();
        let certificate = Certificate::from_der(certificate.der()).unwrap();
        Self { params, key, certificate }
    }

    pub(crate) fn root(name: &str) -> Self {
        Self::itself(params(name, AUTHORITY))
    }

    pub(crate) fn signs(&self, params: CertificateParams) -> Self {
        self.signs_with(params, KeyPair::generate().unwrap())
    }

    pub(crate) fn signs_with(&self, params: CertificateParams, key: KeyPair) -> Self {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let certificate = Certificate::from_der(certificate.der()).unwrap();
        Self { params, key, certificate }
    }

    pub(crate) fn leaf(&self) -> Self {
        self.signs(params("leaf", IsCa::NoCa))
    }

    /// The same key, for signing tokens under these certificates.
    pub(crate) fn signing_key(&self, above: &[&Self]) -> SigningKey {
        let chain = std::iter::once(&self).chain(above).map(|made| made.certificate.clone());
        let chain = CertificateChain::new(chain.collect()).unwrap();
        SigningKey::from_der(&self.key.serialize_der(), None).unwrap().with_chain(chain).unwrap()
    }
}
