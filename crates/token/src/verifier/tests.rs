use portpass_jose::{Algorithm, Certificate, CertificateChain, KeyIdForm, SigningKey};
use portpass_protocol::AccessSet;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Signer, KeyPair};

use super::*;
use crate::{Audience, Minter, NumericDate};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn claims() -> Claims {
    Claims {
        issuer: Issuer::new("dtest"),
        subject: "ann".to_owned(),
        audience: Audience::one(ServiceName::new("token-service")),
        expires: (now() + seconds(300)).into(),
        not_before: Some((now() - seconds(60)).into()),
        issued_at: Some(now().into()),
        id: Some("one".to_owned()),
        access: "repository:a/b:pull".parse().unwrap(),
    }
}

fn settings() -> VerifierSettings {
    VerifierSettings::new(Issuer::new("dtest"), ServiceName::new("token-service"))
}

/// A key, and a verifier that trusts it.
struct Case {
    key: SigningKey,
    verifier: Verifier,
}

fn trust_in(key: &SigningKey) -> Trust {
    let mut keys = KeySet::new();
    keys.insert(key.public().clone());
    Trust::new(TrustRoots::none(), keys)
}

impl Case {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let verifier = Verifier::with_settings(settings(), trust_in(&key));
        Self { key, verifier }
    }

    fn mint(&self, claims: &Claims) -> String {
        Minter::mint(&self.key, KeyIdForm::Rfc7638, claims).unwrap()
    }

    fn refusal(&self, claims: &Claims) -> (&'static str, String) {
        let why = self.verifier.verify(&self.mint(claims), now()).unwrap_err();
        (why.id(), why.to_string())
    }
}

/// R15
#[test]
fn a_good_token_gives_its_claims() {
    let case = Case::new();
    let verified = case.verifier.verify(&case.mint(&claims()), now()).unwrap();
    assert_eq!(*verified, claims());
    let wide = Claims {
        audience: ["other", "token-service"].map(ServiceName::new).into_iter().collect(),
        subject: String::new(),
        not_before: None,
        issued_at: Some((now() + seconds(3600)).into()),
        id: None,
        access: AccessSet::new(),
        ..claims()
    };
    assert_eq!(*case.verifier.verify(&case.mint(&wide), now()).unwrap(), wide);
}

