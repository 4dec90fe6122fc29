//! Why a JWS is not believed.

use std::fmt;

use super::MAX_TOKEN;
use crate::{
    Algorithm, Algorithms, IdForm, KeyError, KeyId,
    excerpt::Excerpt,
    json::JsonError,
    jwk::ChainEncoding,
    set::Names,
    x5c::{ChainError, MAX_CERTIFICATES},
};

/// A part of a compact JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Payload,
    /// The third.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why text is not a compact JWS that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// `alg` names an algorithm that we do not know, or `none` (JW9).
    #[error("the token's header names the signature algorithm {name}, which is not supported")]
    Algorithm {
        /// What it says.
        name: Excerpt,
    },
    /// `x5c` is not a list of base64 DER.
    #[error("the token's header is broken: {0}")]
    Chain(#[from] ChainEncoding),
    /// `crit` is present: nothing is understood that would have to be (JW10).
    #[error("the token's header has `crit`, but no critical extension is supported")]
    Critical,
    /// `jwk` is no key.
    #[error("the token's header is broken: its `jwk` is {0}")]
    EmbeddedKey(KeyError),
    /// A part is not base64url without padding (JW8).
    #[error("the token's {part} is not base64url without padding{hint}")]
    Encoding {
        /// Which part.
        part: Part,
        /// What it may be instead.
        hint: &'static str,
    },
    /// A part is not one JSON object that says each thing once.
    #[error("the token's {part} is not a JSON object as expected: {why}")]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        why: JsonError,
    },
    /// A member of the header is of another type.
    #[error("the token's header is broken: `{name}` is {found}, expected {expected}")]
    Member {
        /// Which member.
        name: &'static str,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// There is no `alg`.
    #[error("the token's header is broken: `alg` is missing")]
    NoAlgorithm,
    /// There are not three parts.
    #[error("token has {found} {parts}, expected 3: {hint}", parts = plural(*found), hint = parts_hint(*found))]
    Parts {
        /// How many there are.
        found: usize,
    },
    /// The key would have to be fetched from somewhere.
    #[error(
        "the token's header has `{name}`, but the registry never fetches keys from a URL in a token"
    )]
    RemoteKey {
        /// `jku` or `x5u`.
        name: &'static str,
    },
    /// The embedded `jwk` is not a public key.
    #[error("the token's header contains a secret: its `jwk` is a private or symmetric key")]
    SecretInHeader,
    /// Longer than [`MAX_TOKEN`].
    #[error("token has {length} bytes; the limit is {MAX_TOKEN}")]
    TooLong {
        /// How long it is.
        length: usize,
    },
    /// `x5c` has too many entries.
    #[error("the token's `x5c` has {count} certificates; the limit is {MAX_CERTIFICATES}")]
    TooManyCertificates {
        /// How many there are.
        count: usize,
    },
    /// `typ` says that it is something else (JW1).
    #[error("the token's header says that its type is {stated}, not \"JWT\"")]
    Type {
        /// What it says.
        stated: Excerpt,
    },
}

impl Malformed {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Algorithm { .. } | Self::NoAlgorithm => "token-algorithm-unknown",
            Self::Chain(_) | Self::TooManyCertificates { .. } => "token-chain-malformed",
            Self::Critical => "token-critical-header",
            Self::EmbeddedKey(_) | Self::SecretInHeader => "token-embedded-key-malformed",
            Self::Encoding { .. } => "token-not-base64url",
            Self::Json { .. } | Self::Member { .. } => "token-header-malformed",
            Self::Parts { .. } => "token-not-a-jwt",
            Self::RemoteKey { .. } => "token-remote-key",
            Self::TooLong { .. } => "token-too-long",
            Self::Type { .. } => "token-type-unknown",
        }
    }

    pub(super) fn encoding(part: Part, text: &str) -> Self {
        let hint = if text.contains('=') {
            ": it is padded with `=`"
        } else if text.contains(['+', '/']) {
            ": it looks like plain base64"
        } else {
            ""
        };
        Self::Encoding { part, hint }
    }
}

/// Why a well-formed JWS is not signed by a key that we trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// The key works with other algorithms.
    #[error("the token says {algorithm}, but its key is {key}")]
    AlgorithmMismatch {
        /// What the header says.
        algorithm: Algorithm,
        /// What the key is.
        key: String,
    },
    /// The algorithm is not on the list.
    #[error("the token's algorithm {algorithm} is not allowed; allowed are {allowed}")]
    AlgorithmNotAllowed {
        /// What the header says.
        algorithm: Algorithm,
        /// What is allowed.
        allowed: Algorithms,
    },
    /// The certificates vouch for nobody.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The embedded `jwk` is another key than the one its own certificates vouch for.
    #[error("the token's `jwk` is not the key in its own `x5c`")]
    EmbeddedKeyDiffers,
    /// The embedded `jwk` does not say which trusted key it is.
    #[error("the token's `jwk` has neither `kid` nor `x5c`, so it points to no trusted key")]
    EmbeddedKeyWithoutId,
    /// Nothing says which key it is.
    #[error("the token names no key: its header has no `kid`, `x5c` or `jwk`")]
    NoKeyNamed,
    /// The trusted key did not make the signature.
    #[error("the token's {algorithm} signature was not made with the trusted key {key_id:?}", key_id = key_id.as_str())]
    Signature {
        /// What the header says.
        algorithm: Algorithm,
        /// The key that it was checked with.
        key_id: KeyId,
    },
    /// No trusted key has that name.
    #[error("key id {id} is {form} of no trusted key; the bundle has {known}")]
    UnknownKey {
        /// What the header says.
        id: Excerpt,
        /// What it looks like.
        form: IdForm,
        /// What it could have been.
        known: Names,
    },
}

impl Invalid {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::AlgorithmMismatch { .. } => "token-algorithm-mismatch",
            Self::AlgorithmNotAllowed { .. } => "token-algorithm-not-allowed",
            Self::Chain(why) => why.id(),
            Self::EmbeddedKeyDiffers | Self::EmbeddedKeyWithoutId => "token-embedded-key-untrusted",
            Self::NoKeyNamed => "token-names-no-key",
            Self::Signature { .. } => "token-signature-wrong",
            Self::UnknownKey { .. } => "token-key-unknown",
        }
    }
}

impl fmt::Display for IdForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Libtrust => "a libtrust fingerprint",
            Self::Other => "the name",
            Self::Rfc7638 => "an RFC 7638 thumbprint",
        })
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "part" } else { "parts" }
}

fn parts_hint(count: usize) -> &'static str {
    if count == 5 { "it is encrypted (JWE)" } else { "it is not a JWT" }
}
