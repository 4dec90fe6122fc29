mod costs;

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    SignatureAlgorithm, date_time_ymd,
};

use super::*;
use crate::fixture::{AUTHORITY, TestCertificate, YEAR, now, params};

fn trust(bundle: &[&TestCertificate]) -> TrustRoots {
    TrustRoots::new(bundle.iter().map(|made| made.certificate.clone()).collect())
}

fn ders(chain: &[&TestCertificate]) -> Vec<Vec<u8>> {
    chain.iter().map(|made| made.certificate.der().to_vec()).collect()
}

fn verify(
    bundle: &[&TestCertificate],
    chain: &[&TestCertificate],
) -> Result<ValidatedKey, ChainError> {
    trust(bundle).verify(&ders(chain), now())
}

fn refusal(bundle: &[&TestCertificate], chain: &[&TestCertificate]) -> ChainError {
    verify(bundle, chain).unwrap_err()
}

fn pem(bundle: &str, chain: &str, now: SystemTime) -> Result<ValidatedKey, ChainError> {
    let chain = CertificateChain::from_pem(chain).unwrap();
    let chain: Vec<_> = chain.certificates().iter().map(|one| one.der().to_vec()).collect();
    TrustRoots::from_pem(bundle).unwrap().verify(&chain, now)
}

/// As Go's `encoding/pem` reads it: what stands around the blocks may be anything.
#[test]
fn a_bundle_is_read_whatever_stands_around_its_blocks() {
    let [one, two] = [TestCertificate::root("one"), TestCertificate::root("two")];
    let [first, second] = [one.certificate.to_pem(), two.certificate.to_pem()];
    let bag = b"Bag Attributes\r\n    friendlyName: Gr\xf6\xdfe\r\n    localKeyID: 01 02\r\nsubject=CN = one\r\n";
    let windows = [first.as_str(), &second].map(|pem| pem.replace('\n', "\r\n"));
    let bundles: [(&str, Vec<u8>); 8] = [
        ("plain", [first.as_bytes(), second.as_bytes()].concat()),
        ("Latin-1", [bag, first.as_bytes(), b"\xff\xfe\x00\n", second.as_bytes()].concat()),
        ("CRLF", [bag, windows[0].as_bytes(), bag, windows[1].as_bytes()].concat()),
        ("comments", format!("# the old one\n{first}\n; the new one\n\n{second}# end").into()),
        (
            "blanks at the ends of lines",
            [first.as_str(), &second].concat().replace('\n', " \t\n").into(),
        ),
        (
            "other blocks",
            format!("-----BEGIN X-----\nAAAA\n-----END X-----\n{first}{second}").into(),
        ),
        ("half a line", format!("-----BEGIN CERTIFICATE\n{first}{second}").into()),
        ("no line end", format!("{first}{}", second.trim_end()).into()),
    ];
    for (what, bundle) in bundles {
        let roots = TrustRoots::from_pem(&bundle).unwrap_or_else(|error| panic!("{what}: {error}"));
        let names: Vec<&str> = roots.certificates().iter().map(Certificate::subject).collect();
        assert_eq!(names, ["CN=one", "CN=two"], "{what}");
        assert_eq!(CertificateChain::from_pem(&bundle).unwrap().certificates().len(), 2, "{what}");
    }
    let cut = first.replace("-----END CERTIFICATE-----", "");
    let torn = first.replacen("MII", "M*I", 1);
    for (broken, why) in [
        (cut, "a block has no line `-----END CERTIFICATE-----`: the file is cut off"),
        (torn, "the content of a block is not base64"),
    ] {
        let error = TrustRoots::from_pem(&broken).unwrap_err().to_string();
        assert!(error.ends_with(why), "{error}");
    }
}

/// VO4
#[test]
fn a_leaf_below_a_root_is_vouched_for_with_or_without_intermediates() {
    let root = TestCertificate::root("root");
    let leaf = root.leaf();
    assert_eq!(verify(&[&root], &[&leaf]).unwrap().key, *leaf.certificate.key());
    assert!(verify(&[&root], &[&leaf, &root]).is_ok(), "the root may be in the chain");

    let middle = root.signs(params("middle", AUTHORITY));
    let low = middle.signs(params("low", AUTHORITY));
    let leaf = low.leaf();
    assert!(verify(&[&root], &[&leaf, &low, &middle]).is_ok());
    assert!(verify(&[&root], &[&leaf, &middle, &low]).is_ok(), "in any order");
    assert!(verify(&[&middle], &[&leaf, &low]).is_ok(), "an intermediate may be trusted");
    assert_eq!(
        refusal(&[&root], &[&leaf, &low]).to_string(),
        r#"the certificate of "CN=low" was issued by "CN=middle", which is not in the bundle; the bundle has "CN=root""#
    );
}

