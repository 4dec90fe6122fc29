//! Tokens, keys and certificates.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use portpass_jose::{
    Certificate, Compact, KeySet, KeyType, SigningKey, TrustRoots, VerifyingKey, unverified,
};
use portpass_token::{
    Claims, Issuer, ServiceName, Trust, Verifier, VerifierSettings, unverified_summary,
};

use crate::assert_one_line;

/// When all of this happens: 2027-01-15.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

/// The one authority that is trusted; its key is in nobody's hands.
const ROOT: &str = include_str!("../fixtures/root.pem");
/// The one key that is trusted.
const KEY: &str = include_str!("../../jose/fixtures/ed25519-pkcs8.pem");
/// Tokens that hold, by key id and by a chain below the authority. No other text does.
const GOOD: [&str; 2] = [
    include_str!("../../../fuzz/corpus/jws/good-by-kid"),
    include_str!("../../../fuzz/corpus/jws/good-by-chain"),
];

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let key = SigningKey::from_pem(KEY, None).expect("a key");
    let mut keys = KeySet::new();
    keys.insert(key.public().clone());
    let roots = TrustRoots::from_pem(ROOT).expect("an authority");
    let settings = VerifierSettings::new(Issuer::new("dtest"), ServiceName::new("token-service"));
    Verifier::with_settings(settings, Trust::new(roots, keys))
});

static ROOTS: LazyLock<TrustRoots> =
    LazyLock::new(|| TrustRoots::from_pem(ROOT).expect("an authority"));

/// A token holds only if it is, letter for letter, one that was signed; the reader that believes
/// nobody splits it alike (JW8, JW11).
pub fn jws(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match VERIFIER.verify(text, now()) {
        Ok(claims) => {
            assert!(GOOD.contains(&text), "{text:?} holds");
            assert_eq!(claims.subject, "ann");
        }
        Err(error) => {
            assert!(!GOOD.contains(&text), "{error}");
            assert_one_line(&error.to_string());
            assert!(!error.id().is_empty());
        }
    }
    let unverified = unverified::Unverified::parse(text);
    if Compact::parse(text).is_ok() {
        assert!(unverified.is_ok(), "{unverified:?}");
    }
    assert_eq!(unverified_summary(text).is_some(), unverified.is_ok());
    if let Some(words) = unverified_summary(text) {
        assert!(format!("{words:?}").len() < 32 * 1024);
    }
    if let Ok(unverified) = unverified {
        let named = unverified.key();
        let _ = (named.to_string(), named.key(), named.certificates().count());
    }
}

/// A key or a set of keys is written as it was read (RFC 7517).
pub fn jwk(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match VerifyingKey::from_jwk(text) {
        Ok(key) => {
            let (id, shape) = (key.id().clone(), key.key_type());
            let mut set = KeySet::new();
            set.insert(key);
            reads_back(&set);
            // A shared secret is never found by what can be told of it.
            assert_eq!(set.get(id.as_str()).is_some(), shape != KeyType::Octets, "{id}");
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    match KeySet::from_jwks(text) {
        Ok(set) => {
            for skipped in set.skipped() {
                assert_one_line(&skipped.why);
            }
            reads_back(&set);
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    if let Err(error) = SigningKey::from_jwk(text, None) {
        assert_one_line(&error.to_string());
    }
}

fn reads_back(set: &KeySet) {
    let again = KeySet::from_jwks(&set.to_jwks()).expect("what we wrote");
    assert_eq!(again.skipped().len(), 0, "{}", set.to_jwks());
    // Shared secrets are not written; and of two keys with one name the last counts.
    for key in again.iter() {
        assert!(set.iter().any(|known| known == key), "{key} is new");
    }
}

/// Claims are written as they were read; those that cannot be read are told in one line (JW4 to JW8).
pub fn claims(bytes: &[u8]) {
    match Claims::from_json(bytes) {
        Ok(claims) => {
            let written = claims.to_json().expect("it is text and numbers");
            assert_eq!(Claims::from_json(&written), Ok(claims));
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}

/// A chain is two bytes of length and a certificate, again and again. Nobody vouches for a leaf but
/// the authority that is trusted, and without one nobody at all (VO4).
pub fn x5c(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.der(), bytes);
        let _ = (certificate.subject(), certificate.issuer(), certificate.validity(now()));
        let again = TrustRoots::from_pem(&certificate.to_pem()).expect("what we wrote");
        assert_eq!(again.certificates(), [certificate]);
    }
    let chain = chain(bytes);
    assert!(TrustRoots::none().verify(&chain, now()).is_err());
    match ROOTS.verify(&chain, now()) {
        Ok(vouched) => {
            let leaf = Certificate::from_der(&chain[0]).expect("somebody vouches for it");
            assert_eq!(vouched.key, *leaf.key());
            assert!(vouched.valid_until >= now());
            assert!(KNOWN.contains(&vouched.key.id().as_str()), "{} is a stranger", vouched.key);
        }
        Err(error) => {
            assert_one_line(&error.to_string());
            assert!(!error.id().is_empty());
        }
    }
}

/// The keys of the authority, and of the one leaf that it ever signed.
const KNOWN: [&str; 2] =
    ["wjINp5fwvBtrTI7LMhtiNEMdL2soD86zoegitgMKTnI", "Ajle3FbyfASctrUtIgRgU6jS9UnfZS-APLleM7RJsTA"];

fn chain(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (certificate, rest) = rest.split_at(length);
        chain.push(certificate.to_vec());
        bytes = rest;
    }
    chain
}
