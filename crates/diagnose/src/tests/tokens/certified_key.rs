//! Keys with certificates, for token services and registries.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portpass_jose::{KeyId, KeySet, SigningKey};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

/// A key with a certificate, self-signed.
pub(super) struct CertifiedKey {
    pub(super) key: SigningKey,
    pub(super) pem: String,
    pub(super) der: Vec<u8>,
    private: Vec<u8>,
}

impl CertifiedKey {
    pub(super) fn new(name: &str) -> Self {
        Self::until(name, 2100)
    }

    pub(super) fn until(name: &str, year: i32) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&pair).unwrap();
        let key = SigningKey::from_der(&pair.serialize_der(), None).unwrap();
        let der = certificate.der().to_vec();
        Self { key, pem: certificate.pem(), der, private: pair.serialize_der() }
    }

    /// The same once more.
    pub(super) fn again(&self) -> Self {
        let key = SigningKey::from_der(&self.private, None).unwrap();
        let Self { pem, der, private, .. } = self;
        Self { key, pem: pem.clone(), der: der.clone(), private: private.clone() }
    }

    pub(super) fn libtrust(&self) -> String {
        KeyId::libtrust(self.key.public()).to_string()
    }

    pub(super) fn thumbprint(&self) -> String {
        self.key.id().to_string()
    }

    pub(super) fn x5c(&self) -> Value {
        json!([STANDARD.encode(&self.der)])
    }

    pub(super) fn jwks(&self, name: &str) -> String {
        let mut keys = KeySet::new();
        keys.insert_named(name.into(), self.key.public().clone());
        keys.to_jwks()
    }
}