#[test]
fn every_kind_of_key_can_be_in_a_chain() {
    let kinds: [&'static SignatureAlgorithm; 4] = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
    ];
    for kind in kinds {
        let root_key = KeyPair::generate_for(kind).unwrap();
        let root = TestCertificate::with_key(params("root", AUTHORITY), root_key);
        for leaf_kind in kinds {
            let key = KeyPair::generate_for(leaf_kind).unwrap();
            let leaf = root.signs_with(params("leaf", IsCa::NoCa), key);
            assert!(verify(&[&root], &[&leaf]).is_ok(), "{kind:?} {leaf_kind:?}");
            let key = KeyPair::generate_for(leaf_kind).unwrap();
            let leaf = root.signs_with(params("leaf", AUTHORITY), key);
            assert!(verify(&[&root], &[&leaf]).is_ok(), "by hand: {kind:?} {leaf_kind:?}");
        }
    }
}

/// VO4
#[test]
fn any_extended_key_usage_will_do() {
    let root = TestCertificate::root("root");
    for usage in [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::CodeSigning] {
        let mut usages = params("leaf", IsCa::NoCa);
        usages.extended_key_usages = vec![usage];
        assert!(verify(&[&root], &[&root.signs(usages)]).is_ok());
    }
}

/// VO4
/// The usual set-up of `docker_auth`: one `openssl req -x509` certificate is bundle and signer.
#[test]
fn a_leaf_of_the_bundle_needs_nothing_but_its_dates() {
    for is_ca in [AUTHORITY, IsCa::NoCa, IsCa::ExplicitNoCa] {
        let alone = TestCertificate::itself(params("alone", is_ca));
        assert_eq!(verify(&[&alone], &[&alone]).unwrap().key, *alone.certificate.key());
        let late = now() + YEAR;
        let why = trust(&[&alone]).verify(&ders(&[&alone]), late).unwrap_err();
        assert_eq!(why.id(), "chain-expired");
    }
    let stranger = TestCertificate::root("stranger");
    let foreign = stranger.leaf();
    assert!(verify(&[&foreign], &[&foreign]).is_ok(), "signed by somebody unknown");
}

/// VO4: an authority that signs tokens itself.
#[test]
fn an_authority_below_a_root_may_be_the_leaf() {
    let root = TestCertificate::root("root");
    let middle = root.signs(params("middle", AUTHORITY));
    let low = middle.signs(params("low", AUTHORITY));
    assert!(verify(&[&root], &[&middle]).is_ok());
    assert!(verify(&[&root], &[&middle, &root]).is_ok());
    assert!(verify(&[&root], &[&low, &middle]).is_ok());
    assert!(verify(&[&root], &[&low, &middle, &root]).is_ok());
    assert!(matches!(refusal(&[&root], &[&low]), ChainError::UnknownIssuer { .. }));
    let rogue = TestCertificate::root("root");
    assert!(matches!(refusal(&[&rogue], &[&middle]), ChainError::BadSignature { .. }));
    assert!(matches!(refusal(&[&rogue], &[&low, &middle]), ChainError::BadSignature { .. }));
}

/// VO4
/// By hand and by webpki alike.
#[test]
fn a_rogue_root_of_the_same_name_vouches_for_nobody() {
    let (root, rogue) = (TestCertificate::root("root"), TestCertificate::root("root"));
    for is_ca in [IsCa::NoCa, AUTHORITY] {
        let leaf = rogue.signs(params("leaf", is_ca));
        let why = refusal(&[&root], &[&leaf, &rogue]);
        assert_eq!(
            why.to_string(),
            r#"the certificate of "CN=leaf" names "CN=root" as its issuer, but was signed with another key"#
        );
        assert_eq!(why.id(), "chain-signature-wrong");
    }
}

