use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    KeyIdForm, SigningKey,
    fixture::{self, TestCertificate},
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// The trusted key, and tokens whose headers say what they like.
struct Case {
    signer: SigningKey,
    keys: KeySet,
}

impl Case {
    fn new(algorithm: Algorithm) -> Self {
        let signer = SigningKey::generate(algorithm).unwrap();
        let mut keys = KeySet::new();
        keys.insert(signer.public().clone());
        Self { signer, keys }
    }

    fn sign(&self, header: &str) -> String {
        let signed =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(b"{}"));
        let signature = self.signer.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url::encode(signature.as_ref()))
    }

    fn verify(&self, token: &str) -> Result<Verified, String> {
        let compact = Compact::parse(token).map_err(|why| why.to_string())?;
        compact
            .verify(&self.keys, &TrustRoots::none(), Algorithms::PUBLIC_KEY, NOW)
            .map_err(|why| why.to_string())
    }

    fn refusal(&self, token: &str) -> String {
        self.verify(token).unwrap_err()
    }

    fn kid(&self) -> &str {
        self.signer.id().as_str()
    }
}

fn verify_example(jwk: &str, token: &str) -> Verified {
    let mut keys = KeySet::new();
    keys.insert_named("example".into(), VerifyingKey::from_jwk(jwk).unwrap());
    // The examples name no key; the signature is over their own header.
    let Split { payload, signature, signed, .. } = split(token).unwrap();
    let mut compact = Compact::parse(token).unwrap();
    assert!(matches!(
        Compact::parse(token).unwrap().verify(&keys, &TrustRoots::none(), Algorithms::ALL, NOW),
        Err(Invalid::NoKeyNamed)
    ));
    compact.header.key = KeySource::Id("example".into());
    let verified = compact.verify(&keys, &TrustRoots::none(), Algorithms::ALL, NOW).unwrap();
    assert_eq!(verified.payload(), payload);

    let altered = signed.replace("eyJhbGciOi", "eyJhbGciOg");
    let key = keys.get("example").unwrap();
    let signature = base64url::decode(signature).unwrap();
    let algorithm = verified.signer().algorithm;
    assert!(key.verify(algorithm, signed.as_bytes(), &signature).is_ok());
    assert!(key.verify(algorithm, altered.as_bytes(), &signature).is_err());
    verified
}

