//! Why a server's certificate is not trusted.

/// Why a chain is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// It signed itself, and nobody was told to trust it.
    #[error("it is self-signed, and not trusted itself")]
    SelfSigned,
    /// It ends at an authority that nobody was told to trust.
    #[error("it was issued by an authority that is not trusted")]
    Unknown,
    /// The certificate of its issuer is missing, and could be fetched here.
    #[error("the server does not send the certificate of its issuer")]
    Incomplete(String),
    /// It is for other names.
    #[error("it is for other names")]
    NameMismatch,
    /// Its name is the common name alone (RFC 6125 §6.4.4).
    #[error("it has its name only as common name, not as subject alternative name")]
    CommonName,
    /// Its own time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not begun.
    #[error("it is not valid yet")]
    NotYetValid,
    /// The time of an authority above it is over, or has not begun.
    #[error("the authority {0} has expired or is not valid yet")]
    AuthorityOutOfValidity(String),
    /// What signed it may sign nothing.
    #[error("{0}, which signed it, may not sign certificates")]
    NotAnAuthority(String),
    /// It is an authority's own, in the place of a server's.
    #[error("it is an authority's certificate (CA:TRUE), not a server's")]
    Authority,
    /// Its extended key usage has no server in it.
    #[error("its extendedKeyUsage does not allow servers")]
    Purpose,
    /// Its key usage has nothing in it that a server does.
    #[error("its keyUsage does not allow servers")]
    KeyUsage,
    /// An extension that has to be understood, and is not.
    #[error("it has a critical extension that is not supported")]
    Extension,
    /// The key is too short.
    #[error("a key of {0} bits is too short")]
    KeyTooShort(usize),
    /// The signature's algorithm is too weak, or unknown.
    #[error("its signature algorithm is too weak or unknown")]
    Algorithm,
    /// The signature is not its issuer's.
    #[error("its signature was not made with its issuer's key")]
    Signature,
    /// An authority above it may not sign for this name.
    #[error("an authority above it must not sign for this name (nameConstraints)")]
    Constraint,
    /// An authority above it is bound to names, in a way that is not judged here.
    #[error(
        "this program cannot tell whether an authority above it may sign for this name (nameConstraints)"
    )]
    UnjudgedConstraint,
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable,
    /// Revoked, or nobody can say that it is not.
    #[error("it is revoked, or its revocation cannot be checked")]
    Revoked,
    /// What no other word is for.
    #[error("TLS refuses it")]
    Other,
}
