//! A certificate that stands among the given authorities is trusted as Go trusts it.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::{
    client::danger::ServerCertVerifier as _,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::super::{
    CertificateFault, Fallback, PresentedChain, ServerVerification, leaf::verify_pinned,
    verifier::Verifier,
};

/// As `openssl req -x509` makes it: an authority that signed itself, for `localhost`.
fn made(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2030, 1, 1);
    change(&mut parameters);
    parameters.self_signed(&key).unwrap().der().clone()
}

fn in_2025() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

/// Judges as a connection does, and as the rule alone does.
fn evaluate(
    shown: &CertificateDer<'static>,
    named: &[CertificateDer<'static>],
    name: &str,
) -> Result<(), CertificateFault> {
    let name = ServerName::try_from(name).unwrap();
    let chain = std::slice::from_ref(shown);
    let by_rule = verify_pinned(&PresentedChain { chain, name: &name, now: in_2025() }, named);
    let verifier = Verifier::new(ServerVerification::Authorities {
        system: Vec::new(),
        named: named.to_vec(),
        fallback: Fallback::Named,
    });
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_750_000_000));
    let taken = verifier.verify_server_cert(shown, &[], &name, &[], now);
    assert_eq!(taken.is_ok(), by_rule.is_ok(), "{taken:?} {by_rule:?}");
    by_rule
}

#[test]
fn a_certificate_that_was_named_is_taken_whatever_it_says_of_authorities() {
    let not_one = IsCa::ExplicitNoCa;
    for own in [made(|_| {}), made(|parameters| parameters.is_ca = not_one)] {
        assert_eq!(evaluate(&own, std::slice::from_ref(&own), "localhost"), Ok(()));
    }
}

#[test]
fn another_of_the_same_name_is_not() {
    let (own, other) = (made(|_| {}), made(|_| {}));
    assert_eq!(evaluate(&own, &[other], "localhost"), Err(CertificateFault::SelfSigned));
    assert_eq!(evaluate(&own, &[], "localhost"), Err(CertificateFault::SelfSigned));
}

#[test]
fn names_are_compared_as_go_compares_them() {
    for (own, name, expected) in [
        ("a.example", "a.example", true),
        ("A.Example", "a.eXample", true),
        ("a.example", "b.a.example", false),
        ("a.example", "example", false),
        ("*.example", "a.example", true),
        ("*.example", "b.a.example", false),
        ("*.example", "example", false),
        ("a*.example", "ab.example", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("::1", "::1", true),
        ("::1", "127.0.0.1", false),
    ] {
        let certificate = made(|parameters| {
            let names = CertificateParams::new(vec![own.to_owned()]).unwrap();
            parameters.subject_alt_names = names.subject_alt_names;
        });
        let judged = evaluate(&certificate, std::slice::from_ref(&certificate), name);
        assert_eq!(judged.is_ok(), expected, "{own} {name}");
    }
}

#[test]
fn its_name_its_time_and_its_purpose_count_all_the_same() {
    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x05, 0x00]);
    critical.set_criticality(true);
    let old = made(|parameters| parameters.not_after = date_time_ymd(2024, 1, 1));
    let young = made(|parameters| parameters.not_before = date_time_ymd(2029, 1, 1));
    let client = made(|parameters| parameters.extended_key_usages = vec![Purpose::ClientAuth]);
    let strange = made(|parameters| parameters.custom_extensions = vec![critical]);
    let nameless = made(|parameters| {
        parameters.subject_alt_names.clear();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    });
    for (own, name, expected) in [
        (made(|_| {}), "other.example", CertificateFault::NameMismatch),
        (made(|_| {}), "127.0.0.1", CertificateFault::NameMismatch),
        (old, "localhost", CertificateFault::Expired),
        (young, "localhost", CertificateFault::NotYetValid),
        (client, "localhost", CertificateFault::Purpose),
        (strange, "localhost", CertificateFault::Extension),
        (nameless, "localhost", CertificateFault::CommonName),
    ] {
        assert_eq!(evaluate(&own, std::slice::from_ref(&own), name), Err(expected));
    }
    let any = made(|parameters| parameters.extended_key_usages = vec![Purpose::Any]);
    assert_eq!(evaluate(&any, std::slice::from_ref(&any), "localhost"), Ok(()));
}