/// By hand and by webpki alike, which itself looks at no key usage: an issuer that may not issue.
#[test]
fn only_an_authority_can_issue() {
    for leaf_is_ca in [IsCa::NoCa, AUTHORITY] {
        let pinned = TestCertificate::itself(params("pinned", IsCa::ExplicitNoCa));
        let leaf = pinned.signs(params("leaf", leaf_is_ca));
        assert_eq!(
            refusal(&[&pinned], &[&leaf]).to_string(),
            r#"the issuer "CN=pinned" is not an authority (CA:FALSE); only its own key can be trusted"#
        );
        let root = TestCertificate::root("root");
        let middle = root.signs(params("middle", IsCa::NoCa));
        let leaf = middle.signs(params("leaf", leaf_is_ca));
        let why = refusal(&[&root], &[&leaf, &middle]);
        assert!(matches!(why, ChainError::NoAuthority { .. }), "{why}");

        let mut usage = params("usage", AUTHORITY);
        usage.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let middle = root.signs(usage.clone());
        let leaf = middle.signs(params("leaf", leaf_is_ca));
        let why = refusal(&[&root], &[&leaf, &middle]);
        assert!(matches!(why, ChainError::KeyUsage { .. }), "{why}");
        let usage = TestCertificate::itself(usage);
        let leaf = usage.signs(params("leaf", leaf_is_ca));
        let why = refusal(&[&usage], &[&leaf]);
        assert!(matches!(why, ChainError::KeyUsage { .. }), "{why}");

        let mut signs = params("signs", AUTHORITY);
        signs.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let signs = TestCertificate::itself(signs);
        assert!(verify(&[&signs], &[&signs.signs(params("leaf", leaf_is_ca))]).is_ok());
    }
}

/// By hand and by webpki alike; webpki itself does not look at a root's.
#[test]
fn the_path_is_no_longer_than_its_issuers_allow() {
    let root = TestCertificate::itself(params("root", IsCa::Ca(BasicConstraints::Constrained(0))));
    for is_ca in [IsCa::NoCa, AUTHORITY] {
        assert!(verify(&[&root], &[&root.signs(params("leaf", is_ca))]).is_ok());
        let middle = root.signs(params("middle", AUTHORITY));
        let leaf = middle.signs(params("leaf", is_ca));
        let why = refusal(&[&root], &[&leaf, &middle]);
        assert!(matches!(why, ChainError::PathLength { .. }), "{why}");

        let free = TestCertificate::root("free");
        let narrow = free.signs(params("narrow", IsCa::Ca(BasicConstraints::Constrained(0))));
        let low = narrow.signs(params("low", AUTHORITY));
        let leaf = low.signs(params("leaf", is_ca));
        assert!(verify(&[&free], &[&leaf, &low, &narrow]).is_err());
    }
}

