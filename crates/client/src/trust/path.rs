//! The way up from a server's certificate to one that is trusted, by the rules of Go and of OpenSSL.
//!
//! Where an authority is bound to names of a kind that is not judged here, what rustls takes is taken.

use std::{cmp::Ordering, time::SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::{
    CertificateFault, PresentedChain,
    certificate::{
        is_authority, is_for_servers, is_in_time, is_self_issued, is_signed_by, is_understood,
        issuer_at, may_sign_below, parsed, subject_name,
    },
    leaf::{self, long_enough},
    name_constraints,
    rules::{Anchor, Rules, VERIFIABLE},
};

/// Signatures that are checked for one chain, certificates of it that are looked at, and how far up.
const MAX_CHECKS: usize = 32;
const MAX_DEPTH: usize = 8;

/// Judges by these rules, with these authorities. `by_rustls` is what rustls says of the same.
pub(super) fn verify(
    rules: Rules,
    presented: &PresentedChain<'_>,
    roots: &[CertificateDer<'_>],
    by_rustls: &Result<(), CertificateFault>,
) -> Result<(), CertificateFault> {
    let (leaf_der, above) = presented.chain.split_first().ok_or(CertificateFault::Unreadable)?;
    let leaf = parsed(leaf_der).ok_or(CertificateFault::Unreadable)?;
    leaf::verify(rules, presented, &leaf)?;
    let ends_here = rules.anchor == Anchor::Any || is_self_issued(&leaf);
    if ends_here && roots.contains(leaf_der) {
        return Ok(());
    }
    let anchors: Vec<X509Certificate<'_>> = roots.iter().filter_map(|der| parsed(der)).collect();
    let intermediates: Vec<X509Certificate<'_>> =
        above.iter().take(MAX_CHECKS).filter_map(|der| parsed(der)).collect();
    let mut search = Search {
        rules,
        now: presented.now,
        by_rustls: by_rustls.is_ok(),
        anchors: &anchors,
        intermediates: &intermediates,
        checks: 0,
        obstacle: None,
    };
    if search.reaches_anchor(&[&leaf]) {
        return Ok(());
    }
    match (search.obstacle, by_rustls) {
        (Some(fault), _) => Err(fault),
        (None, Err(weak @ (CertificateFault::Algorithm | CertificateFault::Signature))) => {
            Err(weak.clone())
        }
        (None, _) => Err(missing(presented.chain)),
    }
}

/// A way up from a certificate to one that is trusted.
struct Search<'a> {
    rules: Rules,
    now: SystemTime,
    /// Whether rustls takes the chain.
    by_rustls: bool,
    anchors: &'a [X509Certificate<'a>],
    intermediates: &'a [X509Certificate<'a>],
    checks: usize,
    /// What stood in the way of the last one that had signed. What cannot be told stays: it may be all that did.
    obstacle: Option<CertificateFault>,
}

impl<'a> Search<'a> {
    /// Whether there is one from the last of these, which begin with the server's own.
    fn reaches_anchor(&mut self, below: &[&X509Certificate<'_>]) -> bool {
        let Some(certificate) = below.last() else { return false };
        let (anchors, intermediates): (&'a [_], &'a [_]) = (self.anchors, self.intermediates);
        let anchors = anchors.iter().map(|one| (one, true));
        for (issuer, is_anchor) in anchors.chain(intermediates.iter().map(|one| (one, false))) {
            let is_it = issuer.subject().as_raw() == certificate.issuer().as_raw();
            if !is_it || issuer.as_raw() == certificate.as_raw() {
                continue;
            }
            self.checks += 1;
            if self.checks > MAX_CHECKS || below.len() > MAX_DEPTH {
                return false;
            }
            if let Err(fault) = self.may_sign(issuer, is_anchor, below) {
                if self.obstacle != Some(CertificateFault::UnjudgedConstraint) {
                    self.obstacle = fault.or(self.obstacle.take());
                }
                continue;
            }
            let ends_here = self.rules.anchor == Anchor::Any || is_self_issued(issuer);
            if (is_anchor && ends_here) || self.reaches_anchor(&[below, &[issuer]].concat()) {
                return true;
            }
        }
        false
    }

    /// Whether this one has signed the last of those, and may stand above them all. No fault is said of one that has not.
    fn may_sign(
        &self,
        issuer: &X509Certificate<'_>,
        is_anchor: bool,
        below: &[&X509Certificate<'_>],
    ) -> Result<(), Option<CertificateFault>> {
        long_enough(issuer, VERIFIABLE.max(self.rules.shortest))?;
        if !below.last().is_some_and(|certificate| is_signed_by(certificate, issuer)) {
            return Err(None);
        }
        let fault = if !is_authority(issuer, is_anchor)
            || !may_sign_below(issuer, below.len().saturating_sub(1))
        {
            CertificateFault::NotAnAuthority(subject_name(issuer))
        } else if is_in_time(issuer, self.now) != Ordering::Equal {
            CertificateFault::AuthorityOutOfValidity(subject_name(issuer))
        } else if !is_understood(issuer) {
            CertificateFault::Extension
        } else if !is_for_servers(issuer, self.rules.any_purpose) {
            CertificateFault::Purpose
        } else {
            return match name_constraints::verify(self.rules, issuer, below) {
                Err(CertificateFault::UnjudgedConstraint) if self.by_rustls => Ok(()),
                judged => judged.map_err(Some),
            };
        };
        Err(Some(fault))
    }
}

/// Whose certificate is missing. Where a chain's last one says where its issuer's is, as public authorities' do, a
/// server has left that out; private roots say no such thing.
pub(super) fn missing(chain: &[CertificateDer<'_>]) -> CertificateFault {
    let Some(last) = chain.last().and_then(|der| parsed(der)) else {
        return CertificateFault::Unreadable;
    };
    if is_self_issued(&last) {
        return if chain.len() == 1 {
            CertificateFault::SelfSigned
        } else {
            CertificateFault::Unknown
        };
    }
    issuer_at(&last).map_or(CertificateFault::Unknown, CertificateFault::Incomplete)
}
