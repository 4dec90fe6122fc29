//! Keys that verify.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rsa::PublicKeyComponents,
    signature::{self, ParsedPublicKey, RsaParameters, VerificationAlgorithm},
};
use x509_parser::{
    oid_registry::{self, Oid},
    prelude::FromDer,
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

use crate::{
    Algorithm, Algorithms, KeyId, KeyType, components::Components, error::KeyError, thumbprint,
};

/// A public key with the algorithms that it may be used with.
///
/// A header's `alg` is compared with those, never obeyed: it cannot make an RSA key verify an HMAC
/// (RFC 8725 §3.1). Cheap to clone.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithms: Algorithms,
    inner: Arc<Inner>,
}

struct Inner {
    id: KeyId,
    key_type: KeyType,
    components: Components,
    spki: Box<[u8]>,
    checks: Checks,
}

enum Checks {
    Public(Vec<(Algorithm, ParsedPublicKey)>),
    Secret(Vec<(Algorithm, hmac::Key)>),
}

impl VerifyingKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der)
            .map_err(|_| KeyError::Unsupported("its DER is damaged or cut off".to_owned()))?;
        if !rest.is_empty() {
            return Err(KeyError::Unsupported("there are bytes after it".to_owned()));
        }
        let bits = spki.subject_public_key.data.as_ref();
        let oid = &spki.algorithm.algorithm;
        if *oid == oid_registry::OID_PKCS1_RSAENCRYPTION {
            match spki.parsed() {
                Ok(PublicKey::RSA(key)) => Self::from_rsa(key.modulus, key.exponent),
                _ => Err(KeyError::Unsupported("an RSA key without its numbers".to_owned())),
            }
        } else if *oid == oid_registry::OID_SIG_ED25519 {
            Self::from_edwards(bits)
        } else if *oid == oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            let curve = curve.as_ref().and_then(Curve::of_oid).ok_or_else(|| {
                KeyError::Unsupported("its curve is not P-256, P-384 or P-521".to_owned())
            })?;
            Self::from_point(curve, bits)
        } else {
            Err(KeyError::Unsupported(format!("its type has the object identifier {oid}")))
        }
    }

    /// Its RFC 7638 thumbprint.
    pub fn id(&self) -> &KeyId {
        &self.inner.id
    }

    /// What it may be used with.
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// What kind of key it is.
    pub fn key_type(&self) -> KeyType {
        self.inner.key_type
    }

    /// Checks a raw signature (`r||s` for ES*, RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`BadSignature`], also for every algorithm that is not the key's own.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if !self.algorithms.contains(algorithm) {
            return Err(BadSignature);
        }
        match &self.inner.checks {
            Checks::Public(keys) => {
                let key = keys.iter().find(|(candidate, _)| *candidate == algorithm);
                let (_, key) = key.ok_or(BadSignature)?;
                key.verify_sig(message, signature).map_err(|_| BadSignature)
            }
            Checks::Secret(keys) => {
                let key = keys.iter().find(|(candidate, _)| *candidate == algorithm);
                let (_, key) = key.ok_or(BadSignature)?;
                hmac::verify(key, message, signature).map_err(|_| BadSignature)
            }
        }
    }

    /// DER `SubjectPublicKeyInfo`; empty for a shared secret, which has no public half.
    pub fn to_spki(&self) -> &[u8] {
        &self.inner.spki
    }

    /// Every id under which a registry may know this key: the thumbprint, the libtrust fingerprint,
    /// and the thumbprint that distribution 3 gets wrong for some keys (JW13–JW15).
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        if self.inner.key_type == KeyType::Octets {
            return Vec::new();
        }
        let mut ids = vec![self.inner.id.clone(), KeyId::libtrust(self)];
        ids.extend(thumbprint::unpadded(&self.inner.components));
        ids
    }

    pub(crate) fn components(&self) -> &Components {
        &self.inner.components
    }

    /// The same key for one algorithm alone, as a JWK's `alg` says.
    ///
    /// # Errors
    /// [`KeyError::KeyType`] if the algorithm needs another kind of key.
    pub fn only(self, algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.key_type() != self.inner.key_type {
            return Err(KeyError::KeyType { algorithm, key_type: self.inner.key_type });
        }
        Ok(Self { algorithms: self.algorithms.intersection(algorithm.into()), inner: self.inner })
    }

    /// From the 32 bytes of an Ed25519 key (RFC 8037 §2).
    pub(crate) fn from_edwards(x: &[u8]) -> Result<Self, KeyError> {
        if x.len() != 32 {
            return Err(KeyError::Unsupported(format!(
                "an Ed25519 key has 32 bytes, but this one has {}",
                x.len()
            )));
        }
        let key = parse(&signature::ED25519, x)?;
        Self::public(
            KeyType::Ed25519,
            Components::Edwards { x: x.into() },
            vec![(Algorithm::EdDsa, key)],
        )
    }

    /// From an uncompressed point (SEC 1 §2.3.3).
    pub(crate) fn from_point(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        let size = curve.size();
        let [4, coordinates @ ..] = point else {
            return Err(KeyError::Unsupported("its point is not in uncompressed form".to_owned()));
        };
        if coordinates.len() != 2 * size {
            return Err(KeyError::Unsupported(format!(
                "a point on {} has two coordinates of {size} bytes",
                curve.name()
            )));
        }
        let key = parse(curve.verification(), point)?;
        let (x, y) = coordinates.split_at(size);
        let components = Components::Elliptic { curve: curve.name(), x: x.into(), y: y.into() };
        let key_type = curve.key_type();
        Self::public(key_type, components, vec![(key_type.default_algorithm(), key)])
    }

    /// From modulus and exponent, big-endian (RFC 7518 §6.3.1).
    pub(crate) fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (trim_zeros(n), trim_zeros(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize { bits });
        }
        let odd = e.last().is_some_and(|lowest| lowest % 2 == 1);
        if !odd || e == [1] || e.len() > 4 {
            let why = "its RSA exponent is not an odd number from 3 to 2^32";
            return Err(KeyError::Unsupported(why.to_owned()));
        }
        let components = PublicKeyComponents { n, e };
        let keys = RSA_CHECKS
            .iter()
            .map(|(algorithm, parameters)| {
                Ok((*algorithm, components.to_parsed_public_key(parameters)?))
            })
            .collect::<Result<_, aws_lc_rs::error::KeyRejected>>()
            .map_err(|_| rejected())?;
        Self::public(KeyType::Rsa, Components::Rsa { n: n.into(), e: e.into() }, keys)
    }

    /// From a shared secret (RFC 7518 §3.2): usable with each HMAC whose hash it is long enough for.
    pub(crate) fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        let keys: Vec<_> = HMAC_CHECKS
            .iter()
            .filter(|(_, hash)| secret.len() >= hash.digest_algorithm().output_len())
            .map(|(algorithm, hash)| (*algorithm, hmac::Key::new(*hash, secret)))
            .collect();
        if keys.is_empty() {
            return Err(KeyError::SecretSize { bytes: secret.len() });
        }
        let algorithms = keys.iter().map(|(algorithm, _)| *algorithm).collect();
        let inner = Inner {
            id: thumbprint::rfc7638(&Components::Octets),
            key_type: KeyType::Octets,
            components: Components::Octets,
            spki: Box::default(),
            checks: Checks::Secret(keys),
        };
        Ok(Self { algorithms, inner: Arc::new(inner) })
    }

    fn public(
        key_type: KeyType,
        components: Components,
        keys: Vec<(Algorithm, ParsedPublicKey)>,
    ) -> Result<Self, KeyError> {
        let (_, first) = keys.first().ok_or(KeyError::PrivateKey)?;
        let spki: PublicKeyX509Der<'_> = first
            .as_der()
            .map_err(|_| KeyError::Unsupported("it cannot be written as DER".to_owned()))?;
        let inner = Inner {
            id: thumbprint::rfc7638(&components),
            key_type,
            components,
            spki: spki.as_ref().into(),
            checks: Checks::Public(keys),
        };
        Ok(Self { algorithms: key_type.algorithms(), inner: Arc::new(inner) })
    }
}

