//! What the families of TLS libraries hold for right, where they differ from rustls and from each other.
//!
//! Go: `crypto/x509`, `Certificate.Verify`. OpenSSL: `X509_verify_cert` for a server at security level 2, without
//! partial chains, as Python has it up to 3.12. Each rule was seen with skopeo, docker, curl and Python.

/// What one family holds for right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) common_name: CommonName,
    pub(super) anchor: Anchor,
    pub(super) key_usage: KeyUsage,
    pub(super) any_purpose: AnyPurpose,
    pub(super) directory_name: DirectoryName,
    /// Bits of an RSA key.
    pub(super) shortest: usize,
}

/// What the common name is worth where there is no alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommonName {
    Counts,
    CountsForNothing,
}

/// What a way up may end at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Whatever was given.
    Any,
    /// What has signed itself; the rest of what was given are steps on the way.
    Root,
}

/// Whether a server's `keyUsage` is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUsage {
    Checked,
    Ignored,
}

/// Whether `anyExtendedKeyUsage` is a server's as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnyPurpose {
    Counts,
    CountsForNothing,
}

/// What it is worth that an authority is bound to directory names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DirectoryName {
    Counts,
    /// Refused where it is critical, and passed over where it is not.
    NotUnderstood,
}

pub(super) const GO: Rules = Rules {
    common_name: CommonName::CountsForNothing,
    anchor: Anchor::Any,
    key_usage: KeyUsage::Ignored,
    any_purpose: AnyPurpose::Counts,
    directory_name: DirectoryName::NotUnderstood,
    shortest: 1024,
};

pub(super) const OPEN_SSL: Rules = Rules {
    common_name: CommonName::Counts,
    anchor: Anchor::Root,
    key_usage: KeyUsage::Checked,
    any_purpose: AnyPurpose::CountsForNothing,
    directory_name: DirectoryName::Counts,
    shortest: VERIFIABLE,
};

/// No signature of a shorter RSA key is verified here (webpki).
pub(super) const VERIFIABLE: usize = 2048;
