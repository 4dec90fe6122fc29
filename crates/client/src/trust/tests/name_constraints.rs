//! Authorities that are bound to names.

use rcgen::{
    CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose as Purpose, GeneralSubtree, KeyPair, NameConstraints, SanType,
    date_time_ymd,
};

use super::{
    super::{CertificateFault, TrustReport},
    fixture::{Made, YES, below, evaluate, is_ca, leaf, root, root_of, say},
};

fn dns(name: &str) -> GeneralSubtree {
    GeneralSubtree::DnsName(name.to_owned())
}

fn network(network: &str) -> GeneralSubtree {
    GeneralSubtree::IpAddress(network.parse::<CidrSubnet>().unwrap())
}

/// Permits the first and excludes the second.
fn bound(
    permitted: Vec<GeneralSubtree>,
    excluded: Vec<GeneralSubtree>,
) -> impl FnOnce(&mut CertificateParams) {
    move |parameters| {
        parameters.name_constraints =
            Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded });
    }
}

fn under(root: &Made, change: impl FnOnce(&mut CertificateParams)) -> TrustReport {
    evaluate(&[leaf(root, change)], std::slice::from_ref(&root.der))
}

fn constraint() -> Result<(), CertificateFault> {
    Err(CertificateFault::Constraint)
}

fn address(address: &str) -> SanType {
    SanType::IpAddress(address.parse().unwrap())
}

