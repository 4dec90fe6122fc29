//! Who trusts what. The end-to-end tests hold the same table to the real programs.

use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    client::danger::ServerCertVerifier as _,
    pki_types::{ServerName, UnixTime},
};

use super::{
    super::{
        Bundle, CertificateFault, Fallback, PresentedChain, ServerVerification, tls_error_text,
        verifier::Verifier,
    },
    fixture::{NOW, YES, below, evaluate, is_ca, leaf, named, parameters, root, say},
};

fn no_authority() -> Result<(), CertificateFault> {
    Err(CertificateFault::NotAnAuthority("\"a root\"".to_owned()))
}

#[test]
fn a_chain_as_it_should_be_is_trusted_by_all() {
    let root = root(|_| {});
    let intermediates = below(&root, "between", is_ca);
    let roots = [root.der.clone()];
    say(&evaluate(&[leaf(&root, |_| {})], &roots), [YES, YES, YES]);
    let chain = [leaf(&intermediates, |_| {}), intermediates.der.clone()];
    say(&evaluate(&chain, &roots), [YES, YES, YES]);
    let unknown = || Err(CertificateFault::Unknown);
    say(&evaluate(&chain[..1], &roots), [unknown(), unknown(), unknown()]);
    say(&evaluate(&chain, &[]), [unknown(), unknown(), unknown()]);
}

/// webpki wants no CA:TRUE of a server, Go and OpenSSL do not mind.
#[test]
fn what_rustls_alone_refuses() {
    let root = root(|_| {});
    let roots = [root.der.clone()];
    let own = |change: fn(&mut CertificateParams)| {
        let key = KeyPair::generate().unwrap();
        let parameters = parameters("localhost", |parameters| {
            named(parameters);
            change(parameters);
        });
        parameters.self_signed(&key).unwrap().der().clone()
    };
    let itself = own(is_ca);
    let authority = || Err(CertificateFault::Authority);
    say(
        &evaluate(std::slice::from_ref(&itself), std::slice::from_ref(&itself)),
        [YES, authority(), YES],
    );
    say(&evaluate(&[leaf(&root, is_ca)], &roots), [YES, authority(), YES]);
    let critical = leaf(&root, |parameters| {
        // certificatePolicies with one policy, 1.2.3.4.
        let content = vec![0x30, 0x07, 0x30, 0x05, 0x06, 0x03, 0x2a, 0x03, 0x04];
        let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], content);
        policies.set_criticality(true);
        parameters.custom_extensions.push(policies);
    });
    say(&evaluate(&[critical], &roots), [YES, Err(CertificateFault::Extension), YES]);
}

/// What stands in the store is an authority to rustls whatever it says, and to OpenSSL only if it signed itself.
#[test]
fn what_others_refuse() {
    for (change, expected) in [
        (
            (|parameters| parameters.not_after = date_time_ymd(2021, 1, 1))
                as fn(&mut CertificateParams),
            Err(CertificateFault::AuthorityOutOfValidity("\"a root\"".to_owned())),
        ),
        (|parameters| parameters.is_ca = IsCa::ExplicitNoCa, no_authority()),
        (|parameters| parameters.is_ca = IsCa::NoCa, no_authority()),
        (
            |parameters| parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature],
            no_authority(),
        ),
        (
            |parameters| parameters.extended_key_usages = vec![Purpose::ClientAuth],
            Err(CertificateFault::Purpose),
        ),
    ] {
        let root = root(change);
        let judged = evaluate(&[leaf(&root, |_| {})], std::slice::from_ref(&root.der));
        say(&judged, [expected.clone(), YES, expected]);
    }
    let root = root(|_| {});
    let intermediates = below(&root, "between", is_ca);
    // The authority in the middle alone is given, or the certificate itself.
    let judged =
        evaluate(&[leaf(&intermediates, |_| {})], std::slice::from_ref(&intermediates.der));
    say(&judged, [YES, YES, Err(CertificateFault::Unknown)]);
    let own = leaf(&root, |_| {});
    let judged = evaluate(std::slice::from_ref(&own), std::slice::from_ref(&own));
    say(&judged, [YES, Err(CertificateFault::Unknown), Err(CertificateFault::Unknown)]);
}

