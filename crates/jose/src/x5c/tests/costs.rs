//! What a chain costs: signature checks are counted, and who makes them.

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

/// Judges a chain anew, and says what was checked.
fn judge(roots: &TrustRoots, chain: &[Vec<u8>]) -> (Result<ValidatedKey, ChainError>, Checks) {
    let checks = Checks::default();
    (roots.judge(chain, now(), &checks), checks)
}

/// A chain of so many certificates below a root, leaf first.
fn good(root: &TestCertificate, length: usize, leaf_is_ca: IsCa) -> Vec<Vec<u8>> {
    let mut above: Vec<TestCertificate> = Vec::new();
    for number in 1..length {
        let issuer = above.last().unwrap_or(root);
        let next = issuer.signs(params(&format!("step {number}"), AUTHORITY));
        above.push(next);
    }
    let leaf = above.last().unwrap_or(root).signs(params("leaf", leaf_is_ca));
    let chain: Vec<&TestCertificate> = std::iter::once(&leaf).chain(above.iter().rev()).collect();
    ders(&chain)
}

/// A chain of a stranger, whose certificates all have the root's name and one key, so that each may be
/// the issuer of each.
fn hostile(kind: &'static SignatureAlgorithm, length: usize, leaf_is_ca: IsCa) -> Vec<Vec<u8>> {
    let key = KeyPair::generate_for(kind).unwrap().serialize_der();
    let key = || KeyPair::try_from(key.as_slice()).unwrap();
    let top = TestCertificate::with_key(params("root", AUTHORITY), key());
    let leaf = top.signs_with(params("leaf", leaf_is_ca), key());
    let above: Vec<_> =
        (1..length).map(|_| top.signs_with(params("root", AUTHORITY), key())).collect();
    ders(&std::iter::once(&leaf).chain(&above).collect::<Vec<_>>())
}

/// Whoever sends a header that nobody vouches for makes no more work than who sends a good one of that
/// length, and never by a key of his own.
#[test]
fn a_strangers_chain_costs_no_more_than_a_good_one() {
    let root = TestCertificate::root("root");
    let roots = trust(&[&root]);
    for leaf_is_ca in [IsCa::NoCa, AUTHORITY] {
        for length in 1..=MAX_CERTIFICATES {
            let (vouched, checks) = judge(&roots, &good(&root, length, leaf_is_ca));
            assert!(vouched.is_ok());
            let fair = checks.issuers().len();
            assert_eq!(fair, length, "each certificate once");
            for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P521_SHA512] {
                let (refused, checks) = judge(&roots, &hostile(kind, length, leaf_is_ca));
                assert!(matches!(refused, Err(ChainError::BadSignature { .. })), "{refused:?}");
                let issuers = checks.issuers();
                assert!(issuers.len() <= fair, "{length}: {} checks", issuers.len());
                assert!(issuers.iter().all(|issuer| *issuer == root.certificate));
            }
        }
    }
}

/// The same where a good chain was overheard, and another leaf put below it.
#[test]
fn a_strangers_leaf_below_a_good_chain_is_not_even_shown_to_webpki() {
    let root = TestCertificate::root("root");
    let middle = root.signs(params("middle", AUTHORITY));
    let rogue = TestCertificate::root("middle");
    for leaf_is_ca in [IsCa::NoCa, AUTHORITY] {
        let leaf = rogue.signs(params("leaf", leaf_is_ca));
        let (refused, checks) = judge(&trust(&[&root]), &ders(&[&leaf, &middle]));
        assert_eq!(
            refused.unwrap_err().to_string(),
            r#"the certificate of "CN=leaf" names "CN=middle" as its issuer, but was signed with another key"#
        );
        assert_eq!(checks.issuers().len(), 2);
    }
}

