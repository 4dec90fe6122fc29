//! The rules of Go for a server's own certificate (`crypto/x509`, `Certificate.Verify`): its time, its names, what it
//! is for. One that is itself among the given authorities needs no more.

use std::{cmp::Ordering, time::SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;

use super::{
    Distrust, Presented,
    certificate::{
        has_alternative_names, has_common_name, is_for, is_for_servers, is_in_time, is_self_issued,
        is_understood, parsed, rsa_bits,
    },
};

/// Bits of an RSA key. Go takes 1024; no handshake with a shorter one than this is verified here.
const SHORTEST: usize = 2048;

/// Judges the first certificate, if it stands byte for byte among these.
pub(crate) fn judge_named(
    presented: &Presented<'_>,
    named: &[CertificateDer<'_>],
) -> Result<(), Distrust> {
    let der = presented.chain.first().ok_or(Distrust::Unreadable)?;
    let leaf = parsed(der).ok_or(Distrust::Unreadable)?;
    if !named.contains(der) {
        let itself = is_self_issued(&leaf);
        return Err(if itself { Distrust::SelfSigned } else { Distrust::Unknown });
    }
    judge(presented, &leaf)
}

fn judge(presented: &Presented<'_>, leaf: &X509Certificate<'_>) -> Result<(), Distrust> {
    if !is_understood(leaf) {
        return Err(Distrust::Extension);
    }
    is_valid_at(leaf, presented.now)?;
    is_called(leaf, presented.name)?;
    if !is_for_servers(leaf, true) {
        return Err(Distrust::Purpose);
    }
    match rsa_bits(leaf).filter(|bits| *bits < SHORTEST) {
        Some(bits) => Err(Distrust::Short(bits)),
        None => Ok(()),
    }
}

fn is_valid_at(leaf: &X509Certificate<'_>, now: SystemTime) -> Result<(), Distrust> {
    match is_in_time(leaf, now) {
        Ordering::Less => Err(Distrust::NotYet),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Distrust::Expired),
    }
}

fn is_called(leaf: &X509Certificate<'_>, name: &ServerName<'_>) -> Result<(), Distrust> {
    if is_for(leaf, name) {
        return Ok(());
    }
    let common_name = !has_alternative_names(leaf) && has_common_name(leaf, name);
    Err(if common_name { Distrust::CommonName } else { Distrust::Name })
}
