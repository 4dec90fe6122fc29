//! The way up from a server's certificate to one that is trusted, by the rules of Go and of OpenSSL.
//!
//! Where an authority is bound to names, rustls decides: that rule is long, and they all share it.

use std::{cmp::Ordering, time::SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::{
    Distrust, Presented,
    certificate::{
        is_authority, is_bound_to_names, is_for_servers, is_in_time, is_self_issued, is_signed_by,
        is_understood, issuer_at, may_sign_below, parsed, whose,
    },
    leaf::{self, long_enough},
    rules::{Anchor, Rules, VERIFIABLE},
};

/// Signatures that are checked for one chain, certificates of it that are looked at, and how far up.
const MAX_CHECKS: usize = 32;
const MAX_DEPTH: u32 = 8;

/// Judges by these rules, with these authorities. `by_rustls` is what rustls says of the same.
pub(super) fn judge(
    rules: Rules,
    presented: &Presented<'_>,
    roots: &[CertificateDer<'_>],
    by_rustls: &Result<(), Distrust>,
) -> Result<(), Distrust> {
    let (leaf_der, above) = presented.chain.split_first().ok_or(Distrust::Unreadable)?;
    let leaf = parsed(leaf_der).ok_or(Distrust::Unreadable)?;
    leaf::judge(rules, presented, &leaf)?;
    let ends_here = rules.anchor == Anchor::Any || is_self_issued(&leaf);
    if ends_here && roots.contains(leaf_der) {
        return Ok(());
    }
    let anchors: Vec<X509Certificate<'_>> = roots.iter().filter_map(|der| parsed(der)).collect();
    let between: Vec<X509Certificate<'_>> =
        above.iter().take(MAX_CHECKS).filter_map(|der| parsed(der)).collect();
    let mut search = Search {
        rules,
        now: presented.now,
        anchors: &anchors,
        between: &between,
        checks: 0,
        in_the_way: None,
    };
    if search.climb(&leaf, 0) {
        return Ok(());
    }
    match (search.in_the_way, by_rustls) {
        (Some(Distrust::Constraint), Ok(())) => Ok(()),
        (Some(fault), _) => Err(fault),
        (None, Err(weak @ (Distrust::Algorithm | Distrust::Signature))) => Err(weak.clone()),
        (None, _) => Err(missing(presented.chain)),
    }
}

/// A way up from a certificate to one that is trusted.
struct Search<'a> {
    rules: Rules,
    now: SystemTime,
    anchors: &'a [X509Certificate<'a>],
    between: &'a [X509Certificate<'a>],
    checks: usize,
    /// What stood in the way of the last one that had signed.
    in_the_way: Option<Distrust>,
}

impl<'a> Search<'a> {
    /// Whether there is one. `below` is the number of authorities below.
    fn climb(&mut self, certificate: &X509Certificate<'_>, below: u32) -> bool {
        let (anchors, between): (&'a [_], &'a [_]) = (self.anchors, self.between);
        let anchors = anchors.iter().map(|one| (one, true));
        for (issuer, is_anchor) in anchors.chain(between.iter().map(|one| (one, false))) {
            let is_it = issuer.subject().as_raw() == certificate.issuer().as_raw();
            if !is_it || issuer.as_raw() == certificate.as_raw() {
                continue;
            }
            self.checks += 1;
            if self.checks > MAX_CHECKS || below >= MAX_DEPTH {
                return false;
            }
            if let Err(fault) = self.may_sign(certificate, issuer, is_anchor, below) {
                self.in_the_way = fault.or(self.in_the_way.take());
                continue;
            }
            let ends_here = self.rules.anchor == Anchor::Any || is_self_issued(issuer);
            if (is_anchor && ends_here) || self.climb(issuer, below + 1) {
                return true;
            }
        }
        false
    }

    /// Whether this one has signed that, and may stand above so many others. No fault is said of one that has not.
    fn may_sign(
        &self,
        certificate: &X509Certificate<'_>,
        issuer: &X509Certificate<'_>,
        is_anchor: bool,
        below: u32,
    ) -> Result<(), Option<Distrust>> {
        long_enough(issuer, VERIFIABLE.max(self.rules.shortest))?;
        if !is_signed_by(certificate, issuer) {
            return Err(None);
        }
        let fault = if !is_authority(issuer, is_anchor) || !may_sign_below(issuer, below) {
            Distrust::NotAnAuthority(whose(issuer))
        } else if is_in_time(issuer, self.now) != Ordering::Equal {
            Distrust::OutOfTime(whose(issuer))
        } else if !is_understood(issuer) {
            Distrust::Extension
        } else if !is_for_servers(issuer, self.rules.any_purpose) {
            Distrust::Purpose
        } else if is_bound_to_names(issuer) {
            Distrust::Constraint
        } else {
            return Ok(());
        };
        Err(Some(fault))
    }
}

/// Whose certificate is missing. Where a chain's last one says where its issuer's is, as public authorities' do, a
/// server has left that out; private roots say no such thing.
pub(super) fn missing(chain: &[CertificateDer<'_>]) -> Distrust {
    let Some(last) = chain.last().and_then(|der| parsed(der)) else {
        return Distrust::Unreadable;
    };
    if is_self_issued(&last) {
        return if chain.len() == 1 { Distrust::SelfSigned } else { Distrust::Unknown };
    }
    issuer_at(&last).map_or(Distrust::Unknown, Distrust::Incomplete)
}
