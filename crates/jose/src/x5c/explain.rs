//! What was wrong with a chain that webpki refused.

use std::time::SystemTime;

use super::{
    checks::{Checks, may_issue, signature_is_known},
    error::ChainError,
};
use crate::Certificate;

/// Puts into words, with names, what webpki puts into one.
pub(super) fn explain(
    error: &webpki::Error,
    leaf: &Certificate,
    above: &[Certificate],
    bundle: &[Certificate],
    now: SystemTime,
    checks: &Checks,
) -> ChainError {
    if matches!(error, webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. })
        && let Some(why) = above.iter().find_map(|certificate| certificate.validity(now).err())
    {
        return why.into();
    }
    let issuers = issuers_of(leaf, above);
    if let Some(why) = issuers.iter().find_map(|issuer| may_issue(issuer).err()) {
        return why;
    }
    let mut signed = std::iter::once(&leaf).chain(&issuers);
    if let Some(why) = signed.find_map(|signed| signature_is_known(signed).err()) {
        return why;
    }
    let top = issuers.last().copied().unwrap_or(leaf);
    let mut candidates = bundle.iter().filter(|root| top.names_as_issuer(root)).peekable();
    if candidates.peek().is_none() {
        return match error {
            webpki::Error::UnknownIssuer => ChainError::unknown_issuer(top, bundle),
            other => other_reason(leaf, other),
        };
    }
    let signed = match first_that_signed(top, candidates, checks) {
        Ok(signed) => signed,
        Err(why) => return why,
    };
    if let Some(Err(why)) = signed.map(|root| root.validity(now)) {
        return why.into();
    }
    if let Some(Err(why)) = signed.map(may_issue) {
        return why;
    }
    match (signed, error) {
        (Some(root), webpki::Error::PathLenConstraintViolated) => {
            ChainError::PathLength { issuer: root.subject().to_owned() }
        }
        (None, webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey) => {
            ChainError::BadSignature {
                subject: top.subject().to_owned(),
                issuer: top.issuer().to_owned(),
            }
        }
        (Some(_), webpki::Error::UnknownIssuer) => broken_link(leaf, &issuers, checks)
            .unwrap_or_else(|| other_reason(leaf, &webpki::Error::UnknownIssuer)),
        (_, other) => other_reason(leaf, other),
    }
}

fn first_that_signed<'a>(
    certificate: &Certificate,
    candidates: impl Iterator<Item = &'a Certificate>,
    checks: &Checks,
) -> Result<Option<&'a Certificate>, ChainError> {
    for root in candidates {
        if checks.is_signed_by(certificate, root)? {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

/// The uppermost certificate of a path that another key has signed than its issuer's.
fn broken_link(
    leaf: &Certificate,
    issuers: &[&Certificate],
    checks: &Checks,
) -> Option<ChainError> {
    let below = std::iter::once(&leaf).chain(issuers);
    let links: Vec<_> = below.zip(issuers).collect();
    links.into_iter().rev().find_map(|(certificate, issuer)| {
        match checks.is_signed_by(certificate, issuer) {
            Ok(true) => None,
            Ok(false) => Some(ChainError::BadSignature {
                subject: certificate.subject().to_owned(),
                issuer: issuer.subject().to_owned(),
            }),
            Err(why) => Some(why),
        }
    })
}

fn other_reason(leaf: &Certificate, error: &webpki::Error) -> ChainError {
    ChainError::Webpki { subject: leaf.subject().to_owned(), why: error.clone() }
}

/// Those of the chain that can be reached from the leaf by names alone, short of a self-signed one.
fn issuers_of<'a>(leaf: &'a Certificate, above: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut issuers: Vec<&Certificate> = Vec::new();
    for _ in above {
        let last = issuers.last().copied().unwrap_or(leaf);
        let next = above.iter().find(|issuer| last.names_as_issuer(issuer) && *issuer != last);
        match next {
            Some(issuer) if issuer.issuer() != issuer.subject() => issuers.push(issuer),
            _ => break,
        }
    }
    issuers
}
