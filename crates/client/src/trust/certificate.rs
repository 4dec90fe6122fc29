//! What stands in a certificate (RFC 5280 §4), one question each.

use std::{cmp::Ordering, net::IpAddr, time::SystemTime};

use portpass_protocol::printable::is_unprintable;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use x509_parser::{
    certificate::X509Certificate,
    der_parser::Oid,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    public_key::PublicKey,
    x509::{X509Name, X509Version},
};

use super::rules::AnyPurpose;

/// Reads it, if it is one and nothing more.
pub(super) fn parsed<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

/// Before, in or after its time.
pub(super) fn is_in_time(certificate: &X509Certificate<'_>, now: SystemTime) -> Ordering {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(since).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        Ordering::Less
    } else if now > validity.not_after.timestamp() {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// Whether one of its alternative names is this (RFC 6125 §6.4): a star stands for the whole of the first label.
pub(super) fn is_for(certificate: &X509Certificate<'_>, name: &ServerName<'_>) -> bool {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|own| match (own, name) {
        (GeneralName::DNSName(own), ServerName::DnsName(name)) => covers(own, name.as_ref()),
        (GeneralName::IPAddress(own), ServerName::IpAddress(address)) => {
            match IpAddr::from(*address) {
                IpAddr::V4(address) => *own == address.octets(),
                IpAddr::V6(address) => *own == address.octets(),
            }
        }
        _ => false,
    })
}

fn covers(pattern: &str, name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(rest), Some((_, below))) => rest.eq_ignore_ascii_case(below),
        (Some(_), None) => false,
        (None, _) => pattern.eq_ignore_ascii_case(name),
    }
}

/// Whether it has any: then the common name counts for nobody.
pub(super) fn has_alternative_names(certificate: &X509Certificate<'_>) -> bool {
    matches!(certificate.subject_alternative_name(), Ok(Some(_)) | Err(_))
}

/// Whether its common name is this.
pub(super) fn has_common_name(certificate: &X509Certificate<'_>, name: &ServerName<'_>) -> bool {
    let ServerName::DnsName(name) = name else { return false };
    common_name(certificate.subject()).is_some_and(|common| covers(common, name.as_ref()))
}

pub(super) fn common_name<'a>(name: &'a X509Name<'_>) -> Option<&'a str> {
    name.iter_common_name().next().and_then(|common| common.as_str().ok())
}

/// Its common name, or all of its name, in quotes; for people.
pub(super) fn subject_name(certificate: &X509Certificate<'_>) -> String {
    let subject = certificate.subject();
    let name = common_name(subject).map_or_else(|| subject.to_string(), str::to_owned);
    format!("{:?}", short(&name))
}

/// Cut, and printable.
fn short(text: &str) -> String {
    text.chars().filter(|c| !is_unprintable(*c)).take(128).collect()
}

/// Whether its critical extensions are all among those that every library knows: what they hold is another
/// question.
pub(super) fn is_understood(certificate: &X509Certificate<'_>) -> bool {
    // id-ce: keyUsage, subjectAltName, basicConstraints, nameConstraints, distribution points, policies, extKeyUsage.
    const KNOWN: &[u8] = &[15, 17, 19, 30, 31, 32, 37];
    let known =
        |oid: &Oid<'_>| matches!(oid.as_bytes(), [0x55, 0x1d, number] if KNOWN.contains(number));
    let unreadable =
        |extension: &ParsedExtension<'_>| matches!(extension, ParsedExtension::ParseError { .. });
    certificate
        .extensions()
        .iter()
        .filter(|extension| extension.critical)
        .all(|extension| known(&extension.oid) && !unreadable(extension.parsed_extension()))
}

/// Whether its extended key usage, if it has one, has servers in it.
pub(super) fn is_for_servers(certificate: &X509Certificate<'_>, any: AnyPurpose) -> bool {
    match certificate.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => {
            usage.value.server_auth || (any == AnyPurpose::Counts && usage.value.any)
        }
        Err(_) => false,
    }
}

/// Whether its key usage, if it has one, has something in it that a server of TLS does.
pub(super) fn has_server_usage(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => {
            let usage = usage.value;
            usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
        }
        Err(_) => false,
    }
}

/// Whether it may sign certificates. Those of the first version, which cannot say it, may if they are trusted.
pub(super) fn is_authority(certificate: &X509Certificate<'_>, anchor: bool) -> bool {
    let old = anchor && certificate.version() != X509Version::V3;
    let says_so = matches!(certificate.basic_constraints(), Ok(Some(basic)) if basic.value.ca);
    let may_sign = match certificate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Err(_) => false,
    };
    (old || says_so) && may_sign
}

/// Whether so many authorities may stand below it.
pub(super) fn may_sign_below(certificate: &X509Certificate<'_>, below: usize) -> bool {
    match certificate.basic_constraints() {
        Ok(basic) => basic
            .and_then(|basic| basic.value.path_len_constraint)
            .is_none_or(|allowed| usize::try_from(allowed).is_ok_and(|allowed| below <= allowed)),
        Err(_) => false,
    }
}

/// Whether it names itself as its issuer.
pub(super) fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// Whether the issuer's key has made its signature, by an algorithm that is good today.
pub(super) fn is_signed_by(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> bool {
    let signature = identified(&certificate.signature_algorithm.algorithm);
    let key = identified(&issuer.public_key().algorithm.algorithm);
    // Inside and outside of what is signed stands the same (RFC 5280 §4.1.1.2).
    if certificate.signature_algorithm != certificate.tbs_certificate.signature {
        return false;
    }
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    algorithms
        .iter()
        .filter(|known| known.signature_alg_id().as_ref().starts_with(&signature))
        .filter(|known| known.public_key_alg_id().as_ref().starts_with(&key))
        .any(|known| {
            let verified = known.verify_signature(
                &issuer.public_key().subject_public_key.data,
                certificate.tbs_certificate.as_ref(),
                &certificate.signature_value.data,
            );
            verified.is_ok()
        })
}

/// An object identifier as DER has it: it begins the identifier of an algorithm.
fn identified(oid: &Oid<'_>) -> Vec<u8> {
    let bytes = oid.as_bytes();
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    [&[0x06, length], bytes].concat()
}

/// The length of its key, if that is RSA.
pub(super) fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(key.key_size()),
        _ => None,
    }
}

/// Where its issuer's certificate can be fetched (RFC 5280 §4.2.2.1).
pub(super) fn issuer_at(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
            return None;
        };
        access.accessdescs.iter().find_map(|description| match &description.access_location {
            GeneralName::URI(uri) if description.access_method.as_bytes() == CA_ISSUERS => {
                Some(short(uri))
            }
            _ => None,
        })
    })
}

/// `id-ad-caIssuers`, 1.3.6.1.5.5.7.48.2
const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];