/// A bundle to which a new root of the same name was added at each set-up.
#[test]
fn a_few_roots_of_one_name_are_tried_and_no_more() {
    let bundle: Vec<_> = (0..=MAX_SIGNATURES).map(|_| TestCertificate::root("root")).collect();
    let roots = trust(&bundle.iter().collect::<Vec<_>>());
    for leaf_is_ca in [IsCa::NoCa, AUTHORITY] {
        let of = |number: usize| ders(&[&bundle[number].signs(params("leaf", leaf_is_ca))]);
        assert!(judge(&roots, &of(0)).0.is_ok());
        assert!(judge(&roots, &of(MAX_SIGNATURES - 1)).0.is_ok());
        let (refused, checks) = judge(&roots, &of(MAX_SIGNATURES));
        assert_eq!(refused, Err(ChainError::TooManySignatures));
        assert_eq!(checks.issuers().len(), MAX_SIGNATURES);
        let (refused, checks) =
            judge(&roots, &hostile(&rcgen::PKCS_ECDSA_P256_SHA256, 5, leaf_is_ca));
        assert!(refused.is_err());
        assert!(checks.issuers().len() <= MAX_SIGNATURES);
    }
    assert_eq!(ChainError::TooManySignatures.id(), "chain-not-allowed");
}

/// A root that was certified anew with its key is no second key to try.
#[test]
fn a_renewed_root_costs_nothing_more() {
    let key = KeyPair::generate().unwrap().serialize_der();
    let again = || {
        let key = KeyPair::try_from(key.as_slice()).unwrap();
        TestCertificate::with_key(params("root", AUTHORITY), key)
    };
    let bundle: Vec<_> = (0..20).map(|_| again()).collect();
    let leaf = bundle[0].leaf();
    let (vouched, checks) = judge(&trust(&bundle.iter().collect::<Vec<_>>()), &ders(&[&leaf]));
    assert!(vouched.is_ok());
    assert_eq!(checks.issuers().len(), 1);
}

#[test]
fn a_refusal_is_remembered_for_a_minute_and_apart_from_what_held() {
    let (root, stranger) = (TestCertificate::root("root"), TestCertificate::root("root"));
    let roots = trust(&[&root]);
    let chain = ders(&[&stranger.leaf()]);
    let why = roots.verify(&chain, now()).unwrap_err();
    let hash = hash(&chain);
    assert_eq!(roots.refused.get(&hash, now() + MINUTE / 2), Some(why.clone()));
    assert_eq!(roots.refused.get(&hash, now() + MINUTE), None);
    assert_eq!(roots.refused.get(&hash, now() - MINUTE), None, "the clock was set back");
    assert_eq!(roots.verify(&chain, now() + MINUTE), Err(why));
    assert!(roots.vouched.is_empty());
    // Another bundle has not refused anything.
    assert!(trust(&[&stranger]).verify(&chain, now()).is_ok());
}

/// What is too early now is not in a moment.
#[test]
fn no_refusal_by_dates_is_remembered() {
    let root = TestCertificate::root("root");
    let mut early = params("leaf", IsCa::NoCa);
    early.not_before = date_time_ymd(2026, 6, 2);
    let chain = ders(&[&root.signs(early)]);
    let roots = trust(&[&root]);
    assert_eq!(roots.verify(&chain, now()).unwrap_err().id(), "chain-not-yet-valid");
    assert_eq!(roots.refused.len(), 0);
    assert!(roots.verify(&chain, now() + 24 * 60 * MINUTE).is_ok());
}

/// However many there are and however long their names: what is remembered of them is bounded.
#[test]
fn a_flood_of_refusals_is_not_remembered_for_long() {
    let roots = trust(&[&TestCertificate::root("root")]);
    let long = "x".repeat(30_000);
    let leaf = TestCertificate::root(&long).leaf();
    let mut chain = ders(&[&leaf]);
    for number in 0_u32..200 {
        // Nobody looks at the second before the first is found wanting.
        chain.truncate(1);
        chain.push(TestCertificate::root(&number.to_string()).certificate.der().to_vec());
        assert!(roots.verify(&chain, now()).is_err());
    }
    assert!((1..=40).contains(&roots.refused.len()), "{}", roots.refused.len());
}
