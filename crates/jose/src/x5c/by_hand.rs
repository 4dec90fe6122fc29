//! Paths that webpki refuses on principle and Go accepts: the leaf is itself an authority (an
//! intermediate signs tokens), or of version 1 (`openssl x509 -req` without extensions).
//!
//! Only the leaf may be so. Every issuer is of version 3 with `CA:TRUE` and, where it states a key
//! usage, `keyCertSign`; path length, names, dates and signatures are checked. Name constraints and
//! unknown critical extensions are refused rather than interpreted.

use std::time::SystemTime;

use super::{
    ChainError, allows,
    checks::{Checks, may_issue, signature_is_known},
};
use crate::Certificate;

/// The path from `leaf` through `above` to an authority of `bundle`, leaf first.
pub(super) fn verify<'a>(
    leaf: &'a Certificate,
    above: &'a [Certificate],
    bundle: &'a [Certificate],
    now: SystemTime,
    checks: &'a Checks,
) -> Result<Vec<&'a Certificate>, ChainError> {
    if let Some(oid) = leaf.unknown_critical() {
        return Err(unknown_extension(leaf, oid));
    }
    Search { above, bundle, now, checks }.climb(&[leaf])
}

struct Search<'a> {
    above: &'a [Certificate],
    bundle: &'a [Certificate],
    now: SystemTime,
    checks: &'a Checks,
}

impl<'a> Search<'a> {
    /// Looks for the issuer of the last certificate of `path`, in the bundle first, by names and what costs
    /// nothing; a path that ends in the bundle is then checked from there downwards.
    ///
    /// At most [`super::MAX_CERTIFICATES`] deep and no certificate twice, so at most 4! paths.
    fn climb(&self, path: &[&'a Certificate]) -> Result<Vec<&'a Certificate>, ChainError> {
        let Some(last) = path.last().copied() else { return Err(ChainError::Empty) };
        signature_is_known(last)?;
        let mut refusal = ChainError::unknown_issuer(last, self.bundle);
        for root in self.bundle.iter().filter(|root| last.names_as_issuer(root)) {
            let found = self.check_issuer(root, path).and_then(|()| {
                let path: Vec<_> = path.iter().copied().chain([root]).collect();
                self.check_signatures(&path).map(|()| path)
            });
            match found {
                Ok(path) => return Ok(path),
                Err(ChainError::TooManySignatures) => return Err(ChainError::TooManySignatures),
                Err(why) => refusal = refusal.or(why),
            }
        }
        for issuer in self.above.iter().filter(|issuer| last.names_as_issuer(issuer)) {
            if path.contains(&issuer) {
                continue;
            }
            let found = self.check_issuer(issuer, path).and_then(|()| {
                self.climb(&path.iter().copied().chain([issuer]).collect::<Vec<_>>())
            });
            match found {
                Ok(path) => return Ok(path),
                Err(ChainError::TooManySignatures) => return Err(ChainError::TooManySignatures),
                Err(why) => refusal = refusal.or(why),
            }
        }
        Err(refusal)
    }

    /// Whether each of a path, leaf first, is signed by the next; the uppermost is trusted.
    fn check_signatures(&self, path: &[&Certificate]) -> Result<(), ChainError> {
        for link in path.windows(2).rev() {
            let [certificate, issuer] = link else { continue };
            if !self.checks.is_signed_by(certificate, issuer)? {
                return Err(ChainError::BadSignature {
                    subject: certificate.subject().to_owned(),
                    issuer: issuer.subject().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Whether `issuer` may have signed the last certificate of `path`, by all but the signature.
    fn check_issuer(&self, issuer: &Certificate, path: &[&Certificate]) -> Result<(), ChainError> {
        let subject = || issuer.subject().to_owned();
        may_issue(issuer)?;
        issuer.validity(self.now)?;
        if !allows(issuer, path.len() - 1) {
            return Err(ChainError::PathLength { issuer: subject() });
        }
        if issuer.constrains_names() {
            return Err(ChainError::NameConstraints { issuer: subject() });
        }
        if let Some(oid) = issuer.unknown_critical() {
            return Err(unknown_extension(issuer, oid));
        }
        Ok(())
    }
}

fn unknown_extension(certificate: &Certificate, oid: &str) -> ChainError {
    ChainError::UnknownExtension { subject: certificate.subject().to_owned(), oid: oid.to_owned() }
}
