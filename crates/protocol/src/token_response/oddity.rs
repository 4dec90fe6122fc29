//! What is odd about a token service's answer, and who stumbles over it. The table was measured by
//! running the clients' own decoders; the tests compare it with that record.

use std::fmt;

use crate::challenge::KnownClient;

/// Something in an answer that is not as all clients want it. We take the token all the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenOddity {
    /// A byte order mark before the object.
    ByteOrderMark,
    /// The key stands twice; the last counts.
    DuplicateKey(String),
    /// One of the two tokens is there and empty.
    EmptyToken(&'static str),
    /// No `expires_in`: containerd then keeps the token for ever (T4).
    ExpiresInMissing,
    /// `expires_in` is not an integer literal: `"300"`, `300.0`.
    ExpiresInNotInteger,
    /// Under 60 seconds, which docker and podman take for 60.
    ExpiresInShort(u64),
    /// `issued_at` is not RFC 3339 as Go reads it (T5).
    IssuedAtUnreadable,
    /// A key in another case, as `Token`.
    KeyCase(String),
    /// Only `access_token`. The record's clients take it; small hand-written ones do not (T3).
    OnlyAccessToken,
    /// Only `token`, which no client reads from an answer to POST (T3).
    OnlyToken,
    /// `token` and `access_token` are not the same; podman takes the first, the others the second.
    TokensDiffer,
    /// Something stands after the object.
    TrailingText,
}

impl TokenOddity {
    /// A stable word for it.
    pub fn id(&self) -> &'static str {
        match self {
            Self::ByteOrderMark => "byte-order-mark",
            Self::DuplicateKey(_) => "duplicate-key",
            Self::EmptyToken(_) => "empty-token",
            Self::ExpiresInMissing => "expires-in-missing",
            Self::ExpiresInNotInteger => "expires-in-not-integer",
            Self::ExpiresInShort(_) => "expires-in-short",
            Self::IssuedAtUnreadable => "issued-at-unreadable",
            Self::KeyCase(_) => "key-case",
            Self::OnlyAccessToken => "only-access-token",
            Self::OnlyToken => "only-token",
            Self::TokensDiffer => "tokens-differ",
            Self::TrailingText => "trailing-text",
        }
    }

    /// The clients that take no token from such an answer, the wrong one, or for too long.
    pub fn breaks(&self) -> &'static [KnownClient] {
        use KnownClient::{Containerd, Crane, Docker, Oras, Podman, Regclient};
        match self {
            Self::ByteOrderMark => &KnownClient::ALL,
            Self::ExpiresInMissing | Self::ExpiresInShort(0) => &[Containerd],
            Self::ExpiresInNotInteger => &[Docker, Containerd, Podman, Crane, Regclient],
            Self::ExpiresInShort(_) => &[Docker, Podman, Regclient],
            Self::IssuedAtUnreadable => &[Docker, Containerd, Podman, Regclient],
            Self::OnlyToken => &[Docker, Containerd, Oras],
            Self::TokensDiffer => &[Podman],
            Self::TrailingText => &[Podman, Crane],
            Self::DuplicateKey(_)
            | Self::EmptyToken(_)
            | Self::KeyCase(_)
            | Self::OnlyAccessToken => &[],
        }
    }
}

impl fmt::Display for TokenOddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByteOrderMark => f.write_str("byte order mark before the object"),
            Self::DuplicateKey(key) => write!(f, "{key:?} twice"),
            Self::EmptyToken(key) => write!(f, "empty {key:?}"),
            Self::ExpiresInMissing => f.write_str("no \"expires_in\""),
            Self::ExpiresInNotInteger => f.write_str("\"expires_in\" is not an integer"),
            Self::ExpiresInShort(seconds) => {
                write!(f, "\"expires_in\" is {seconds} s, less than 60")
            }
            Self::IssuedAtUnreadable => f.write_str("\"issued_at\" is not RFC 3339"),
            Self::KeyCase(key) => write!(f, "{key:?} not in lower case"),
            Self::OnlyAccessToken => f.write_str("no \"token\" beside \"access_token\""),
            Self::OnlyToken => f.write_str("no \"access_token\" beside \"token\""),
            Self::TokensDiffer => f.write_str("\"token\" and \"access_token\" differ"),
            Self::TrailingText => f.write_str("text after the object"),
        }
    }
}
