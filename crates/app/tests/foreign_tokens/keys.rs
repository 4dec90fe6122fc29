//! Every algorithm, and every name that a key may have.

use crate::{forged::Forged, outcome::Outcome, registry::Registry};

/// JW9, JW13, JW14: by a bundle each of its keys is known under four names.
#[track_caller]
fn is_trusted(algorithm: &str) {
    let forged = Forged::shared();
    let registry = Registry::trusting(&[("rootcertbundle", forged.file("keys.pem"))]);
    for form in ["RFC 7638", "libtrust", "x5c", "jwk"] {
        let name = format!("{algorithm}, {form}");
        assert_eq!(registry.shown(forged.token(&name)), Outcome::ok(), "{name}");
    }
    let unknown = registry.shown(forged.token(&format!("{algorithm}, JWKS")));
    assert_eq!(unknown, Outcome::invalid_token("token-key-unknown"));

    let registry = Registry::trusting(&[("jwks", forged.file("keys.json"))]);
    for form in ["JWKS", "RFC 7638", "libtrust", "jwk"] {
        let name = format!("{algorithm}, {form}");
        assert_eq!(registry.shown(forged.token(&name)), Outcome::ok(), "{name}");
    }
    // VO5
    let chain = registry.shown(forged.token(&format!("{algorithm}, x5c")));
    assert_eq!(chain, Outcome::invalid_token("chain-without-bundle"));

    let files = [("rootcertbundle", forged.file("keys.pem")), ("jwks", forged.file("keys.json"))];
    let registry = Registry::trusting(&files);
    for form in ["JWKS", "RFC 7638", "libtrust", "x5c", "jwk"] {
        let name = format!("{algorithm}, {form}");
        assert_eq!(registry.shown(forged.token(&name)), Outcome::ok(), "{name}");
    }
}

#[test]
fn rs256_is_trusted_under_every_name_of_its_key() {
    is_trusted("RS256");
}

#[test]
fn rs384_is_trusted_under_every_name_of_its_key() {
    is_trusted("RS384");
}

#[test]
fn rs512_is_trusted_under_every_name_of_its_key() {
    is_trusted("RS512");
}

#[test]
fn ps256_is_trusted_under_every_name_of_its_key() {
    is_trusted("PS256");
}

#[test]
fn ps384_is_trusted_under_every_name_of_its_key() {
    is_trusted("PS384");
}

#[test]
fn ps512_is_trusted_under_every_name_of_its_key() {
    is_trusted("PS512");
}

#[test]
fn es256_is_trusted_under_every_name_of_its_key() {
    is_trusted("ES256");
}

#[test]
fn es384_is_trusted_under_every_name_of_its_key() {
    is_trusted("ES384");
}

#[test]
fn es512_is_trusted_under_every_name_of_its_key() {
    is_trusted("ES512");
}

#[test]
fn eddsa_is_trusted_under_every_name_of_its_key() {
    is_trusted("EdDSA");
}

/// Tokens that are refused by a registry that trusts all keys there are.
#[track_caller]
fn are_refused(table: &[(&str, &str)]) {
    let forged = Forged::shared();
    let files = [("rootcertbundle", forged.file("keys.pem")), ("jwks", forged.file("keys.json"))];
    let registry = Registry::trusting(&files);
    for (name, refusal) in table {
        let outcome = registry.shown(forged.token(name));
        assert_eq!(outcome, Outcome::invalid_token(refusal), "{name}");
    }
}

/// JW12: also where the secret is in the JWK set and the signature holds.
#[test]
fn shared_secrets_sign_nothing() {
    are_refused(&[
        ("HS256, shared secret", "token-algorithm-not-allowed"),
        ("HS384, shared secret", "token-algorithm-not-allowed"),
        ("HS512, shared secret", "token-algorithm-not-allowed"),
    ]);
}

/// RFC 8725 §3.1
#[test]
fn an_hmac_is_never_checked_with_a_public_key() {
    for algorithm in ["HS256", "HS384", "HS512"] {
        let names = ["RSA", "P-256", "P-384", "P-521", "Ed25519"]
            .map(|kind| format!("{algorithm}, {kind}"));
        are_refused(&names.each_ref().map(|name| (name.as_str(), "token-algorithm-mismatch")));
    }
}

/// JW9
#[test]
fn none_and_names_that_nobody_knows_are_refused_whatever_the_signature() {
    are_refused(&[
        ("alg none, no signature", "token-algorithm-unknown"),
        ("alg 'none'", "token-algorithm-unknown"),
        ("alg 'None'", "token-algorithm-unknown"),
        ("alg 'rs256'", "token-algorithm-unknown"),
        ("alg 'RS256 '", "token-algorithm-unknown"),
        ("alg 'RS1'", "token-algorithm-unknown"),
        ("alg ''", "token-algorithm-unknown"),
    ]);
}

/// JW11, RFC 8725 §3.1
#[test]
fn a_signature_holds_under_its_own_name_alone() {
    are_refused(&[
        ("RS256 as RS384", "token-signature-wrong"),
        ("RS256 as PS256", "token-signature-wrong"),
        ("P-384 as ES256", "token-algorithm-mismatch"),
        ("P-256 as ES384", "token-algorithm-mismatch"),
        ("Ed25519 as ES256", "token-algorithm-mismatch"),
        ("RSA as EdDSA", "token-algorithm-mismatch"),
        ("ES256 in DER", "token-signature-wrong"),
    ]);
}
