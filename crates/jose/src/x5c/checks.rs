//! The checks of one certificate by another. The signature checks of one chain are few, and each is
//! made once.

use std::cell::RefCell;

use super::{MAX_SIGNATURES, error::ChainError};
use crate::{Certificate, certificate::Authority};

/// Checks signatures as long as there are some left.
///
/// Whoever asks asks from the trusted root downwards, so that every key that is used has been vouched for: a
/// stranger's certificates cost one check each by a key of ours, and none by theirs, however large it is.
#[derive(Debug, Default)]
pub(super) struct Checks(RefCell<Vec<Check>>);

#[derive(Debug)]
struct Check {
    certificate: Certificate,
    issuer: Certificate,
    holds: bool,
}

impl Checks {
    /// Whether `issuer`'s key made the signature on `certificate`.
    ///
    /// # Errors
    /// [`ChainError::TooManySignatures`]
    pub(super) fn is_signed_by(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<bool, ChainError> {
        let mut made = self.0.borrow_mut();
        let same =
            |made: &&Check| made.certificate == *certificate && made.issuer.has_the_key_of(issuer);
        if let Some(check) = made.iter().find(same) {
            return Ok(check.holds);
        }
        if made.len() == MAX_SIGNATURES {
            return Err(ChainError::TooManySignatures);
        }
        let holds = certificate.is_signed_by(issuer);
        made.push(Check { certificate: certificate.clone(), issuer: issuer.clone(), holds });
        Ok(holds)
    }

    /// Those of `above` for which `authorities` vouch, each by the next, downwards; if by one of them they vouch
    /// for the leaf. Dates and the like are looked at by others.
    pub(super) fn vouched_for<'a>(
        &self,
        leaf: &'a Certificate,
        above: &'a [Certificate],
        authorities: &[&'a Certificate],
    ) -> Result<Option<Vec<&'a Certificate>>, ChainError> {
        let mut issuers = authorities.to_vec();
        let mut open = on_the_way(leaf, above, authorities);
        while let Some(next) = self.first_signed(&open, &issuers)? {
            issuers.push(open.remove(next));
        }
        let vouched = self.first_signed(&[leaf], &issuers)?;
        Ok(vouched.map(|_| issuers.split_off(authorities.len())))
    }

    /// The position of the first certificate that one of the issuers, which it names, has signed.
    fn first_signed(
        &self,
        certificates: &[&Certificate],
        issuers: &[&Certificate],
    ) -> Result<Option<usize>, ChainError> {
        for (position, certificate) in certificates.iter().enumerate() {
            for issuer in issuers.iter().filter(|issuer| certificate.names_as_issuer(issuer)) {
                if self.is_signed_by(certificate, issuer)? {
                    return Ok(Some(position));
                }
            }
        }
        Ok(None)
    }

    /// Whose key was used, once for each check.
    #[cfg(test)]
    pub(super) fn issuers(&self) -> Vec<Certificate> {
        self.0.borrow().iter().map(|check| check.issuer.clone()).collect()
    }
}

/// The authorities of a chain to which the leaf leads by names, but for those that are trusted anyway.
fn on_the_way<'a>(
    leaf: &'a Certificate,
    above: &'a [Certificate],
    authorities: &[&'a Certificate],
) -> Vec<&'a Certificate> {
    let mut found: Vec<&Certificate> = Vec::new();
    let mut candidates: Vec<&Certificate> =
        above.iter().filter(|one| one.is_authority() && !authorities.contains(one)).collect();
    let leads_to = |from: &[&Certificate], to: &Certificate| {
        std::iter::once(&leaf).chain(from).any(|one| one.names_as_issuer(to))
    };
    while let Some(next) = candidates.iter().position(|one| leads_to(&found, one)) {
        let next = candidates.remove(next);
        if !found.contains(&next) {
            found.push(next);
        }
    }
    found
}

/// Whether a certificate may sign others; `Err` says why not.
pub(super) fn may_issue(certificate: &Certificate) -> Result<(), ChainError> {
    let issuer = || certificate.subject().to_owned();
    match certificate.authority() {
        Authority::Yes { .. } => Ok(()),
        Authority::No => Err(ChainError::NoAuthority { issuer: issuer() }),
        Authority::NotForCertificates => Err(ChainError::KeyUsage { issuer: issuer() }),
        Authority::CannotSay => {
            Err(ChainError::IssuerVersion { issuer: issuer(), version: certificate.version() })
        }
    }
}

/// Whether the signature on a certificate is of a kind that can be checked.
pub(super) fn signature_is_known(certificate: &Certificate) -> Result<(), ChainError> {
    certificate.unknown_signature().map_or(Ok(()), |oid| {
        let subject = certificate.subject().to_owned();
        Err(ChainError::SignatureAlgorithm { subject, oid: oid.to_owned() })
    })
}
