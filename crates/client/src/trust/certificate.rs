//! What stands in a certificate (RFC 5280 §4), one question each.

use std::{cmp::Ordering, net::IpAddr, time::SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::{
    certificate::X509Certificate,
    der_parser::Oid,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    public_key::PublicKey,
    x509::X509Name,
};

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
    common_name(certificate.subject())
        .is_some_and(|common| common.eq_ignore_ascii_case(&name.to_str()))
}

fn common_name<'a>(name: &'a X509Name<'_>) -> Option<&'a str> {
    name.iter_common_name().next().and_then(|common| common.as_str().ok())
}

/// Whether it names itself as its issuer.
pub(super) fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// Whether its critical extensions are all among those that every library knows: what they hold is another
/// question.
pub(super) fn is_understood(certificate: &X509Certificate<'_>) -> bool {
    // id-ce: keyUsage, subjectAltName, basicConstraints, nameConstraints, policies, extKeyUsage.
    const KNOWN: &[u8] = &[15, 17, 19, 30, 32, 37];
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
pub(super) fn is_for_servers(certificate: &X509Certificate<'_>, any_counts: bool) -> bool {
    match certificate.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.server_auth || (any_counts && usage.value.any),
        Err(_) => false,
    }
}

/// The length of its key, if that is RSA.
pub(super) fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(key.key_size()),
        _ => None,
    }
}
