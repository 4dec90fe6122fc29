//! Rules for a server's own certificate: its time, its names, what it is for.

use std::{cmp::Ordering, time::SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;

use super::{
    CertificateFault, PresentedChain,
    certificate::{
        has_alternative_names, has_common_name, has_server_usage, is_for, is_for_servers,
        is_in_time, is_self_issued, is_understood, parsed, rsa_bits,
    },
    rules::{CommonName, GO, KeyUsage, Rules, VERIFIABLE},
};

/// Judges the first certificate as Go does, if it stands byte for byte among these: it then needs nothing above it.
pub(super) fn verify_pinned(
    presented: &PresentedChain<'_>,
    named: &[CertificateDer<'_>],
) -> Result<(), CertificateFault> {
    let der = presented.chain.first().ok_or(CertificateFault::Unreadable)?;
    let leaf = parsed(der).ok_or(CertificateFault::Unreadable)?;
    if !named.contains(der) {
        let itself = is_self_issued(&leaf);
        return Err(if itself { CertificateFault::SelfSigned } else { CertificateFault::Unknown });
    }
    verify(GO, presented, &leaf)?;
    verifiable(der)
}

/// Judges all that has nothing to do with who issued it.
pub(super) fn verify(
    rules: Rules,
    presented: &PresentedChain<'_>,
    leaf: &X509Certificate<'_>,
) -> Result<(), CertificateFault> {
    if !is_understood(leaf) {
        return Err(CertificateFault::Extension);
    }
    is_valid_at(leaf, presented.now)?;
    is_called(rules, leaf, presented.name)?;
    if !is_for_servers(leaf, rules.any_purpose) {
        return Err(CertificateFault::Purpose);
    }
    if rules.key_usage == KeyUsage::Checked && !has_server_usage(leaf) {
        return Err(CertificateFault::KeyUsage);
    }
    long_enough(leaf, rules.shortest)
}

/// Whether a handshake with its key can be verified here, as far as its length goes.
pub(super) fn verifiable(der: &CertificateDer<'_>) -> Result<(), CertificateFault> {
    parsed(der).map_or(Ok(()), |leaf| long_enough(&leaf, VERIFIABLE))
}

/// Whether its key is long enough.
pub(super) fn long_enough(
    certificate: &X509Certificate<'_>,
    shortest: usize,
) -> Result<(), CertificateFault> {
    match rsa_bits(certificate).filter(|bits| *bits < shortest) {
        Some(bits) => Err(CertificateFault::KeyTooShort(bits)),
        None => Ok(()),
    }
}

fn is_valid_at(leaf: &X509Certificate<'_>, now: SystemTime) -> Result<(), CertificateFault> {
    match is_in_time(leaf, now) {
        Ordering::Less => Err(CertificateFault::NotYetValid),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(CertificateFault::Expired),
    }
}

fn is_called(
    rules: Rules,
    leaf: &X509Certificate<'_>,
    name: &ServerName<'_>,
) -> Result<(), CertificateFault> {
    if is_for(leaf, name) {
        return Ok(());
    }
    match (is_common_name_alone(leaf, name), rules.common_name) {
        (true, CommonName::Counts) => Ok(()),
        (true, CommonName::CountsForNothing) => Err(CertificateFault::CommonName),
        (false, _) => Err(CertificateFault::NameMismatch),
    }
}

/// Whether it would be for this name if common names counted.
pub(super) fn is_common_name_alone(leaf: &X509Certificate<'_>, name: &ServerName<'_>) -> bool {
    !has_alternative_names(leaf) && has_common_name(leaf, name)
}