/// VO7, VO8
#[test]
fn issuer_and_audience_are_compared_letter_for_letter() {
    let case = Case::new();
    let of = |names: &[&str]| names.iter().map(|name| ServiceName::new(*name)).collect();
    let table = [
        (Claims { issuer: Issuer::new("dtest/"), ..claims() }, r#"issuer "dtest/" is not "dtest""#),
        (Claims { issuer: Issuer::new(""), ..claims() }, r#"issuer "" is not "dtest""#),
        (
            Claims { audience: of(&["Token-Service"]), ..claims() },
            r#"audience "Token-Service" is not "token-service""#,
        ),
        (
            Claims { audience: of(&[]), ..claims() },
            r#"token has no audience, expected "token-service""#,
        ),
        (
            Claims { audience: of(&["a", "b"]), ..claims() },
            r#"none of the audiences "a", "b" is "token-service""#,
        ),
        (
            Claims { audience: of(&["a", "b", "c", "d", "e"]), ..claims() },
            r#"none of the audiences "a", "b", "c", "d", … is "token-service""#,
        ),
    ];
    for (claims, words) in table {
        assert_eq!(case.refusal(&claims).1, words);
    }
    let other = Claims { issuer: Issuer::new("other"), ..claims() };
    assert_eq!(case.refusal(&other).0, "token-issuer-mismatch");
    let other = Claims { audience: of(&["other"]), ..claims() };
    assert_eq!(case.refusal(&other).0, "token-audience-mismatch");
}

/// VO14
#[test]
fn a_subject_s_tokens_from_before_its_revocation_are_over_and_nobody_else_s() {
    let case = Case::new();
    let at = NumericDate::from(now()).0;
    let token = |subject: &str, issued: Option<i64>| {
        let (subject, issued_at) = (subject.to_owned(), issued.map(NumericDate));
        case.mint(&Claims { subject, issued_at, ..claims() })
    };
    let table = [
        (token("ann", Some(at - 1)), true),
        (token("ann", Some(at)), false),
        (token("ann", Some(at + 1)), false),
        (token("ann", None), true),
        (token("Ann", Some(at - 1)), false),
        (token("", Some(at - 1)), false),
    ];
    // Remembered, so that what is remembered is refused too.
    for (token, _) in &table {
        case.verifier.verify(token, now()).unwrap();
    }
    let dates = [("ann", at), ("ann", at - 10), ("bob", at + 10)];
    let revocations = dates.map(|(subject, date)| (subject, NumericDate(date)));
    case.verifier.replace_revocations(revocations.into_iter().collect());
    for (index, (token, revoked)) in table.iter().enumerate() {
        let verdict = case.verifier.verify(token, now());
        assert_eq!(verdict.is_err_and(|why| why.id() == "token-revoked"), *revoked, "{index}");
    }
    let why = case.verifier.verify(&table[0].0, now()).unwrap_err().to_string();
    assert_eq!(
        why,
        format!(
            "token was revoked: its iat is {}, and of its subject only those from {at} on count",
            at - 1
        )
    );
    // Not remembered before.
    let fresh = token("bob", Some(at));
    assert_eq!(case.verifier.verify(&fresh, now()).unwrap_err().id(), "token-revoked");

    case.verifier.replace_revocations(Revocations::none());
    for (token, _) in &table {
        case.verifier.verify(token, now()).unwrap();
    }
}

/// R15, VO9, VO10
/// JW5, JW6: (seconds from now, what is said)
#[test]
fn a_minute_is_forgiven_and_not_a_nanosecond_more() {
    let case = Case::new();
    let at = NumericDate::from(now()).0;
    let expiring = |expires| Claims { expires: NumericDate(expires), ..claims() };
    let beginning = |from| Claims { not_before: Some(NumericDate(from)), ..claims() };
    for good in [expiring(at - 60), expiring(at + 1), beginning(at + 60), beginning(i64::MIN)] {
        assert!(case.verifier.verify(&case.mint(&good), now()).is_ok(), "{good:?}");
    }
    let table = [
        (expiring(at - 75), "token-expired", "token expired 75 s ago; the tolerance is 60 s"),
        (expiring(at - 61), "token-expired", "token expired 61 s ago; the tolerance is 60 s"),
        (expiring(0), "token-expired", "token expired 1800000000 s ago; the tolerance is 60 s"),
        (expiring(-5), "token-expired", "token expired 1800000005 s ago; the tolerance is 60 s"),
        (
            beginning(at + 61),
            "token-not-yet-valid",
            "token is not valid for another 61 s; the tolerance is 60 s",
        ),
    ];
    for (claims, id, words) in table {
        assert_eq!(case.refusal(&claims), (id, words.to_owned()));
    }
    let edge = case.mint(&expiring(at - 60));
    let late = case.verifier.verify(&edge, now() + Duration::from_nanos(1)).unwrap_err();
    assert_eq!(late.to_string(), "token expired 60 s ago; the tolerance is 60 s");
    // JW5
    let after_9999 = NumericDate::LAST.0 + 1;
    assert_eq!(case.refusal(&expiring(after_9999)).0, "token-claims-malformed");
    assert_eq!(case.refusal(&beginning(after_9999)).0, "token-claims-malformed");
}

/// The first seed's story: the token service answered with something that is no JWT.
#[test]
fn what_is_no_jwt_is_said_to_be_none() {
    let case = Case::new();
    let why = case.verifier.verify("c2VjcmV0", now()).unwrap_err();
    assert_eq!(why.to_string(), "token has 1 part, expected 3: it is not a JWT");
    assert_eq!(why.id(), "token-not-a-jwt");
}

/// VO6
/// Signature first, claims second: nothing of an unsigned payload is looked at, `iss` neither
/// (CVE-2024-5037).
#[test]
fn the_claims_of_a_stranger_are_not_read() {
    let (case, stranger) = (Case::new(), Case::new());
    let token = stranger.mint(&Claims { issuer: Issuer::new("other"), ..claims() });
    assert_eq!(case.verifier.verify(&token, now()).unwrap_err().id(), "token-key-unknown");
    let token = case.key.sign_compact(KeyIdForm::Rfc7638, b"Payload").unwrap();
    let why = case.verifier.verify(&token, now()).unwrap_err();
    assert_eq!(why.id(), "token-claims-malformed");
}

#[test]
fn a_token_that_held_is_remembered_and_its_times_still_count() {
    let case = Case::new();
    let token = case.mint(&claims());
    let seen = || case.verifier.generation.load().seen.len();
    let first = case.verifier.verify(&token, now()).unwrap();
    assert_eq!(seen(), 1);
    let again = case.verifier.verify(&token, now()).unwrap();
    assert!(Arc::ptr_eq(&first, &again));

    let late = case.verifier.verify(&token, now() + seconds(361)).unwrap_err();
    assert_eq!(late.id(), "token-expired");
    let early = case.verifier.verify(&token, now() - seconds(121)).unwrap_err();
    assert_eq!(early.id(), "token-not-yet-valid");
    assert!(case.verifier.verify(&token, now() + seconds(360)).is_ok());
}

#[test]
fn what_did_not_hold_is_not_remembered() {
    let case = Case::new();
    let expired = Claims { expires: NumericDate(0), ..claims() };
    let early = Claims { not_before: Some((now() + seconds(100)).into()), ..claims() };
    let other = Claims { issuer: Issuer::new("other"), ..claims() };
    for claims in [expired, early.clone(), other] {
        assert!(case.verifier.verify(&case.mint(&claims), now()).is_err());
    }
    assert!(case.verifier.verify("opaque", now()).is_err());
    assert_eq!(case.verifier.generation.load().seen.len(), 0);
    assert!(case.verifier.verify(&case.mint(&early), now() + seconds(100)).is_ok());
}

#[test]
fn what_is_remembered_is_bounded() {
    let case = Case::new();
    let seen = Seen::new();
    let claims = Arc::new(claims());
    for index in 0..40_000_u64 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&index.to_be_bytes());
        seen.insert(key, claims.clone(), None, 500);
    }
    assert!((1..=16 * 1024).contains(&seen.len()), "{}", seen.len());
    let wide = Seen::new();
    for index in 0..2_000_u64 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&index.to_be_bytes());
        wide.insert(key, claims.clone(), None, 32 * 1024);
    }
    assert!((1..=256).contains(&wide.len()), "{}", wide.len());
    drop(case);
}