impl KeyId {
    /// SHA-256 of the key's canonical JWK, base64url without padding (RFC 7638): what distribution 3
    /// calls the keys of its bundle (JW13).
    pub fn rfc7638(key: &VerifyingKey) -> Self {
        key.id().clone()
    }

    /// 240 bits of the SHA-256 of the DER public key in twelve groups of base32: what distribution 2
    /// calls the keys of its bundle (JW13).
    pub fn libtrust(key: &VerifyingKey) -> Self {
        thumbprint::libtrust(key.to_spki())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.inner.id.as_str())
            .field("algorithms", &self.algorithms.to_string())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for VerifyingKey {
    /// `a P-256 key (ES256)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.inner.key_type, self.algorithms)
    }
}

impl PartialEq for VerifyingKey {
    /// The same key, whatever it may be used with; a shared secret equals nothing.
    fn eq(&self, other: &Self) -> bool {
        self.inner.key_type != KeyType::Octets && self.inner.spki == other.inner.spki
    }
}

/// The signature is not the key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A curve of RFC 7518 §6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|curve| curve.name() == name)
    }

    fn of_oid(oid: &Oid<'_>) -> Option<Self> {
        if *oid == oid_registry::OID_EC_P256 {
            Some(Self::P256)
        } else if *oid == oid_registry::OID_NIST_EC_P384 {
            Some(Self::P384)
        } else if *oid == oid_registry::OID_NIST_EC_P521 {
            Some(Self::P521)
        } else {
            None
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of a coordinate.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    const fn key_type(self) -> KeyType {
        match self {
            Self::P256 => KeyType::P256,
            Self::P384 => KeyType::P384,
            Self::P521 => KeyType::P521,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        }
    }
}

fn parse(
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, KeyError> {
    ParsedPublicKey::new(algorithm, bytes).map_err(|_| rejected())
}

/// The library's own word is one for those who debug it.
fn rejected() -> KeyError {
    KeyError::Unsupported("its numbers are not a valid key of its type".to_owned())
}

fn trim_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}

static RSA_CHECKS: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
    (Algorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
];

static HMAC_CHECKS: [(Algorithm, hmac::Algorithm); 3] = [
    (Algorithm::Hs256, hmac::HMAC_SHA256),
    (Algorithm::Hs384, hmac::HMAC_SHA384),
    (Algorithm::Hs512, hmac::HMAC_SHA512),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeySet, SigningKey};

    /// JW15: x begins with a zero byte. The names were computed apart from this code.
    #[test]
    fn a_key_with_a_leading_zero_is_also_known_by_the_name_that_distribution_gives_it() {
        let jwk = r#"{"kty":"EC","crv":"P-256","x":"AFVDiUrz0A7X10Cr29dclrBod7eH219w7qeLkKjXwAo","y":"u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I"}"#;
        let key = VerifyingKey::from_jwk(jwk).unwrap();
        assert_eq!(key.id().as_str(), "7Yxe6c_3bAa6kiaK1G-BZmi9EeNsUmlcbdnrtLeuK4E");
        let mut set = KeySet::new();
        set.insert(key.clone());
        assert_eq!(set.get("cqdWPhcnF9DHfVHOTKaBvs582HJ6LmX0fEgRXTtiGFU"), Some(&key));
        assert_eq!(key.ids().len(), 3);
    }

    #[test]
    fn a_key_reads_back_from_its_der() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es384, Algorithm::Es512, Algorithm::Rs256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let again = VerifyingKey::from_spki(key.public().to_spki()).unwrap();
            assert_eq!((&again, again.id()), (key.public(), key.id()));
            assert_eq!(again.algorithms(), algorithm.key_type().algorithms());
            let mut trailing = key.public().to_spki().to_vec();
            trailing.push(0);
            assert!(VerifyingKey::from_spki(&trailing).is_err());
        }
        assert!(VerifyingKey::from_spki(b"").is_err());
    }

    #[test]
    fn an_rsa_key_has_a_decent_modulus_and_exponent() {
        let modulus = |bytes| vec![0xc5; bytes];
        let refusal = |n: &[u8], e: &[u8]| VerifyingKey::from_rsa(n, e).unwrap_err().to_string();
        assert!(refusal(&modulus(255), &[1, 0, 1]).contains("has 2040 bits"));
        assert!(refusal(&modulus(1025), &[1, 0, 1]).contains("has 8200 bits"));
        assert!(refusal(&[], &[1, 0, 1]).contains("has 0 bits"));
        for exponent in [&[1][..], &[2], &[], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
            assert!(refusal(&modulus(256), exponent).contains("exponent"), "{exponent:?}");
        }
        let padded = [vec![0], modulus(256)].concat();
        assert_eq!(
            VerifyingKey::from_rsa(&padded, &[0, 1, 0, 1]).unwrap(),
            VerifyingKey::from_rsa(&modulus(256), &[1, 0, 1]).unwrap()
        );
    }

    #[test]
    fn a_shared_secret_serves_each_hash_that_it_is_long_enough_for() {
        let algorithms =
            |length| VerifyingKey::from_secret(&vec![7; length]).unwrap().algorithms().to_string();
        assert_eq!(algorithms(32), "HS256");
        assert_eq!(algorithms(48), "HS256, HS384");
        assert_eq!(algorithms(64), "HS256, HS384, HS512");
        assert!(VerifyingKey::from_secret(&[7; 31]).is_err());
        let secret = VerifyingKey::from_secret(&[7; 32]).unwrap();
        assert_ne!(secret, secret.clone(), "nothing is said about two secrets");
        assert!(!format!("{secret:?}").contains('7'));
        assert!(secret.ids().is_empty());
    }
}