/// By hand and by webpki alike; webpki itself does not look at a root's.
#[test]
fn nobody_in_the_path_may_be_out_of_date() {
    let expired = |mut params: rcgen::CertificateParams| {
        params.not_after = date_time_ymd(2026, 5, 31);
        params
    };
    for is_ca in [IsCa::NoCa, AUTHORITY] {
        let root = TestCertificate::root("root");
        let old_leaf = root.signs(expired(params("leaf", is_ca)));
        assert_eq!(
            refusal(&[&root], &[&old_leaf]).to_string(),
            r#"the certificate of "CN=leaf" expired 86400 s ago"#
        );
        let middle = root.signs(expired(params("middle", AUTHORITY)));
        let leaf = middle.signs(params("leaf", is_ca));
        let why = refusal(&[&root], &[&leaf, &middle]).to_string();
        assert_eq!(why, r#"the certificate of "CN=middle" expired 86400 s ago"#);

        let old_root = TestCertificate::itself(expired(params("old", AUTHORITY)));
        let leaf = old_root.signs(params("leaf", is_ca));
        let why = refusal(&[&old_root], &[&leaf]).to_string();
        assert_eq!(why, r#"the certificate of "CN=old" expired 86400 s ago"#);

        let mut early = params("leaf", is_ca);
        early.not_before = date_time_ymd(2026, 6, 2);
        let why = refusal(&[&root], &[&root.signs(early)]);
        assert_eq!(why.to_string(), r#"the certificate of "CN=leaf" becomes valid in 86400 s"#);
        assert_eq!(why.id(), "chain-not-yet-valid");
    }
}

#[test]
fn what_the_check_by_hand_does_not_understand_it_refuses() {
    let mut bounded = params("bounded", AUTHORITY);
    bounded.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".into())],
        excluded_subtrees: Vec::new(),
    });
    let bounded = TestCertificate::itself(bounded);
    let why = refusal(&[&bounded], &[&bounded.signs(params("leaf", AUTHORITY))]);
    assert!(matches!(why, ChainError::NameConstraints { .. }), "{why}");

    let root = TestCertificate::root("root");
    for is_ca in [IsCa::NoCa, AUTHORITY] {
        let mut odd = params("odd", is_ca);
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        odd.custom_extensions = vec![extension];
        assert!(verify(&[&root], &[&root.signs(odd)]).is_err());
    }
}

/// By hand and by webpki alike; the signature of a root is nobody's business.
#[test]
fn a_signature_of_a_kind_that_is_not_checked_is_named() {
    // Under the name of SHA-224 instead of SHA-256, which nobody ever used.
    let renamed = |certificate: &Certificate| {
        let mut der = certificate.der().to_vec();
        let (sha256, sha224) =
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1]);
        while let Some(at) = der.windows(8).position(|window| window == sha256) {
            der[at..at + 8].copy_from_slice(&sha224);
        }
        der
    };
    let root = TestCertificate::root("root");
    for is_ca in [IsCa::NoCa, AUTHORITY] {
        let leaf = root.signs(params("leaf", is_ca));
        let why = trust(&[&root]).verify(&[renamed(&leaf.certificate)], now()).unwrap_err();
        assert_eq!(
            why.to_string(),
            r#"the certificate of "CN=leaf" is signed with an algorithm that is not accepted (1.2.840.10045.4.3.1); reissue it with SHA-256"#
        );
        assert_eq!(why.id(), "chain-not-allowed");
        let old = Certificate::from_der(&renamed(&root.certificate)).unwrap();
        assert!(TrustRoots::new(vec![old]).verify(&ders(&[&leaf]), now()).is_ok());
    }
}

/// What cannot be read must not pass for what is not there.
#[test]
fn a_certificate_with_a_broken_extension_is_unreadable() {
    for oid in [&[2, 5, 29, 15], &[2, 5, 29, 30]] {
        let mut broken = params("broken", AUTHORITY);
        let extension = rcgen::CustomExtension::from_oid_content(oid, vec![0x04, 0x01]);
        broken.custom_extensions = vec![extension];
        let der = broken.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let why = Certificate::from_der(der.der()).unwrap_err().to_string();
        assert_eq!(why, "not a readable X.509 certificate: an extension is broken");
    }
}

/// `openssl x509 -req` without extensions, below a root.
#[test]
fn a_leaf_of_version_1_is_accepted_below_an_authority_of_version_3() {
    let root = include_str!("../../fixtures/root.pem");
    let leaf = include_str!("../../fixtures/v1-leaf.pem");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let vouched = pem(root, leaf, at).unwrap();
    let key = crate::SigningKey::from_pem(include_str!("../../fixtures/p256-pkcs8.pem"), None);
    assert_eq!(vouched.key, *key.unwrap().public());

    let early = pem(root, leaf, now() - YEAR).unwrap_err();
    assert_eq!(early.id(), "chain-not-yet-valid");
    let late = at + 100 * YEAR;
    assert_eq!(pem(root, leaf, late).unwrap_err().id(), "chain-expired");
    // Itself in the bundle, it vouches for its own key and for no other.
    assert!(pem(leaf, leaf, at).is_ok());
}

#[test]
fn an_issuer_of_version_1_cannot_be_an_authority() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let why = pem(
        include_str!("../../fixtures/v1-root.pem"),
        include_str!("../../fixtures/v1-leaf-of-v1-root.pem"),
        at,
    );
    assert_eq!(
        why.unwrap_err().to_string(),
        "the issuer \"CN=fixture v1 root\" has an X.509 certificate of version 1, which cannot be an authority; reissue it with `CA:TRUE`"
    );
}

