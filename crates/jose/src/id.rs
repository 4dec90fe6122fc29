//! Names of keys: RFC 7638 thumbprints, libtrust fingerprints, and whatever a JWKS says.

use std::{borrow::Borrow, fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::{VerifyingKey, base64url, verifying::Parts};

/// The name of a key, as a header's `kid` carries it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// SHA-256 of the key's canonical JWK, base64url without padding (RFC 7638): what distribution 3
    /// calls the keys of its bundle (JW13).
    pub fn rfc7638(key: &VerifyingKey) -> Self {
        Self::thumbprint(key.parts())
    }

    /// 240 bits of the SHA-256 of the DER public key in twelve groups of base32: what distribution 2
    /// calls the keys of its bundle (JW13).
    pub fn libtrust(key: &VerifyingKey) -> Self {
        Self::fingerprint(key.to_spki())
    }

    /// As it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it looks like, which is all that an id says about itself.
    pub fn form(&self) -> IdForm {
        IdForm::of(&self.0)
    }

    pub(crate) fn thumbprint(parts: &Parts) -> Self {
        let json = match parts {
            Parts::Elliptic { curve, x, y } => elliptic_json(curve, x, y),
            Parts::Edwards { x } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(x))
            }
            Parts::Rsa { n, e } => format!(
                r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                base64url::encode(e),
                base64url::encode(n)
            ),
            // A hash of a secret is a way to guess it, and names nothing that anybody else knows.
            Parts::Octets => return Self("(shared secret)".into()),
        };
        Self::of_json(&json)
    }

    /// The thumbprint that distribution 3 computes for an elliptic curve key with a coordinate that
    /// begins with a zero byte: it forgets the padding (JW15). `None` for all other keys.
    pub(crate) fn unpadded(parts: &Parts) -> Option<Self> {
        let Parts::Elliptic { curve, x, y } = parts else { return None };
        let trim = |coordinate: &[u8]| {
            coordinate.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>()
        };
        (x.first() == Some(&0) || y.first() == Some(&0))
            .then(|| Self::of_json(&elliptic_json(curve, &trim(x), &trim(y))))
    }

    pub(crate) fn fingerprint(spki: &[u8]) -> Self {
        let hash = digest(&SHA256, spki);
        let mut text = String::with_capacity(59);
        for (index, group) in hash.as_ref()[..30].chunks(5).enumerate() {
            let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for letter in 0..8_u32 {
                if letter % 4 == 0 && (index > 0 || letter > 0) {
                    text.push(':');
                }
                let value = (bits >> (35 - 5 * letter)) & 0x1f;
                text.push(char::from(BASE32[usize::try_from(value).unwrap_or_default()]));
            }
        }
        Self(text.into())
    }

    fn of_json(json: &str) -> Self {
        Self(base64url::encode(digest(&SHA256, json.as_bytes()).as_ref()).into())
    }
}

impl Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KeyId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for KeyId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key id looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdForm {
    /// Twelve groups of four base32 letters.
    Libtrust,
    /// Anything else: a name that an issuer made up.
    Other,
    /// 43 base64url letters, as SHA-256 makes them.
    Rfc7638,
}

impl IdForm {
    /// What an id looks like.
    pub fn of(id: &str) -> Self {
        let groups = || id.split(':').all(|group| group.len() == 4 && group.bytes().all(is_base32));
        if id.len() == 59 && groups() {
            Self::Libtrust
        } else if id.len() == 43 && base64url::decode(id).is_ok() {
            Self::Rfc7638
        } else {
            Self::Other
        }
    }
}

/// How a token of ours names the key that signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyIdForm {
    /// By the libtrust fingerprint: distribution 2 with the signing certificate in its bundle.
    Libtrust,
    /// By the RFC 7638 thumbprint: distribution 3 with the signing certificate or a JWKS.
    Rfc7638,
    /// By the certificate chain: every registry whose bundle holds the root.
    X5c,
}

fn elliptic_json(curve: &str, x: &[u8], y: &[u8]) -> String {
    format!(
        r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#,
        base64url::encode(x),
        base64url::encode(y)
    )
}

fn is_base32(byte: u8) -> bool {
    BASE32.contains(&byte)
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(jwk: &str) -> (String, String) {
        let key = VerifyingKey::from_jwk(jwk).unwrap();
        (KeyId::rfc7638(&key).to_string(), KeyId::libtrust(&key).to_string())
    }

    /// JW13: the key of distribution's token specification.
    #[test]
    fn the_documented_key_has_the_documented_names() {
        let (thumbprint, fingerprint) = ids(
            r#"{"kty":"EC","crv":"P-256","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc"}"#,
        );
        assert_eq!(thumbprint, "8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8");
        assert_eq!(fingerprint, "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6");
        assert_eq!(IdForm::of(&thumbprint), IdForm::Rfc7638);
        assert_eq!(IdForm::of(&fingerprint), IdForm::Libtrust);
        assert_eq!(IdForm::of("key-1"), IdForm::Other);
    }

    /// RFC 7638 §3.1
    #[test]
    fn the_rfc_7638_example_has_its_thumbprint() {
        let (thumbprint, _) = ids(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
        );
        assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    /// RFC 8037 A.3
    #[test]
    fn the_rfc_8037_example_has_its_thumbprint() {
        let (thumbprint, _) = ids(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        );
        assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_shared_secret_is_not_named_after_itself() {
        let key = VerifyingKey::from_jwk(&format!(r#"{{"kty":"oct","k":"{}"}}"#, "A".repeat(43)));
        assert_eq!(KeyId::rfc7638(&key.unwrap()).as_str(), "(shared secret)");
    }
}