fn name(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

#[test]
fn every_name_has_to_be_within_the_bounds_of_its_kind() {
    for (permitted, excluded, others, is_allowed) in [
        (vec![dns("localhost")], vec![], vec![], true),
        (vec![dns("LOCALHOST")], vec![], vec![], true),
        (vec![dns("")], vec![], vec![], true),
        (vec![dns("example.com")], vec![], vec![], false),
        (vec![dns("host")], vec![], vec![], false),
        (vec![dns("example.com"), dns("localhost")], vec![], vec![], true),
        (vec![dns("localhost")], vec![], vec![name("a.localhost")], true),
        (vec![dns("localhost")], vec![], vec![name("example.com")], false),
        (vec![], vec![dns("localhost")], vec![], false),
        (vec![], vec![dns("example.com")], vec![], true),
        (vec![], vec![dns("example.com")], vec![name("a.example.com")], false),
        (vec![], vec![dns("example.com")], vec![name("*.example.com")], false),
        (vec![dns("localhost"), dns("example.com")], vec![], vec![name("*.example.com")], true),
        // A name is not bound by networks, nor an address by names.
        (vec![network("10.0.0.0/8")], vec![], vec![], true),
        (vec![network("10.0.0.0/8")], vec![], vec![address("10.1.2.3")], true),
        (vec![network("10.0.0.0/8")], vec![], vec![address("11.1.2.3")], false),
        (vec![network("10.0.0.0/9")], vec![], vec![address("10.200.0.1")], false),
        (vec![], vec![network("10.0.0.0/8")], vec![address("10.1.2.3")], false),
        (vec![network("fd00::/8")], vec![], vec![address("fd12::1")], true),
        (vec![network("fd00::/8")], vec![], vec![address("10.1.2.3")], false),
        (vec![dns("localhost")], vec![], vec![address("10.1.2.3")], true),
    ] {
        let case = format!("{permitted:?} {excluded:?} {others:?}");
        let root = root(bound(permitted, excluded));
        let judged = under(&root, |parameters| parameters.subject_alt_names.extend(others));
        let expected = || if is_allowed { YES } else { constraint() };
        assert_eq!((&judged.go, &judged.open_ssl), (&expected(), &expected()), "{case}");
        assert_eq!(judged.rustls.is_ok(), is_allowed, "{case}");
    }
}

/// Where something is excluded, what a star stands for is rustls' to say.
#[test]
fn a_star_below_exclusions_is_told_by_rustls_alone() {
    let root = root(bound(vec![], vec![dns("example.org")]));
    let starred = |parameters: &mut CertificateParams| {
        parameters.subject_alt_names.push(name("*.example.com"));
    };
    say(&under(&root, starred), [YES, YES, YES]);
    let stumbling = under(&root, |parameters| {
        starred(parameters);
        is_ca(parameters);
    });
    say(
        &stumbling,
        [
            Err(CertificateFault::UnjudgedConstraint),
            Err(CertificateFault::Authority),
            Err(CertificateFault::UnjudgedConstraint),
        ],
    );
}

/// `.example.com` has what is below it, and not itself.
#[test]
fn a_bound_with_a_dot_is_for_what_is_below() {
    let root = root(bound(vec![dns(".localhost")], vec![]));
    assert_eq!(under(&root, |_| {}).go, constraint());
}

/// What rustls refuses for another reason is no fault of a bound that is kept.
#[test]
fn a_bound_is_judged_where_rustls_stumbles_before_it() {
    let root = root(bound(vec![dns("localhost")], vec![]));
    say(&under(&root, is_ca), [YES, Err(CertificateFault::Authority), YES]);
    let any = under(&root, |parameters| parameters.extended_key_usages = vec![Purpose::Any]);
    say(&any, [YES, Err(CertificateFault::Purpose), Err(CertificateFault::Purpose)]);
    let nameless = under(&root, |parameters| parameters.subject_alt_names.clear());
    say(&nameless, [Err(CertificateFault::CommonName), Err(CertificateFault::CommonName), YES]);
}

#[test]
fn an_authority_in_the_middle_is_bound_as_well() {
    let root = root(|_| {});
    for (permitted, is_allowed) in [("localhost", true), ("example.com", false)] {
        let intermediates = below(&root, "between", |parameters| {
            is_ca(parameters);
            bound(vec![dns(permitted)], vec![])(parameters);
        });
        let chain = [leaf(&intermediates, is_ca), intermediates.der.clone()];
        let judged = evaluate(&chain, std::slice::from_ref(&root.der));
        let expected = if is_allowed { YES } else { constraint() };
        assert_eq!((&judged.go, &judged.open_ssl), (&expected, &expected));
    }
}

/// A root that was renewed, and is bound since: in whichever order a bundle has both.
#[test]
fn an_expired_root_beside_its_new_one_is_in_nobodys_way() {
    let pem = KeyPair::generate().unwrap().serialize_pem();
    let key = || KeyPair::from_pem(&pem).unwrap();
    let new = root_of(key(), bound(vec![dns("localhost")], vec![]));
    let old = root_of(key(), |parameters| parameters.not_after = date_time_ymd(2021, 1, 1));
    let chain = [leaf(&new, |_| {})];
    for roots in [[new.der.clone(), old.der.clone()], [old.der.clone(), new.der.clone()]] {
        say(&evaluate(&chain, &roots), [YES, YES, YES]);
    }
}

/// Bounds on directory names are not judged here, and Go refuses them where they are critical.
#[test]
fn what_is_not_judged_is_said_to_be_untold() {
    let directory = || {
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "an organization");
        vec![GeneralSubtree::DirectoryName(name)]
    };
    let root = root(bound(directory(), vec![]));
    let judged = under(&root, is_ca);
    let (go, open_ssl) =
        (Err(CertificateFault::Extension), Err(CertificateFault::UnjudgedConstraint));
    say(&judged, [go, Err(CertificateFault::Authority), open_ssl]);
}

/// What is passed over in reading would be a bound that nobody keeps.
#[test]
fn bounds_that_cannot_be_read_whole_are_refused() {
    // permittedSubtrees of `localhost`, and beside it excludedSubtrees of nothing, or a third part.
    for rest in [[0xa1, 0x02, 0x30, 0x00], [0xa2, 0x02, 0x30, 0x00]] {
        let mut content = vec![0x30, 0x13, 0xa0, 0x0d, 0x30, 0x0b, 0x82, 0x09];
        content.extend(b"localhost");
        content.extend(rest);
        let root = root(|parameters| {
            let extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
            parameters.custom_extensions.push(extension);
        });
        assert_eq!(under(&root, |_| {}).go, Err(CertificateFault::Extension));
    }
}
