//! Certificate chains: which keys the certificates of a bundle vouch for (RFC 7515 §4.1.6).
//!
//! ```text
//! x5c ── leaf is in the bundle, byte for byte ──────────► its dates
//!     ── leaf is an ordinary v3 certificate ────────────► signatures from the root downwards (`checks`),
//!                                                          then webpki, any extended key usage
//!     ── leaf is itself an authority, or of version 1 ──► by hand (`by_hand`), as Go accepts them
//! ```
//!
//! A stranger's chain costs no more than a good one of its length: no key that nobody vouches for checks
//! anything, eight signatures are checked at most, and a refusal is remembered for a minute.
//!
//! A bundle certificate is an authority only if it says so (`CA:TRUE`); any other vouches for its own
//! key and for nobody else.

mod by_hand;
mod checks;
mod error;
mod explain;
mod refused;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{Context, SHA256};
use quick_cache::sync::Cache;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

pub use self::error::ChainError;
use self::{checks::Checks, explain::explain, refused::Refusals};
use crate::{Certificate, KeyError, KeySet, VerifyingKey, certificate::Authority, pem};

/// How many certificates an `x5c` header may carry.
pub const MAX_CERTIFICATES: usize = 5;

/// How many signatures of one chain are checked: five certificates, and a few roots of one name.
const MAX_SIGNATURES: usize = 8;

/// A signer's certificates, leaf first; from one to [`MAX_CERTIFICATES`].
#[derive(Debug, Clone)]
pub struct CertificateChain(Vec<Certificate>);

impl CertificateChain {
    /// Takes certificates, leaf first.
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, KeyError> {
        match certificates.len() {
            0 => Err(KeyError::NoCertificate),
            1..=MAX_CERTIFICATES => Ok(Self(certificates)),
            count => Err(KeyError::TooManyCertificates { count, limit: MAX_CERTIFICATES }),
        }
    }

    /// Reads all CERTIFICATE blocks of PEM text, leaf first.
    pub fn from_pem<P: AsRef<[u8]> + ?Sized>(pem: &P) -> Result<Self, KeyError> {
        Self::new(certificates_of(pem.as_ref())?)
    }

    /// The signer's own certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.0[0]
    }

    /// Leaf first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }
}

/// The certificates of a bundle (`rootcertbundle`): authorities, and single signers pinned byte for
/// byte.
pub struct TrustRoots {
    certificates: Vec<Certificate>,
    /// Chains that held, by SHA-256, until the first of their certificates runs out.
    vouched: Cache<[u8; 32], ValidatedKey>,
    /// Chains that did not.
    refused: Refusals,
}

/// A key for which a chain of certificates vouches.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidatedKey {
    /// The leaf's key.
    pub key: VerifyingKey,
    /// The last moment at which every certificate of the path holds.
    pub valid_until: SystemTime,
    valid_from: SystemTime,
}