/// A key that is taken away counts for nothing at once, remembered tokens included.
#[test]
fn replacing_the_trust_forgets_what_rested_on_it() {
    let (case, next) = (Case::new(), SigningKey::generate(Algorithm::EdDsa).unwrap());
    let token = case.mint(&claims());
    assert!(case.verifier.verify(&token, now()).is_ok());
    case.verifier.replace_trust(trust_in(&next));
    let why = case.verifier.verify(&token, now()).unwrap_err();
    assert_eq!(why.id(), "token-key-unknown");
    let token = Minter::mint(&next, KeyIdForm::Libtrust, &claims()).unwrap();
    assert!(case.verifier.verify(&token, now()).is_ok());
}

/// A root, and a key whose certificate below it ends at the given time.
fn certified(ends: SystemTime) -> (TrustRoots, SigningKey) {
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut root = named("root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_certificate = root.self_signed(&root_key).unwrap();
    let mut leaf = named("leaf");
    leaf.not_after = ends.into();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Signer::from_params(&root, &root_key)).unwrap();
    let chain = CertificateChain::new(vec![Certificate::from_der(leaf.der()).unwrap()]).unwrap();
    let key = SigningKey::from_der(&leaf_key.serialize_der(), None).unwrap();
    let roots = TrustRoots::new(vec![Certificate::from_der(root_certificate.der()).unwrap()]);
    (roots, key.with_chain(chain).unwrap())
}

/// X.509 knows no leeway: a token dies with the certificate that vouches for its key.
#[test]
fn a_remembered_token_does_not_outlive_its_certificate() {
    let (roots, key) = certified(now() + seconds(30));
    let verifier = Verifier::with_settings(settings(), Trust::new(roots, KeySet::new()));
    let token = Minter::mint(&key, KeyIdForm::X5c, &claims()).unwrap();
    assert!(verifier.verify(&token, now()).is_ok());
    assert!(verifier.verify(&token, now() + seconds(30)).is_ok());
    let why = verifier.verify(&token, now() + seconds(31)).unwrap_err();
    assert_eq!(why.to_string(), r#"the certificate of "CN=leaf" expired 1 s ago"#);
}

#[test]
fn trust_holds_the_keys_of_its_certificates_too() {
    let (roots, key) = certified(now() + seconds(30));
    let mut keys = KeySet::new();
    keys.insert(key.public().clone());
    let trust = Trust::new(roots, keys);
    assert_eq!(trust.keys().len(), 2);
    assert!(!trust.is_empty());
    assert!(trust.keys().get(trust.roots().certificates()[0].key().id().as_str()).is_some());
    assert!(Trust::new(TrustRoots::none(), KeySet::new()).is_empty());
}

#[test]
fn a_bundle_an_issuer_and_a_service_make_a_verifier() {
    let pem = |key: &KeyPair| CertificateParams::default().self_signed(key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let signer = SigningKey::from_pem(key.serialize_pem(), None).unwrap();
    let VerifierSettings { issuer, audience, .. } = settings();
    let (issuer, audience) = (issuer.as_str(), audience.as_str());
    let token = Minter::mint(&signer, KeyIdForm::Rfc7638, &claims()).unwrap();
    let read = |verifier: &Verifier| verifier.verify(&token, now()).map_err(|why| why.id());

    let verifier = Verifier::new(issuer, audience, Trust::from_pem(&pem(&key)).unwrap());
    assert_eq!(read(&verifier).unwrap().access, claims().access);
    let other = KeyPair::generate().unwrap();
    let stranger = Verifier::new(issuer, audience, Trust::from_pem(&pem(&other)).unwrap());
    assert_eq!(read(&stranger).unwrap_err(), "token-key-unknown");
    assert_eq!(Trust::from_pem("no bundle").unwrap_err(), KeyError::NoCertificate);
}