/// RFC 7515 A.2
#[test]
fn the_rs256_example_verifies() {
    let verified = verify_example(
        r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    assert_eq!(verified.signer().algorithm, Algorithm::Rs256);
}

/// RFC 7515 A.3
#[test]
fn the_es256_example_verifies() {
    let verified = verify_example(
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    assert_eq!(verified.signer().algorithm, Algorithm::Es256);
}

/// RFC 7515 A.4
#[test]
fn the_es512_example_verifies() {
    let verified = verify_example(
        r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#,
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    );
    assert_eq!(verified.signer().algorithm, Algorithm::Es512);
}

/// RFC 8037 A.4
#[test]
fn the_ed25519_example_verifies() {
    let verified = verify_example(
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    assert_eq!(verified.payload(), b"Example of Ed25519 signing");
}

/// RFC 7515 A.1; usable only where it is asked for by name (JW12).
#[test]
fn the_hs256_example_verifies_where_shared_secrets_are_allowed() {
    let jwk = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let mut keys = KeySet::new();
    keys.insert_named("secret".into(), VerifyingKey::from_jwk(jwk).unwrap());
    let verify = |allowed| {
        let mut compact = Compact::parse(token).unwrap();
        compact.header.key = KeySource::Id("secret".into());
        compact.verify(&keys, &TrustRoots::none(), allowed, NOW).map(|_| ())
    };
    assert_eq!(verify(Algorithm::Hs256.into()), Ok(()));
    let refusal = verify(Algorithms::PUBLIC_KEY).unwrap_err();
    assert_eq!(refusal.id(), "token-algorithm-not-allowed");
    assert!(refusal.to_string().starts_with("the token's algorithm HS256 is not allowed; allowed"));
}

#[test]
fn every_algorithm_signs_what_it_verifies() {
    for algorithm in Algorithms::PUBLIC_KEY.iter() {
        let case = Case::new(algorithm);
        for form in [KeyIdForm::Rfc7638, KeyIdForm::Libtrust] {
            let token = case.signer.sign_compact(form, b"payload").unwrap();
            let verified = case.verify(&token).unwrap();
            assert_eq!(verified.payload(), b"payload");
            assert_eq!(verified.signer().algorithm, algorithm);
            assert_eq!(verified.signer().key_id, *case.signer.id());
        }
    }
}

/// JW8. golang-jwt before 5.2.2 (CVE-2025-30204) and go-jose (CVE-2016-9122, CVE-2026-34986) fail on some
/// texts that are no JWS in compact form: here they are refused by their length and number of parts.
#[test]
fn what_is_no_jws_says_how() {
    let good = Case::new(Algorithm::EdDsa);
    let token = good.signer.sign_compact(KeyIdForm::Rfc7638, b"{}").unwrap();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let table = [
        ("opaque".to_owned(), "token has 1 part, expected 3: it is not a JWT"),
        (String::new(), "token has 1 part, expected 3: it is not a JWT"),
        (format!("{header}.{payload}"), "token has 2 parts, expected 3: it is not a JWT"),
        ("a.b.c.d".to_owned(), "token has 4 parts, expected 3: it is not a JWT"),
        (".".repeat(8), "token has 9 parts, expected 3: it is not a JWT"),
        (
            r#"{"payload":"e30","protected":"e30","signature":"AA"}"#.to_owned(),
            "token has 1 part, expected 3: it is not a JWT",
        ),
        ("a.b.c.d.e".to_owned(), "token has 5 parts, expected 3: it is encrypted (JWE)"),
        (format!(" {token}"), "the token's header is not base64url without padding"),
        (
            format!("{header}.e30=.{signature}"),
            "the token's payload is not base64url without padding: it is padded with `=`",
        ),
        (
            format!("{header}.{payload}.ab+/"),
            "the token's signature is not base64url without padding: it looks like plain base64",
        ),
        ("A".repeat(MAX_TOKEN + 1), "token has 65537 bytes; the limit is 65536"),
    ];
    for (token, words) in table {
        assert_eq!(good.refusal(&token), words);
    }
}

#[test]
fn what_a_header_must_not_say() {
    let case = Case::new(Algorithm::EdDsa);
    let secret = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;
    let table = [
        // JW9
        (
            r#""alg":"none""#.to_owned(),
            "names the signature algorithm \"none\", which is not supported",
        ),
        (r#""alg":"eddsa""#.to_owned(), "names the signature algorithm \"eddsa\""),
        (r#""alg":5"#.to_owned(), "`alg` is a number, expected a string"),
        (r#""typ":"JWT""#.to_owned(), "`alg` is missing"),
        // JW8
        (r#""alg":"EdDSA","alg":"EdDSA""#.to_owned(), "the key \"alg\" appears twice"),
        // JW10
        (r#""alg":"EdDSA","crit":["b64"],"b64":true"#.to_owned(), "the token's header has `crit`"),
        (r#""alg":"EdDSA","crit":null"#.to_owned(), "the token's header has `crit`"),
        // JW1
        (r#""alg":"EdDSA","typ":"foo""#.to_owned(), "says that its type is \"foo\", not \"JWT\""),
        (r#""alg":"EdDSA","typ":"at+jwt""#.to_owned(), "says that its type is \"at+jwt\""),
        (r#""alg":"EdDSA","jku":"http://h/"#.to_owned() + "\"", "the token's header has `jku`"),
        (r#""alg":"EdDSA","x5u":"http://h/"#.to_owned() + "\"", "the token's header has `x5u`"),
        (r#""alg":"EdDSA","kid":5"#.to_owned(), "`kid` is a number, expected a string"),
        (r#""alg":"EdDSA","x5c":"AA==""#.to_owned(), "`x5c` is a string, expected a list"),
        (r#""alg":"EdDSA","x5c":[5]"#.to_owned(), "`x5c[0]` is a number, expected a string"),
        (
            r#""alg":"EdDSA","x5c":["AA==","a_8"]"#.to_owned(),
            "`x5c[1]` is not base64 with padding, it looks like base64url",
        ),
        (
            r#""alg":"EdDSA","x5c":["","","","","",""]"#.to_owned(),
            "`x5c` has 6 certificates; the limit is 5",
        ),
        (r#""alg":"EdDSA","jwk":"key""#.to_owned(), "`jwk` is a string, expected an object"),
        (r#""alg":"EdDSA","jwk":{}"#.to_owned(), "its `jwk` is not a usable JWK: `kty` is missing"),
        (format!(r#""alg":"EdDSA","jwk":{secret}"#), "contains a secret"),
    ];
    for (members, words) in table {
        let kid = case.kid();
        let header = if members.contains("\"kid\"") {
            format!("{{{members}}}")
        } else {
            format!(r#"{{{members},"kid":"{kid}"}}"#)
        };
        let refusal = case.refusal(&case.sign(&header));
        assert!(refusal.contains(words), "{members}: {refusal}");
    }
}

/// JW1, and RFC 7515 §4.1.9 for the long form.
#[test]
fn a_type_may_be_missing_or_written_in_full() {
    let case = Case::new(Algorithm::EdDsa);
    let kid = case.kid();
    for stated in
        ["", r#","typ":"JWT""#, r#","typ":"jwt""#, r#","typ":"application/jwt""#, r#","typ":null"#]
    {
        let token = case.sign(&format!(r#"{{"alg":"EdDSA","kid":"{kid}"{stated}}}"#));
        assert!(case.verify(&token).is_ok(), "{stated}");
    }
}

/// JW13, JW14: what the refusal of an unknown id tells the operator.
#[test]
fn an_unknown_key_id_is_named_with_what_it_could_have_been() {
    let case = Case::new(Algorithm::Es256);
    let (thumbprint, libtrust) = (case.kid(), KeyId::libtrust(case.signer.public()));
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let foreign = KeyId::libtrust(stranger.public());
    let refusal =
        |kid: &str| case.refusal(&case.sign(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#)));
    assert_eq!(
        refusal(foreign.as_str()),
        format!(
            "key id \"{foreign}\" is a libtrust fingerprint of no trusted key; the bundle has \"{libtrust}\""
        )
    );
    assert_eq!(
        refusal(stranger.id().as_str()),
        format!(
            "key id \"{}\" is an RFC 7638 thumbprint of no trusted key; the bundle has \"{thumbprint}\"",
            stranger.id()
        )
    );
    assert_eq!(
        refusal("nope"),
        format!("key id \"nope\" is the name of no trusted key; the bundle has \"{thumbprint}\"")
    );
    let unnamed = Case::new(Algorithm::Es256).sign(r#"{"alg":"ES256","kid":""}"#);
    assert!(case.refusal(&unnamed).starts_with("the token names no key"));

    let nobody = Case { signer: stranger, keys: KeySet::new() };
    let token = nobody.sign(r#"{"alg":"ES256","kid":"nope"}"#);
    assert!(nobody.refusal(&token).ends_with("the bundle has no key at all"));
}

#[test]
fn a_long_list_of_trusted_keys_is_cut_short() {
    let mut case = Case::new(Algorithm::EdDsa);
    for _ in 0..5 {
        case.keys.insert(SigningKey::generate(Algorithm::EdDsa).unwrap().public().clone());
    }
    let refusal = case.refusal(&case.sign(r#"{"alg":"EdDSA","kid":"nope"}"#));
    assert!(refusal.ends_with(" and 2 more"), "{refusal}");
}

/// JW11, JW12
/// CVE-2016-10555 and its kin: the algorithm is the key's, not the header's.
#[test]
fn the_header_cannot_choose_another_algorithm_than_the_keys() {
    let case = Case::new(Algorithm::Rs256);
    for alg in ["HS256", "ES256", "EdDSA", "RS384"] {
        let token = case.sign(&format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, case.kid()));
        assert_eq!(
            case.refusal(&token),
            format!("the token says {alg}, but its key is an RSA key (RS256)")
        );
    }
    // A key from a certificate may use all algorithms of its kind, if they are allowed.
    let mut keys = KeySet::new();
    keys.insert(VerifyingKey::from_spki(case.signer.public().to_spki()).unwrap());
    let signer = SigningKey::from_der(&case.signer.to_pkcs8().unwrap(), Some(Algorithm::Ps256));
    let token = signer.unwrap().sign_compact(KeyIdForm::Rfc7638, b"{}").unwrap();
    let verify = |allowed| {
        Compact::parse(&token).unwrap().verify(&keys, &TrustRoots::none(), allowed, NOW).map(|_| ())
    };
    assert_eq!(verify(Algorithms::PUBLIC_KEY), Ok(()));
    assert_eq!(
        verify(Algorithm::Rs256.into()).unwrap_err().to_string(),
        "the token's algorithm PS256 is not allowed; allowed are RS256"
    );
}

/// JW11
#[test]
fn a_signature_in_der_is_refused() {
    let case = Case::new(Algorithm::Es256);
    let token = case.sign(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, case.kid()));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let raw = base64url::decode(signature).unwrap();
    let mut der = vec![0x30, 70];
    for half in raw.chunks(32) {
        der.extend_from_slice(&[0x02, 33, 0]);
        der.extend_from_slice(half);
    }
    let refusal = case.refusal(&format!("{signed}.{}", base64url::encode(&der)));
    assert_eq!(
        refusal,
        format!("the token's ES256 signature was not made with the trusted key {:?}", case.kid())
    );
    assert!(case.verify(&token).is_ok());
}

/// VO3
/// CVE-2025-24976: an embedded key is a pointer, whatever else it says.
#[test]
fn an_embedded_key_points_to_a_trusted_one_and_is_never_used() {
    let case = Case::new(Algorithm::Es256);
    let attacker = Case::new(Algorithm::Es256);
    let header = |jwk_of: &Case, jwk_kid: Option<&str>, kid: &str| {
        let mut jwk = crate::jwk::to_object(jwk_of.signer.public(), &"x".into()).unwrap();
        match jwk_kid {
            Some(id) => jwk.insert("kid".to_owned(), id.into()),
            None => jwk.remove("kid"),
        };
        let jwk = json::Value::Object(jwk);
        format!(r#"{{"alg":"ES256","kid":"{kid}","jwk":{jwk}}}"#)
    };
    let (trusted, foreign) = (case.kid(), attacker.kid());
    // VO3: the id inside decides; the one outside is not even looked at.
    assert!(case.verify(&case.sign(&header(&case, Some(trusted), "nope"))).is_ok());
    assert!(case.verify(&case.sign(&header(&attacker, Some(trusted), "nope"))).is_ok());
    let forged = attacker.sign(&header(&attacker, Some(trusted), trusted));
    assert!(case.refusal(&forged).starts_with("the token's ES256 signature was not made with"));
    let forged = attacker.sign(&header(&attacker, Some(foreign), trusted));
    assert!(case.refusal(&forged).contains("of no trusted key"));
    // docs/protocol.md §15: without an id inside, refused even if the one outside is trusted.
    let refusal = case.refusal(&case.sign(&header(&case, None, trusted)));
    assert!(refusal.starts_with("the token's `jwk` has neither `kid` nor `x5c`"), "{refusal}");
}

/// VO5
#[test]
fn a_chain_is_nothing_where_only_keys_are_trusted() {
    let case = Case::new(Algorithm::Es256);
    let token = case.sign(&format!(r#"{{"alg":"ES256","kid":"{}","x5c":["AAAA"]}}"#, case.kid()));
    assert!(case.refusal(&token).starts_with("certificate 0 of the chain: not a readable X.509"));
    let empty = case.sign(&format!(r#"{{"alg":"ES256","kid":"{}","x5c":[]}}"#, case.kid()));
    assert!(case.verify(&empty).is_ok(), "an empty chain is as good as none (VO3)");
}

/// VO3, VO4: the chain decides, and only the chain.
#[test]
fn a_chain_is_followed_and_its_failure_is_final() {
    let (root, rogue) = (TestCertificate::root("root"), TestCertificate::root("root"));
    let leaf = root.leaf();
    let key = leaf.signing_key(&[]);
    let token = key.sign_compact(KeyIdForm::X5c, b"{}").unwrap();
    let verify = |bundle: &TestCertificate, keys: &KeySet| {
        let roots = TrustRoots::new(vec![bundle.certificate.clone()]);
        Compact::parse(&token).unwrap().verify(keys, &roots, Algorithms::PUBLIC_KEY, fixture::now())
    };
    let verified = verify(&root, &KeySet::new()).unwrap();
    assert_eq!(verified.signer().key_id, *key.id());
    assert_eq!(verified.signer().valid_until, Some(leaf.certificate.not_after()));
    // The header's `kid` is trusted, but a chain that leads nowhere is the end of it.
    let mut keys = KeySet::new();
    keys.insert(key.public().clone());
    assert_eq!(verify(&rogue, &keys).unwrap_err().id(), "chain-signature-wrong");
}

/// VO3
#[test]
fn an_embedded_key_may_bring_a_chain_that_is_its_own() {
    let root = TestCertificate::root("root");
    let (leaf, other) = (root.leaf(), root.leaf());
    let roots = TrustRoots::new(vec![root.certificate.clone()]);
    let token = |key: &SigningKey, chain: &TestCertificate| {
        let mut jwk = crate::jwk::to_object(key.public(), key.id()).unwrap();
        let der = chain.certificate.der();
        let der = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        jwk.insert("x5c".to_owned(), vec![der].into());
        let jwk = json::Value::Object(jwk);
        let signer = SigningKey::from_der(&key.to_pkcs8().unwrap(), None).unwrap();
        Case { signer, keys: KeySet::new() }.sign(&format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#))
    };
    let verify = |token: &str| {
        let compact = Compact::parse(token).unwrap();
        compact.verify(&KeySet::new(), &roots, Algorithms::PUBLIC_KEY, fixture::now()).map(|_| ())
    };
    let key = leaf.signing_key(&[]);
    assert_eq!(verify(&token(&key, &leaf)), Ok(()));
    assert_eq!(verify(&token(&key, &other)), Err(Invalid::EmbeddedKeyDiffers));
}

/// docs/protocol.md §15: as both distributions do.
#[test]
fn a_key_of_an_expired_certificate_is_trusted_by_id_with_a_warning() {
    let alone = TestCertificate::root("alone");
    let keys = TrustRoots::new(vec![alone.certificate.clone()]).keys();
    let key = alone.signing_key(&[]);
    let token = key.sign_compact(KeyIdForm::Libtrust, b"{}").unwrap();
    let warning = |now| {
        let compact = Compact::parse(&token).unwrap();
        let verified = compact.verify(&keys, &TrustRoots::none(), Algorithms::PUBLIC_KEY, now);
        verified.unwrap().signer().warning.as_ref().map(ToString::to_string)
    };
    assert_eq!(warning(fixture::now()), None);
    let late = alone.certificate.not_after() + Duration::from_mins(1);
    let expected = r#"the certificate of "CN=alone" expired 60 s ago"#;
    assert_eq!(warning(late).as_deref(), Some(expected));
}

proptest! {
    #[test]
    fn foreign_text_never_panics(token in "[A-Za-z0-9_.=-]{0,80}", header in "\\{(\"(alg|kid|x5c|jwk|typ)\":(\"EdDSA\"|\\[\\]|\\{\\}|5),?){0,4}\\}") {
        let _ = Compact::parse(&token);
        let _ = Compact::parse(&format!("{}.{token}.", base64url::encode(header.as_bytes())));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(position in 0_usize..1000, bit in 0_u8..8) {
        let case = Case::new(Algorithm::EdDsa);
        let token = case.signer.sign_compact(KeyIdForm::Rfc7638, b"{\"sub\":\"ann\"}").unwrap();
        let mut bytes = token.clone().into_bytes();
        let index = position % bytes.len();
        bytes[index] ^= 1 << bit;
        if let Ok(altered) = String::from_utf8(bytes) {
            prop_assert!(case.verify(&altered).is_err());
        }
    }
}
