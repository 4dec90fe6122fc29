//! Keys as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    KeyError, KeyId, VerifyingKey, base64url,
    components::Components,
    json::{self, Map, Value},
    verifying::Curve,
};

/// One JWK: a public key and what is written beside it.
#[derive(Debug)]
pub(crate) struct Jwk {
    pub(crate) id: Option<KeyId>,
    pub(crate) key: VerifyingKey,
    /// It carries the private half, or is a shared secret.
    pub(crate) is_secret: bool,
    /// `x5c`, leaf first; empty if there is none.
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Jwk {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeyError> {
        Self::from_object(&json::parse_object(json)?)
    }

    pub(crate) fn from_object(object: &Map<String, Value>) -> Result<Self, KeyError> {
        let members = Members(object);
        let mut key = members.public_key()?;
        if let Some(algorithm) = members.text("alg")? {
            let algorithm = algorithm.parse().map_err(|error| broken(&error))?;
            key = key.only(algorithm)?;
        }
        let id = members.text("kid")?.map(KeyId::from);
        let is_secret = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|member| object.contains_key(*member));
        Ok(Self { id, key, is_secret, chain: members.chain()? })
    }

    /// Whether `use` and `key_ops` let it verify signatures (RFC 7517 §4.2–4.3).
    pub(crate) fn may_verify(object: &Map<String, Value>) -> bool {
        let for_signatures = object.get("use").is_none_or(|usage| usage.as_str() == Some("sig"));
        let operations = object.get("key_ops").and_then(Value::as_array);
        let verifies = |operation: &Value| matches!(operation.as_str(), Some("verify" | "sign"));
        for_signatures && operations.is_none_or(|list| list.iter().any(verifies))
    }
}

impl VerifyingKey {
    /// Reads a JWK (RFC 7517 §4); of a private one, only the public half.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        Jwk::parse(json.as_bytes()).map(|jwk| jwk.key)
    }
}

/// The public members of a key, with `kid`, `use` and, where it has but one, `alg`; `None` for a
/// shared secret, which is nobody else's business.
pub(crate) fn to_object(key: &VerifyingKey, id: &KeyId) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    let mut put = |name: &str, value: &str| object.insert(name.to_owned(), value.into());
    match key.components() {
        Components::Elliptic { curve, x, y } => {
            put("kty", "EC");
            put("crv", curve);
            put("x", &base64url::encode(x));
            put("y", &base64url::encode(y));
        }
        Components::Edwards { x } => {
            put("kty", "OKP");
            put("crv", "Ed25519");
            put("x", &base64url::encode(x));
        }
        Components::Rsa { n, e } => {
            put("kty", "RSA");
            put("n", &base64url::encode(n));
            put("e", &base64url::encode(e));
        }
        Components::Octets => return None,
    }
    put("kid", id.as_str());
    put("use", "sig");
    let mut algorithms = key.algorithms().iter();
    if let (Some(only), None) = (algorithms.next(), algorithms.next()) {
        put("alg", only.name());
    }
    Some(object)
}

/// The members of a JWK, read by type.
pub(crate) struct Members<'a>(pub(crate) &'a Map<String, Value>);

impl Members<'_> {
    /// A member that is a string; null is as good as absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, KeyError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                Err(broken(&format_args!("`{name}` is {}, expected a string", json::kind(other))))
            }
        }
    }

    /// A member that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, KeyError> {
        self.text(name)?.ok_or_else(|| broken(&format_args!("`{name}` is missing")))
    }

    /// A member that must be there and holds bytes.
    pub(crate) fn bytes(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        base64url::decode(self.required(name)?)
            .map(Zeroizing::new)
            .map_err(|_| broken(&format_args!("`{name}` is not base64url without padding")))
    }

    /// The curve that `crv` names.
    pub(crate) fn curve(&self) -> Result<Curve, KeyError> {
        let name = self.required("crv")?;
        Curve::of_name(name)
            .ok_or_else(|| broken(&format_args!("curve {name:?} is not P-256, P-384 or P-521")))
    }

    /// The uncompressed point that `x` and `y` are, each padded to the curve's size as RFC 7518
    /// §6.2.1.2 demands.
    pub(crate) fn point(&self, curve: Curve) -> Result<Vec<u8>, KeyError> {
        let mut point = vec![4];
        for name in ["x", "y"] {
            let coordinate = self.bytes(name)?;
            if coordinate.len() != curve.size() {
                return Err(broken(&format_args!(
                    "`{name}` has {} bytes, but {} needs {}",
                    coordinate.len(),
                    curve.name(),
                    curve.size()
                )));
            }
            point.extend_from_slice(&coordinate);
        }
        Ok(point)
    }

    fn public_key(&self) -> Result<VerifyingKey, KeyError> {
        match self.required("kty")? {
            "EC" => {
                let curve = self.curve()?;
                VerifyingKey::from_point(curve, &self.point(curve)?)
            }
            "OKP" => match self.required("crv")? {
                "Ed25519" => VerifyingKey::from_edwards(&self.bytes("x")?),
                other => Err(broken(&format_args!("curve {other:?} is not Ed25519"))),
            },
            "RSA" => VerifyingKey::from_rsa(&self.bytes("n")?, &self.bytes("e")?),
            "oct" => VerifyingKey::from_secret(&self.bytes("k")?),
            other => Err(broken(&format_args!("key type {other:?} is not EC, OKP, RSA or oct"))),
        }
    }

    fn chain(&self) -> Result<Vec<Vec<u8>>, KeyError> {
        match self.0.get("x5c") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(list) => decode_chain(list).map_err(|error| broken(&error)),
        }
    }
}