impl TrustRoots {
    /// Vouches for nobody.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Trusts these certificates.
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self { certificates, vouched: Cache::new(CACHED_CHAINS), refused: Refusals::new() }
    }

    /// Reads every CERTIFICATE block of PEM text; other blocks, and text around them, are skipped
    /// (CF2).
    ///
    /// # Errors
    /// If there is none, or one cannot be read or holds a key that cannot verify tokens.
    pub fn from_pem<P: AsRef<[u8]> + ?Sized>(pem: &P) -> Result<Self, KeyError> {
        certificates_of(pem.as_ref()).map(Self::new)
    }

    /// All of them, in the order of the bundle.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The key of every certificate, for tokens that name it by id (JW13).
    pub fn keys(&self) -> KeySet {
        let mut keys = KeySet::new();
        for certificate in &self.certificates {
            keys.insert_certificate(certificate);
        }
        keys
    }

    /// Which key a chain of DER certificates, leaf first, vouches for at `now` (VO4).
    pub fn verify(&self, chain: &[Vec<u8>], now: SystemTime) -> Result<ValidatedKey, ChainError> {
        let hash = hash(chain);
        if let Some(vouched) = self.vouched.get(&hash)
            && (vouched.valid_from..=vouched.valid_until).contains(&now)
        {
            return Ok(vouched);
        }
        if let Some(why) = self.refused.get(&hash, now) {
            return Err(why);
        }
        let judged = self.judge(chain, now, &Checks::default());
        match &judged {
            Ok(vouched) => self.vouched.insert(hash, vouched.clone()),
            Err(why) => self.refused.insert(hash, why, now),
        }
        judged
    }

    fn judge(
        &self,
        chain: &[Vec<u8>],
        now: SystemTime,
        checks: &Checks,
    ) -> Result<ValidatedKey, ChainError> {
        let [leaf, above @ ..] = &*read_chain(chain)? else { return Err(ChainError::Empty) };
        if self.certificates.is_empty() {
            return Err(ChainError::NoBundle);
        }
        leaf.validity(now)?;
        let path = if self.certificates.contains(leaf) {
            vec![leaf]
        } else if leaf.version() == 3 && !leaf.claims_authority() {
            self.verify_by_webpki(leaf, above, now, checks)?
        } else {
            by_hand::verify(leaf, above, &self.certificates, now, checks)?
        };
        let dates =
            path.iter().map(|certificate| (certificate.not_before(), certificate.not_after()));
        let (valid_from, valid_until) = dates
            .reduce(|one, other| (one.0.max(other.0), one.1.min(other.1)))
            .unwrap_or((leaf.not_before(), leaf.not_after()));
        Ok(ValidatedKey { key: leaf.key().clone(), valid_until, valid_from })
    }

    /// The path from `leaf` to an authority of the bundle that webpki finds, which is given nothing but
    /// certificates for which the bundle vouches.
    ///
    /// Webpki looks at nobody's key usage, and at neither dates nor path length of the authority
    /// itself; Go looks at all three.
    fn verify_by_webpki<'a>(
        &'a self,
        leaf: &'a Certificate,
        above: &'a [Certificate],
        now: SystemTime,
        checks: &Checks,
    ) -> Result<Vec<&'a Certificate>, ChainError> {
        let explain = |error| explain(&error, leaf, above, &self.certificates, now, checks);
        let issuers: Vec<_> = self.certificates.iter().filter(|one| one.is_authority()).collect();
        let Some(vouched) = checks.vouched_for(leaf, above, &issuers)? else {
            return Err(explain(webpki::Error::UnknownIssuer));
        };
        let authorities: Vec<_> =
            issuers.into_iter().filter(|root| root.validity(now).is_ok()).collect();
        let anchors: Vec<TrustAnchor<'_>> = authorities
            .iter()
            .filter_map(|root| webpki::anchor_from_trusted_cert(root.as_pki()).ok())
            .collect();
        let intermediates: Vec<CertificateDer<'_>> =
            vouched.iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let end = EndEntityCert::try_from(leaf.as_pki()).map_err(explain)?;
        let long_enough = |path: &VerifiedPath<'_>| {
            let allowed = authorities.iter().any(|root| {
                is_anchor(root, path.anchor())
                    && allows(root, path.intermediate_certificates().count())
            });
            if allowed { Ok(()) } else { Err(webpki::Error::PathLenConstraintViolated) }
        };
        let path = end
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                &intermediates,
                UnixTime::since_unix_epoch(since_1970),
                AnyUsage,
                None,
                Some(&long_enough),
            )
            .map_err(explain)?;
        let used = |certificate: &&Certificate| {
            path.intermediate_certificates().any(|step| step.der().as_ref() == certificate.der())
        };
        let root = authorities.iter().copied().filter(|root| is_anchor(root, path.anchor()));
        let steps = vouched.into_iter().filter(used);
        Ok(std::iter::once(leaf).chain(steps).chain(root.take(1)).collect())
    }
}

impl Default for TrustRoots {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for TrustRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustRoots")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

/// Accepts every extended key usage, as Go's `ExtKeyUsageAny` does: certificates for signing tokens
/// are made for servers, for code, or for nothing in particular.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Whether an authority lets so many others stand between it and the leaf.
fn allows(authority: &Certificate, between: usize) -> bool {
    match authority.authority() {
        Authority::Yes { path_length: Some(limit) } => between as u64 <= u64::from(limit),
        Authority::Yes { path_length: None } => true,
        Authority::No | Authority::NotForCertificates | Authority::CannotSay => false,
    }
}

fn is_anchor(root: &Certificate, anchor: &TrustAnchor<'_>) -> bool {
    webpki::anchor_from_trusted_cert(root.as_pki()).is_ok_and(|candidate| candidate == *anchor)
}

fn read_chain(chain: &[Vec<u8>]) -> Result<Vec<Certificate>, ChainError> {
    if chain.len() > MAX_CERTIFICATES {
        return Err(ChainError::TooLong { count: chain.len() });
    }
    let read = |(index, der): (usize, &Vec<u8>)| {
        Certificate::from_der(der).map_err(|why| ChainError::Unusable { index, why })
    };
    chain.iter().enumerate().map(read).collect()
}

/// Whatever stands around the blocks is nobody's business, and need not be UTF-8: `openssl pkcs12` writes friendly names
/// as they are.
fn certificates_of(text: &[u8]) -> Result<Vec<Certificate>, KeyError> {
    let mut certificates = Vec::new();
    for der in pem::blocks::<CertificateDer<'_>>(text) {
        let position = certificates.len() + 1;
        let der = der?;
        let certificate = Certificate::from_der(&der);
        let at = |why| KeyError::CertificateAt { position, why: Box::new(why) };
        certificates.push(certificate.map_err(at)?);
    }
    if certificates.is_empty() { Err(KeyError::NoCertificate) } else { Ok(certificates) }
}

/// Hashes certificates with their lengths, so that no two chains run together.
fn hash(chain: &[Vec<u8>]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for der in chain {
        context.update(&(der.len() as u64).to_be_bytes());
        context.update(der);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

const CACHED_CHAINS: usize = 256;

#[cfg(test)]
mod tests;