#[test]
fn weak_unreadable_and_too_many_certificates_are_refused() {
    let root = TestCertificate::root("root");
    let chain = vec![root.certificate.der().to_vec(); 6];
    assert_eq!(
        trust(&[&root]).verify(&chain, now()).unwrap_err().to_string(),
        "the chain has 6 certificates; the limit is 5"
    );
    assert!(trust(&[&root]).verify(&chain[..5], now()).is_ok());
    assert_eq!(trust(&[&root]).verify(&[], now()), Err(ChainError::Empty));
    let why = trust(&[&root]).verify(&[vec![0x30, 0]], now()).unwrap_err();
    assert_eq!(why.id(), "chain-unreadable");
    let mut trailing = root.certificate.der().to_vec();
    trailing.push(0);
    assert!(trust(&[&root]).verify(&[trailing], now()).is_err());

    let weak = include_str!("../../fixtures/rsa1024-root.pem");
    assert_eq!(
        TrustRoots::from_pem(weak).unwrap_err().to_string(),
        "certificate 1: the RSA key has 1024 bits; 2048 to 8192 are accepted"
    );
    assert!(CertificateChain::from_pem(weak).is_err());
    assert_eq!(
        TrustRoots::none().verify(&ders(&[&root]), now()).unwrap_err(),
        ChainError::NoBundle
    );
}

/// CF2
#[test]
fn a_bundle_is_the_certificates_among_whatever_else_is_in_the_file() {
    let bundle = [
        "subject=CN = fixture root\n",
        include_str!("../../fixtures/p384-sec1.pem"),
        include_str!("../../fixtures/root.pem"),
        "\n# the next one\n",
        include_str!("../../fixtures/v1-root.pem"),
    ]
    .concat();
    let roots = TrustRoots::from_pem(&bundle).unwrap();
    let subjects: Vec<_> = roots.certificates().iter().map(Certificate::subject).collect();
    assert_eq!(subjects, ["CN=fixture root", "CN=fixture v1 root"]);
    assert_eq!(roots.keys().len(), 1, "both are of one key");
    assert_eq!(
        TrustRoots::from_pem("").unwrap_err().to_string(),
        "there is no certificate; expected a PEM block `-----BEGIN CERTIFICATE-----`"
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(
        TrustRoots::from_pem(&(bundle + broken))
            .unwrap_err()
            .to_string()
            .starts_with("certificate 3: not a readable X.509 certificate")
    );
}

#[test]
fn a_certificate_reads_back_from_its_pem() {
    let made = TestCertificate::root("root");
    let again = CertificateChain::from_pem(&made.certificate.to_pem()).unwrap();
    assert_eq!(*again.leaf(), made.certificate);
    assert_eq!(made.certificate.to_pem(), {
        let der = CertificateDer::from(made.certificate.der());
        let lines = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
        let lines: Vec<_> = lines.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    });
}

#[test]
fn a_chain_that_held_once_is_not_checked_again_until_it_runs_out() {
    let root = TestCertificate::root("root");
    let mut brief = params("leaf", IsCa::NoCa);
    brief.not_after = date_time_ymd(2026, 7, 1);
    let leaf = root.signs(brief);
    let roots = trust(&[&root]);
    let chain = ders(&[&leaf]);
    let vouched = roots.verify(&chain, now()).unwrap();
    assert_eq!(vouched.valid_until, leaf.certificate.not_after());
    assert_eq!(roots.vouched.len(), 1);
    assert_eq!(roots.verify(&chain, now()), Ok(vouched.clone()));
    let after = vouched.valid_until + Duration::from_nanos(1);
    assert_eq!(roots.verify(&chain, after).unwrap_err().id(), "chain-expired");
    let before = leaf.certificate.not_before() - Duration::from_secs(1);
    assert_eq!(roots.verify(&chain, before).unwrap_err().id(), "chain-not-yet-valid");
    // A refusal is not among them.
    assert!(roots.verify(&ders(&[&TestCertificate::root("stranger")]), now()).is_err());
    assert_eq!(roots.vouched.len(), 1);
}

/// By hand, where nobody but us looks at the bytes.
#[test]
fn an_altered_certificate_is_refused_whichever_bit_it_is() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let roots = TrustRoots::from_pem(include_str!("../../fixtures/root.pem")).unwrap();
    let v1 = CertificateChain::from_pem(include_str!("../../fixtures/v1-leaf.pem")).unwrap();
    let mut der = v1.leaf().der().to_vec();
    assert!(roots.verify(&[der.clone()], at).is_ok());
    for index in 0..der.len() {
        for bit in 0..8 {
            der[index] ^= 1 << bit;
            assert!(roots.verify(&[der.clone()], at).is_err(), "byte {index}, bit {bit}");
            der[index] ^= 1 << bit;
        }
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(der in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Certificate::from_der(&der);
        let _ = VerifyingKey::from_spki(&der);
    }
}