/// Reads an `x5c` member: a list of base64 DER, not base64url (RFC 7515 §4.1.6).
pub(crate) fn decode_chain(value: &Value) -> Result<Vec<Vec<u8>>, ChainEncoding> {
    let Value::Array(list) = value else {
        return Err(ChainEncoding::NotAList { found: json::kind(value) });
    };
    let decode = |(index, entry): (usize, &Value)| match entry {
        Value::String(text) => STANDARD.decode(text).map_err(|_| ChainEncoding::NotBase64 {
            index,
            hint: if text.contains(['-', '_']) { ", it looks like base64url" } else { "" },
        }),
        other => Err(ChainEncoding::NotAString { index, found: json::kind(other) }),
    };
    list.iter().enumerate().map(decode).collect()
}

/// Why an `x5c` member holds no certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainEncoding {
    /// It is one thing, not many.
    #[error("`x5c` is {found}, expected a list of strings")]
    NotAList {
        /// What it is.
        found: &'static str,
    },
    /// An entry is no text.
    #[error("`x5c[{index}]` is {found}, expected a string")]
    NotAString {
        /// Counted from zero.
        index: usize,
        /// What it is.
        found: &'static str,
    },
    /// An entry is no standard base64.
    #[error("`x5c[{index}]` is not base64 with padding{hint}")]
    NotBase64 {
        /// Counted from zero.
        index: usize,
        /// What it may be instead.
        hint: &'static str,
    },
}

fn broken(why: &dyn std::fmt::Display) -> KeyError {
    KeyError::Jwk(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        Jwk::parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn each_way_to_be_unusable_has_its_words() {
        let short = base64url::encode(&[7; 31]);
        let full = base64url::encode(&[7; 32]);
        let weak = base64url::encode(&[0xff; 128]);
        let table = [
            ("[]".to_owned(), "it is a list, expected an object"),
            ("{}".to_owned(), "`kty` is missing"),
            (r#"{"kty":5}"#.to_owned(), "`kty` is a number, expected a string"),
            (r#"{"kty":"AKP"}"#.to_owned(), "key type \"AKP\" is not EC, OKP, RSA or oct"),
            (r#"{"kty":"EC","crv":"secp256k1"}"#.to_owned(), "curve \"secp256k1\" is not P-256"),
            (
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{short}","y":"{full}"}}"#),
                "`x` has 31 bytes, but P-256 needs 32",
            ),
            (
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{full}","y":"{full}"}}"#),
                "the public key is not usable",
            ),
            (r#"{"kty":"OKP","crv":"X25519"}"#.to_owned(), "curve \"X25519\" is not Ed25519"),
            (format!(r#"{{"kty":"RSA","n":"{weak}","e":"AQAB"}}"#), "the RSA key has 1024 bits"),
            (r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), "the shared secret has 3 bytes"),
            (
                format!(r#"{{"kty":"oct","k":"{full}","alg":"RS256"}}"#),
                "RS256 does not work with a shared secret",
            ),
            (
                format!(r#"{{"kty":"oct","k":"{full}","alg":"none"}}"#),
                "unknown signature algorithm \"none\"",
            ),
            (
                format!(r#"{{"kty":"oct","k":"{full}","x5c":["a_b"]}}"#),
                "`x5c[0]` is not base64 with padding, it looks like base64url",
            ),
            (
                r#"{"kty":"RSA","n":"AA==","e":"AQAB"}"#.to_owned(),
                "`n` is not base64url without padding",
            ),
            (r#"{"kty":"oct","kty":"RSA"}"#.to_owned(), "the key \"kty\" appears twice"),
        ];
        for (json, words) in table {
            let refusal = refusal(&json);
            assert!(refusal.contains(words), "{json}: {refusal}");
        }
    }

    #[test]
    fn encryption_keys_do_not_verify() {
        let object = |json: &str| json::parse_object(json.as_bytes()).unwrap();
        assert!(Jwk::may_verify(&object("{}")));
        assert!(Jwk::may_verify(&object(r#"{"use":"sig","key_ops":["verify"]}"#)));
        assert!(!Jwk::may_verify(&object(r#"{"use":"enc"}"#)));
        assert!(!Jwk::may_verify(&object(r#"{"key_ops":["wrapKey"]}"#)));
    }

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        let json = r#"{"kty":"EC","crv":"P-256","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc","kid":"one"}"#;
        let jwk = Jwk::parse(json.as_bytes()).unwrap();
        let written = to_object(&jwk.key, &jwk.id.clone().unwrap()).unwrap();
        assert_eq!(written["alg"], "ES256");
        let again = Jwk::from_object(&written).unwrap();
        assert_eq!((again.id, again.key), (jwk.id, jwk.key));
        assert!(!again.is_secret);
    }
}
