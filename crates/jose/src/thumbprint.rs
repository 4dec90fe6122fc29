//! Names that are computed from keys.

use aws_lc_rs::digest::{SHA256, digest};

use crate::{KeyId, base64url, components::Components};

/// SHA-256 of the canonical JWK.
pub(crate) fn rfc7638(components: &Components) -> KeyId {
    let json = match components {
        Components::Elliptic { curve, x, y } => elliptic_json(curve, x, y),
        Components::Edwards { x } => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(x))
        }
        Components::Rsa { n, e } => format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            base64url::encode(e),
            base64url::encode(n)
        ),
        // A hash of a secret is a way to guess it, and names nothing that anybody else knows.
        Components::Octets => return KeyId::from("(shared secret)"),
    };
    of_json(&json)
}

/// The thumbprint that distribution 3 computes for an elliptic curve key with a coordinate that
/// begins with a zero byte: it forgets the padding (JW15). `None` for all other keys.
pub(crate) fn unpadded(components: &Components) -> Option<KeyId> {
    let Components::Elliptic { curve, x, y } = components else { return None };
    let trim = |coordinate: &[u8]| {
        coordinate.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>()
    };
    (x.first() == Some(&0) || y.first() == Some(&0))
        .then(|| of_json(&elliptic_json(curve, &trim(x), &trim(y))))
}

/// 240 bits of the SHA-256 of the DER public key, in base32.
pub(crate) fn libtrust(spki: &[u8]) -> KeyId {
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
    KeyId::from(text)
}

fn of_json(json: &str) -> KeyId {
    KeyId::from(base64url::encode(digest(&SHA256, json.as_bytes()).as_ref()))
}

fn elliptic_json(curve: &str, x: &[u8], y: &[u8]) -> String {
    format!(
        r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#,
        base64url::encode(x),
        base64url::encode(y)
    )
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdForm, VerifyingKey};

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
