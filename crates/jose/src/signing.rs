//! Keys that sign.

use std::{fmt, sync::OnceLock};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPairComponents, KeySize, PublicKeyComponents},
    signature::{
        self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use crate::{
    Algorithm, CertificateChain, KeyError, KeyId, KeyIdForm, KeyType, VerifyingKey, base64url,
    json::{self, Value},
    jwk::Members,
    pem,
    verifying::Curve,
};

/// A signing key that has been parsed and checked once, with one algorithm to sign by.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    public: VerifyingKey,
    chain: Option<CertificateChain>,
    headers: Headers,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Encoded JWS headers, one for each way to name the key, made when first wanted.
#[derive(Default)]
struct Headers {
    libtrust: OnceLock<String>,
    rfc7638: OnceLock<String>,
    x5c: OnceLock<String>,
}

impl SigningKey {
    /// Makes a fresh key from the system's random source; RSA keys get 3072 bits.
    ///
    /// # Errors
    /// [`KeyError::KeyType`] for HS*: nobody outside could verify.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::PrivateKey;
        let pair = match algorithm.key_type() {
            KeyType::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            KeyType::P256 => {
                Pair::Ecdsa(EcdsaKeyPair::generate(ecdsa(Curve::P256)).map_err(failed)?)
            }
            KeyType::P384 => {
                Pair::Ecdsa(EcdsaKeyPair::generate(ecdsa(Curve::P384)).map_err(failed)?)
            }
            KeyType::P521 => {
                Pair::Ecdsa(EcdsaKeyPair::generate(ecdsa(Curve::P521)).map_err(failed)?)
            }
            KeyType::Rsa => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?),
            KeyType::Octets => {
                return Err(KeyError::KeyType { algorithm, key_type: KeyType::Octets });
            }
        };
        Self::of(pair, Some(algorithm))
    }

    /// Reads the first private key of PEM text: PKCS#8, SEC1 or PKCS#1.
    ///
    /// Without an `algorithm`, the usual one of its kind: ES256 for P-256, RS256 for RSA.
    pub fn from_pem(pem: impl AsRef<[u8]>, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let text = pem.as_ref();
        let has = |mark: &str| text.windows(mark.len()).any(|part| part == mark.as_bytes());
        if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let key = pem::blocks::<PrivateKeyDer<'_>>(text).next();
        Self::from_der(key.ok_or(KeyError::NoPrivateKey)??.secret_der(), algorithm)
    }

    /// Reads an unencrypted PKCS#8, SEC1 or PKCS#1 key in DER.
    pub fn from_der(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let ecdsa_pair = || {
            [Curve::P256, Curve::P384, Curve::P521].into_iter().find_map(|curve| {
                EcdsaKeyPair::from_private_key_der(ecdsa(curve), der).ok().map(Pair::Ecdsa)
            })
        };
        let ed25519_pair =
            || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Pair::Ed25519);
        let rsa_pair = || {
            let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
            pair.ok().map(Pair::Rsa)
        };
        let pair = ecdsa_pair().or_else(ed25519_pair).or_else(rsa_pair);
        Self::of(pair.ok_or(KeyError::PrivateKey)?, algorithm)
    }

    /// Reads a private JWK (RFC 7517 §9.3); its `alg` counts unless `algorithm` is given.
    pub fn from_jwk(json: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let object = json::parse_object(json.as_bytes())?;
        let members = Members(&object);
        let pair = match members.required("kty")? {
            "EC" => members.ecdsa_pair()?,
            "OKP" => members.ed25519_pair()?,
            "RSA" => members.rsa_pair()?,
            other => return Err(KeyError::Jwk(format!("keys of type {other:?} cannot sign here"))),
        };
        let stated = members.text("alg")?.map(str::parse).transpose();
        let stated = stated.map_err(|error| KeyError::Jwk(format!("{error}")))?;
        Self::of(pair, algorithm.or(stated))
    }

    /// With the certificates that vouch for it, for [`KeyIdForm::X5c`].
    ///
    /// # Errors
    /// [`KeyError::AnotherKey`] if the leaf holds another key.
    pub fn with_chain(mut self, chain: CertificateChain) -> Result<Self, KeyError> {
        let leaf = chain.leaf();
        if *leaf.key() != self.public {
            return Err(KeyError::AnotherKey {
                subject: leaf.subject().to_owned(),
                certified: leaf.key().id().clone(),
                signing: self.id().clone(),
            });
        }
        self.chain = Some(chain);
        self.headers = Headers::default();
        Ok(self)
    }

    /// As PKCS#8 DER, wiped from memory when dropped.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |_| KeyError::PrivateKey;
        let der = match &self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                der.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(der))
    }

    /// Signs a message; ES* signatures are raw `r||s` (RFC 7518 §3.4).
    pub fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let bytes = match &self.pair {
            Pair::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map_err(|_| SignError::Failed)?
                .as_ref()
                .into(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().into(),
            Pair::Rsa(pair) => {
                let encoding = rsa_encoding(self.algorithm).ok_or(SignError::Failed)?;
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut bytes)
                    .map_err(|_| SignError::Failed)?;
                bytes.into()
            }
        };
        Ok(Signature(bytes))
    }

    /// Writes a compact JWS (RFC 7515 §7.1) whose header says `"typ":"JWT"` and names this key.
    ///
    /// With a chain it also carries the thumbprint as `kid`, for verifiers that only know a JWKS.
    pub fn sign_compact(&self, form: KeyIdForm, payload: &[u8]) -> Result<String, SignError> {
        let header = match form {
            KeyIdForm::Libtrust => self.headers.libtrust.get_or_init(|| {
                self.header(&format!(r#""kid":"{}""#, KeyId::libtrust(&self.public)))
            }),
            KeyIdForm::Rfc7638 => self
                .headers
                .rfc7638
                .get_or_init(|| self.header(&format!(r#""kid":"{}""#, self.id()))),
            KeyIdForm::X5c => {
                let chain = self.chain.as_ref().ok_or(SignError::NoChain)?;
                self.headers.x5c.get_or_init(|| self.chain_header(chain))
            }
        };
        let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + 700);
        token.push_str(header);
        token.push('.');
        base64url::encode_onto(payload, &mut token);
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        base64url::encode_onto(signature.as_ref(), &mut token);
        Ok(token)
    }

    /// The public half, for this key's one algorithm.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The RFC 7638 thumbprint.
    pub fn id(&self) -> &KeyId {
        self.public.id()
    }

    /// What it signs by.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The certificates that vouch for it, leaf first.
    pub fn chain(&self) -> Option<&CertificateChain> {
        self.chain.as_ref()
    }

    fn of(pair: Pair, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let spki: Result<PublicKeyX509Der<'_>, _> = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
        };
        let public = VerifyingKey::from_spki(spki.map_err(|_| KeyError::PrivateKey)?.as_ref())?;
        let algorithm = algorithm.unwrap_or(public.key_type().default_algorithm());
        let public = public.only(algorithm)?;
        Ok(Self { algorithm, pair, public, chain: None, headers: Headers::default() })
    }

    fn header(&self, key: &str) -> String {
        let json = format!(r#"{{"alg":"{}","typ":"JWT",{key}}}"#, self.algorithm);
        base64url::encode(json.as_bytes())
    }

    fn chain_header(&self, chain: &CertificateChain) -> String {
        let certificates: Vec<_> = chain
            .certificates()
            .iter()
            .map(|certificate| Value::String(STANDARD.encode(certificate.der())))
            .collect();
        let list = Value::Array(certificates);
        self.header(&format!(r#""kid":"{}","x5c":{list}"#, self.id()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Members<'_> {
    fn ecdsa_pair(&self) -> Result<Pair, KeyError> {
        let curve = self.curve()?;
        let (private, public) = (self.bytes("d")?, self.point(curve)?);
        EcdsaKeyPair::from_private_key_and_public_key(ecdsa(curve), &private, &public)
            .map(Pair::Ecdsa)
            .map_err(|_| rejected())
    }

    fn ed25519_pair(&self) -> Result<Pair, KeyError> {
        if self.required("crv")? != "Ed25519" {
            return Err(KeyError::Jwk("the curve is not Ed25519".to_owned()));
        }
        Ed25519KeyPair::from_seed_and_public_key(&self.bytes("d")?, &self.bytes("x")?)
            .map(Pair::Ed25519)
            .map_err(|_| rejected())
    }

    fn rsa_pair(&self) -> Result<Pair, KeyError> {
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: self.bytes("n")?, e: self.bytes("e")? },
            d: self.bytes("d")?,
            p: self.bytes("p")?,
            q: self.bytes("q")?,
            dP: self.bytes("dp")?,
            dQ: self.bytes("dq")?,
            qInv: self.bytes("qi")?,
        };
        RsaKeyPair::from_components(&components).map(Pair::Rsa).map_err(|_| rejected())
    }
}

/// Raw signature bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Box<[u8]>);

/// The library's own word is one for those who debug it.
fn rejected() -> KeyError {
    KeyError::Jwk("its numbers are not a valid key of its type".to_owned())
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The cryptographic library refused, which it has no reason to.
    #[error("signing failed")]
    Failed,
    /// The key is to be named by its certificates and has none.
    #[error("the signing key has no certificate chain for `x5c`")]
    NoChain,
}

fn ecdsa(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
