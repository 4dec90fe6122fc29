//! Whom to trust, and what a registry that trusts them says of a token.

use std::time::SystemTime;

use portpass_jose::{
    Certificate, KeyError, KeySet, TrustRoots, VerifyingKey, curve_of_base_point, set::JwksError,
    unverified::NamedKey,
};
use portpass_protocol::advice::{Advice, Failure, RefusedBy};
use portpass_token::{Invalid, Issuer, ServiceName, Trust, Verifier, VerifierSettings};
use serde::Serialize;

use super::Inspection;
use crate::base_point;

/// Whom to trust when a token is checked.
#[derive(Debug, Default)]
pub struct TrustSettings {
    /// Certificates in PEM, as in a registry's `rootcertbundle`; what stands around them may be no text.
    pub bundle: Option<Vec<u8>>,
    /// A JWK set, as in a registry's `jwks`.
    pub jwks: Option<String>,
    /// The issuer; by default the one that the token names.
    pub issuer: Option<String>,
    /// The audience; by default the first that the token names.
    pub service: Option<String>,
}

impl TrustSettings {
    /// Reads certificates and keys.
    pub fn read(self) -> Result<Trusted, TrustError> {
        let roots = self.bundle.as_deref().map(TrustRoots::from_pem).transpose();
        let roots = roots.map_err(TrustError::Bundle)?.unwrap_or_default();
        let keys = self.jwks.as_deref().map(KeySet::from_jwks).transpose();
        let keys = keys.map_err(TrustError::Jwks)?.unwrap_or_default();
        let skipped = keys.skipped().iter().map(|skipped| {
            format!("entry {} of the JWK set cannot be used: {}", skipped.index + 1, skipped.why)
        });
        Ok(Trusted {
            skipped: skipped.collect(),
            certificates: roots.certificates().to_vec(),
            trust: Trust::new(roots, keys),
            issuer: self.issuer,
            service: self.service,
        })
    }
}

/// Whom to trust, read.
#[derive(Debug)]
pub struct Trusted {
    /// Entries of the JWK set that a registry passes over, one sentence each.
    pub skipped: Vec<String>,
    certificates: Vec<Certificate>,
    trust: Trust,
    issuer: Option<String>,
    service: Option<String>,
}

impl Trusted {
    /// The key of that id, and where it is.
    pub(super) fn find(&self, id: &str) -> Option<(&VerifyingKey, &'static str)> {
        let key = self.trust.keys().get(id)?;
        let certified = self.certificates.iter().any(|certificate| certificate.key() == key);
        Some((key, if certified { "in the bundle" } else { "in the JWK set" }))
    }
}

/// Why a file cannot be used: a registry with it would not start.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The bundle.
    #[error("the bundle cannot be used: {0}")]
    Bundle(KeyError),
    /// The JWK set.
    #[error("the keys cannot be used: {0}")]
    Jwks(JwksError),
}

/// Why a registry refuses a token, in its own words and with what the documentation says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// As the registry's log has it: `token-expired`.
    pub id: &'static str,
    /// The whole reason.
    pub reason: String,
    /// What the operator of the registry does about it.
    pub what_to_do: Option<&'static str>,
    /// The known failures that it may be.
    pub failures: Vec<&'static Failure>,
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        let advice = Advice::on(RefusedBy::Registry, invalid.id());
        let rows = advice.map_or(&[][..], |advice| advice.failures.rows()).iter();
        // Which id is the base point's can be seen.
        let rows = rows.filter(|row| **row != base_point::ROW);
        Self {
            id: invalid.id(),
            reason: invalid.to_string(),
            what_to_do: advice.map(|advice| advice.what_to_do),
            failures: rows.filter_map(|row| Failure::of(row)).collect(),
        }
    }
}

impl Refusal {
    /// The id is of no key: that the key is missing somewhere is not what is wrong.
    fn of_base_point(invalid: &Invalid, curve: &str) -> Self {
        Self {
            id: invalid.id(),
            reason: base_point::summary(curve),
            what_to_do: Some(base_point::FIX),
            failures: Failure::of(base_point::ROW).into_iter().collect(),
        }
    }
}

fn is_of_unknown_key(invalid: &Invalid) -> bool {
    matches!(invalid, Invalid::Untrusted(portpass_jose::Invalid::UnknownKey { .. }))
}

impl Inspection {
    /// The curve whose base point the token's key id stands for, if it does.
    fn curve_of_base_point(&self) -> Option<&'static str> {
        match &self.key {
            NamedKey::Id(id) | NamedKey::Embedded { id: Some(id), .. } => curve_of_base_point(id),
            _ => None,
        }
    }

    /// Checks the token as a registry with these settings does.
    pub fn verify(&self, token: &str, trusted: Trusted, now: SystemTime) -> Result<(), Refusal> {
        let own = self.read.as_ref();
        let issuer = trusted.issuer.as_deref();
        let issuer = issuer.or_else(|| own.map(|claims| claims.issuer.as_str()));
        let audience =
            own.and_then(|claims| claims.audience.iter().next()).map(ServiceName::as_str);
        let service = trusted.service.as_deref().or(audience);
        let settings = VerifierSettings::new(
            Issuer::new(issuer.unwrap_or_default()),
            ServiceName::new(service.unwrap_or_default()),
        );
        let verifier = Verifier::with_settings(settings, trusted.trust);
        verifier.verify(token, now).map(drop).map_err(|invalid| match self.curve_of_base_point() {
            Some(curve) if is_of_unknown_key(&invalid) => Refusal::of_base_point(&invalid, curve),
            _ => invalid.into(),
        })
    }
}
