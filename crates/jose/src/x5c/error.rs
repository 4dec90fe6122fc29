//! Why a chain vouches for nobody.

use super::MAX_SIGNATURES;
use crate::{Certificate, KeyError, certificate::OutOfDate};

/// Why the certificates of a token's `x5c` vouch for nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The issuer named by a certificate has another key than the one that signed it.
    #[error(
        "the certificate of {subject:?} names {issuer:?} as its issuer, but was signed with another key"
    )]
    BadSignature {
        /// Whose certificate it is.
        subject: String,
        /// Who should have signed it.
        issuer: String,
    },
    /// There are no certificates.
    #[error("the chain has no certificates")]
    Empty,
    /// The issuer is of a version that cannot say whether it is an authority.
    #[error(
        "the issuer {issuer:?} has an X.509 certificate of version {version}, which cannot be an authority; reissue it with `CA:TRUE`"
    )]
    IssuerVersion {
        /// Who issued.
        issuer: String,
        /// 1 or 2.
        version: u32,
    },
    /// The issuer may sign other things than certificates.
    #[error("the issuer {issuer:?} may not sign certificates: its key usage lacks keyCertSign")]
    KeyUsage {
        /// Who issued.
        issuer: String,
    },
    /// The issuer bounds names, which is not checked below an unusual leaf.
    #[error(
        "the issuer {issuer:?} has name constraints, which this kind of leaf certificate cannot satisfy"
    )]
    NameConstraints {
        /// Who issued.
        issuer: String,
    },
    /// The issuer is in the bundle or the chain, but is no authority.
    #[error(
        "the issuer {issuer:?} is not an authority (CA:FALSE); only its own key can be trusted"
    )]
    NoAuthority {
        /// Who issued.
        issuer: String,
    },
    /// Only a JWK set is trusted (VO5).
    #[error("the token contains certificates, but the registry trusts none")]
    NoBundle,
    /// A certificate of the path is out of date.
    #[error(transparent)]
    OutOfDate(#[from] OutOfDate),
    /// More authorities than an issuer allows.
    #[error("the issuer {issuer:?} allows fewer authorities below it than the chain has")]
    PathLength {
        /// Who issued.
        issuer: String,
    },
    /// A signature of a kind that is not checked.
    #[error(
        "the certificate of {subject:?} is signed with an algorithm that is not accepted ({oid}); reissue it with SHA-256"
    )]
    SignatureAlgorithm {
        /// Whose certificate it is.
        subject: String,
        /// The algorithm.
        oid: String,
    },
    /// More than [`super::MAX_CERTIFICATES`].
    #[error("the chain has {count} certificates; the limit is {limit}", limit = super::MAX_CERTIFICATES)]
    TooLong {
        /// How many there are.
        count: usize,
    },
    /// A critical extension that is not understood.
    #[error(
        "the certificate of {subject:?} has the critical extension {oid}, which is not supported"
    )]
    UnknownExtension {
        /// Whose certificate it is.
        subject: String,
        /// The extension.
        oid: String,
    },
    /// Nobody in the bundle bears the issuer's name.
    #[error(
        "the certificate of {subject:?} was issued by {issuer:?}, which is not in the bundle; the bundle has {bundle}"
    )]
    UnknownIssuer {
        /// Whose certificate it is.
        subject: String,
        /// Who issued it.
        issuer: String,
        /// Who is trusted.
        bundle: String,
    },
    /// To follow it takes more work than it is worth.
    #[error(
        "the chain needs more than {MAX_SIGNATURES} signature checks; send the certificates between the leaf and its root, each once, and keep one certificate of each name in the bundle"
    )]
    TooManySignatures,
    /// A certificate of the chain cannot be used at all.
    #[error("certificate {index} of the chain: {why}")]
    Unusable {
        /// Counted from zero.
        index: usize,
        /// What is wrong with it.
        why: KeyError,
    },
    /// Anything else that webpki finds.
    #[error("the certificate of {subject:?} cannot be verified: {why}")]
    Webpki {
        /// Whose certificate it is.
        subject: String,
        /// In webpki's words.
        why: webpki::Error,
    },
}

impl ChainError {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::BadSignature { .. } => "chain-signature-wrong",
            Self::Empty | Self::Unusable { .. } => "chain-unreadable",
            Self::IssuerVersion { .. }
            | Self::KeyUsage { .. }
            | Self::NameConstraints { .. }
            | Self::NoAuthority { .. }
            | Self::PathLength { .. }
            | Self::SignatureAlgorithm { .. }
            | Self::TooManySignatures
            | Self::UnknownExtension { .. }
            | Self::Webpki { .. } => "chain-not-allowed",
            Self::NoBundle => "chain-without-bundle",
            Self::OutOfDate(OutOfDate::Expired { .. }) => "chain-expired",
            Self::OutOfDate(OutOfDate::NotYetValid { .. }) => "chain-not-yet-valid",
            Self::TooLong { .. } => "chain-too-long",
            Self::UnknownIssuer { .. } => "chain-issuer-unknown",
        }
    }

    /// The reason that says more: finding nobody is only said when nothing else went wrong.
    pub(super) fn or(self, other: Self) -> Self {
        if matches!(self, Self::UnknownIssuer { .. }) { other } else { self }
    }

    pub(super) fn unknown_issuer(certificate: &Certificate, bundle: &[Certificate]) -> Self {
        let names: Vec<_> =
            bundle.iter().take(SHOWN).map(|root| format!("{:?}", root.subject())).collect();
        let more = match bundle.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Self::UnknownIssuer {
            subject: certificate.subject().to_owned(),
            issuer: certificate.issuer().to_owned(),
            bundle: format!("{}{more}", names.join(", ")),
        }
    }
}

const SHOWN: usize = 4;