#[test]
fn what_a_certificate_says_of_its_use() {
    let root = root(|_| {});
    let roots = [root.der.clone()];
    let judged = |change: fn(&mut CertificateParams)| evaluate(&[leaf(&root, change)], &roots);
    let client = judged(|parameters| parameters.extended_key_usages = vec![Purpose::ClientAuth]);
    let purpose = || Err(CertificateFault::Purpose);
    say(&client, [purpose(), purpose(), purpose()]);
    let signs = judged(|parameters| parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    say(&signs, [YES, YES, Err(CertificateFault::KeyUsage)]);
    let nameless = judged(|parameters| parameters.subject_alt_names.clear());
    let common = || Err(CertificateFault::CommonName);
    say(&nameless, [common(), common(), YES]);
}

/// Go takes it, and no handshake with it can be verified here.
#[test]
fn a_short_key_is_gos_alone() {
    let bundle = Bundle::read(SHORT.as_bytes());
    let chain = bundle.certificates;
    let judged = super::super::evaluate(
        &PresentedChain {
            chain: &chain,
            name: &ServerName::try_from("localhost").unwrap(),
            now: SystemTime::UNIX_EPOCH + NOW,
        },
        &chain,
    );
    let short = || Err(CertificateFault::KeyTooShort(1024));
    say(&judged, [YES, short(), short()]);
    assert_eq!(judged.verifiable, short());
    let named = chain.clone();
    let believed =
        ServerVerification::Authorities { system: Vec::new(), named, fallback: Fallback::Named };
    let name = ServerName::try_from("localhost").unwrap();
    let now = UnixTime::since_unix_epoch(NOW);
    let refused =
        Verifier::new(believed).verify_server_cert(&chain[0], &[], &name, &[], now).unwrap_err();
    assert_eq!(tls_error_text(&refused), "a key of 1024 bits is too short");
}

/// RSA of 1024 bits, for localhost, CA:FALSE, until 2039; `openssl req -x509`.
const SHORT: &str = "\
-----BEGIN CERTIFICATE-----
MIICFzCCAYCgAwIBAgIUGE/kV3u6UCGlok7jwkMsHNKiwJMwDQYJKoZIhvcNAQEL
BQAwFDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTIwMDEwMTAwMDAwMFoXDTM5MTIy
NzAwMDAwMFowFDESMBAGA1UEAwwJbG9jYWxob3N0MIGfMA0GCSqGSIb3DQEBAQUA
A4GNADCBiQKBgQC9NREeqTpOoUkQhSwPyRhcyhZ/bj816kXl6/VOTRU2SsFTfMef
vA4iROvERpN2Ean8F0GzHbdrcjCTmojF6F7dpfNL1qaiwoBe2U6XrIAtRkUtH5qW
d6ZU9WePXT8yR7hySFAm4HqQojNFh9edG6qScpAOoZHHI3bB25jRYdmJhwIDAQAB
o2YwZDAdBgNVHQ4EFgQU+yLMusouC9iLBjWkalsmQ+xENO0wHwYDVR0jBBgwFoAU
+yLMusouC9iLBjWkalsmQ+xENO0wFAYDVR0RBA0wC4IJbG9jYWxob3N0MAwGA1Ud
EwEB/wQCMAAwDQYJKoZIhvcNAQELBQADgYEAtD+zOy0/wHuPH8k+AHTrzlUZxi+t
W/KUfDYdEcUdm0sb+7GU9xjDfNdjjYAX0v5+aIGoS+y764r9dFVB7dYHCu1+2PDc
dfkPYo12Rg86mHl7H2gJD4/PmbfOQnTzjxoqeSDlPdErP0tEGPgoy+pJvTMF9/l6
/Xw2UY663N/EB+s=
-----END CERTIFICATE-----
";

/// rustls takes the certificate, and then verifies no handshake with its key.
#[test]
fn a_short_key_below_a_trusted_authority_is_gos_alone() {
    let chain = Bundle::read(SHORT_BELOW.as_bytes()).certificates;
    let roots = Bundle::read(ITS_ROOT.as_bytes()).certificates;
    let name = ServerName::try_from("localhost").unwrap();
    let now = SystemTime::UNIX_EPOCH + NOW;
    let presented = PresentedChain { chain: &chain, name: &name, now };
    let judged = super::super::evaluate(&presented, &roots);
    let short = || Err(CertificateFault::KeyTooShort(1024));
    say(&judged, [YES, short(), short()]);
    assert_eq!(judged.verifiable, short());
    for fallback in [Fallback::Named, Fallback::Go] {
        for named in [roots.clone(), Vec::new()] {
            let believed = ServerVerification::Authorities { system: Vec::new(), named, fallback };
            let refused = Verifier::new(believed)
                .verify_server_cert(&chain[0], &[], &name, &[], UnixTime::since_unix_epoch(NOW))
                .unwrap_err();
            assert_eq!(tls_error_text(&refused), "a key of 1024 bits is too short");
        }
    }
}

/// RSA of 1024 bits, for localhost, until 2039; `openssl x509 -req`.
const SHORT_BELOW: &str = "\
-----BEGIN CERTIFICATE-----
MIIB1DCCAXqgAwIBAgIUZswqje76+gLt+ZhV2RuVHGlrQfwwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGYSByb290MB4XDTIwMDEwMTAwMDAwMFoXDTM5MTIyNzAwMDAw
MFowFDESMBAGA1UEAwwJbG9jYWxob3N0MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB
iQKBgQDFWAE/9PzsPmY+gBZfpdtJu+LvKTOprxfbEAR+de2p527uMd3LBe305WqR
zGDFyYX/Foiq0H0Q8R69Nuhz+qz+4ty8Us+tJ30EWw/MCmDa8H9agiu3nivAsocD
1ADyfUhSpU+18CCTVRAb6OonxC9PejVXNyjHXfKsNwlJ53NsNwIDAQABo2YwZDAU
BgNVHREEDTALgglsb2NhbGhvc3QwDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQUGjgh
bfBm/78Ft2LzulC1DaFOZLswHwYDVR0jBBgwFoAUoELZ8aHAj9o3TeGY5yzVkO0B
+vkwCgYIKoZIzj0EAwIDSAAwRQIhAN7Hd5I+94RD1L69PoblRP6Me1Y41Cj5MAki
zbQ7/KTcAiBqP5fFxo8CokcUXLHvbn2neCUN8qiNKQuik1/V46v75Q==
-----END CERTIFICATE-----
";

/// The authority above it, of P-256.
const ITS_ROOT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR2gAwIBAgIUDkQzDDicFiFtJSjoDV6P/t5pB9gwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGYSByb290MB4XDTIwMDEwMTAwMDAwMFoXDTM5MTIyNzAwMDAw
MFowETEPMA0GA1UEAwwGYSByb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
aRC3WEg2BNkkarK7DdwqXrC0BMYqXVYvPHxnJ0IiC66BvWAxNVyCd2I8t23UjXHt
mcfV6QcG6OaxKkbo4F1+6KNTMFEwHQYDVR0OBBYEFKBC2fGhwI/aN03hmOcs1ZDt
Afr5MB8GA1UdIwQYMBaAFKBC2fGhwI/aN03hmOcs1ZDtAfr5MA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAMiCHXSn59UvuXlNS9q8Cfr/Qbq/Mkxq
twoPtwKcwpIwAiEAmdTYImLY32KgWU+7UcprtZezJ4wHv53iSZDomQ3Irf8=
-----END CERTIFICATE-----
";

/// The signature is what makes an issuer, and not its name.
#[test]
fn a_name_alone_signs_nothing() {
    let (root, same_name) = (root(|_| {}), root(|_| {}));
    let chain = [leaf(&same_name, |_| {})];
    let judged = evaluate(&chain, std::slice::from_ref(&root.der));
    say(
        &judged,
        [
            Err(CertificateFault::Unknown),
            Err(CertificateFault::Unknown),
            Err(CertificateFault::Unknown),
        ],
    );
    // Served by the server, it is an authority for nobody.
    let chain = [chain[0].clone(), same_name.der.clone()];
    assert!(evaluate(&chain, std::slice::from_ref(&root.der)).go.is_err());
}

#[test]
fn how_far_down_an_authority_reaches() {
    let short = |depth: u8| {
        move |parameters: &mut CertificateParams| {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
        }
    };
    for (depth, is_enough) in [(0, false), (1, true)] {
        let root = root(short(depth));
        let intermediates = below(&root, "between", is_ca);
        let chain = [leaf(&intermediates, |_| {}), intermediates.der.clone()];
        let judged = evaluate(&chain, std::slice::from_ref(&root.der));
        assert_eq!(judged.go.is_ok(), is_enough, "{judged:?}");
        assert_eq!(judged.open_ssl.is_ok(), is_enough, "{judged:?}");
    }
}

/// Whoever serves many certificates of one name makes no work without end.
#[test]
fn a_chain_without_end_ends() {
    let first = root(|_| {});
    let mut chain = vec![leaf(&first, |_| {})];
    for _ in 0..64 {
        chain.push(root(|_| {}).der);
    }
    assert!(evaluate(&chain, &[root(|_| {}).der]).go.is_err());
}
