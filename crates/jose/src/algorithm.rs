//! Signature algorithms, each bound to one kind of key (RFC 7518 §3.1, RFC 8037 §3.1).

use std::{fmt, str::FromStr};

/// A signature algorithm of a JWS header's `alg`.
///
/// There is no `none`: a token without a signature does not parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `EdDSA` with Ed25519, the only curve here; RFC 9864 calls it `Ed25519`.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// HMAC with SHA-256: a shared secret, so only where it is asked for by name.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
}

/// The kind of key that an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// An Edwards curve key, 32 bytes.
    Ed25519,
    /// A shared secret.
    Octets,
    /// An elliptic curve key on P-256.
    P256,
    /// An elliptic curve key on P-384.
    P384,
    /// An elliptic curve key on P-521.
    P521,
    /// An RSA key.
    Rsa,
}

impl Algorithm {
    /// Every algorithm there is, in the order of the names.
    pub const ALL: [Self; 13] = [
        Self::EdDsa,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
    ];

    /// As it stands in `alg`; case counts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    /// The kind of key that it needs.
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::EdDsa => KeyType::Ed25519,
            Self::Es256 => KeyType::P256,
            Self::Es384 => KeyType::P384,
            Self::Es512 => KeyType::P521,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => KeyType::Octets,
            Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::Rs256 | Self::Rs384 | Self::Rs512 => {
                KeyType::Rsa
            }
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let known = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        // RFC 9864: the same algorithm by a name that says the curve.
        let known = known.or((name == "Ed25519").then_some(Self::EdDsa));
        known.ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

/// A name that is none of [`Algorithm::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown signature algorithm {0:?}; supported are {all}", all = Algorithms::ALL)]
pub struct UnknownAlgorithm(pub String);

impl KeyType {
    /// The algorithm that a key of this kind signs with unless another is chosen.
    pub const fn default_algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDsa,
            Self::Octets => Algorithm::Hs256,
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
            Self::Rsa => Algorithm::Rs256,
        }
    }

    /// Every algorithm that works with such a key.
    pub fn algorithms(self) -> Algorithms {
        Algorithm::ALL.into_iter().filter(|algorithm| algorithm.key_type() == self).collect()
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "an Ed25519 key",
            Self::Octets => "a shared secret",
            Self::P256 => "a P-256 key",
            Self::P384 => "a P-384 key",
            Self::P521 => "a P-521 key",
            Self::Rsa => "an RSA key",
        })
    }
}

/// A set of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithms(u16);

impl Algorithms {
    /// All of them, shared secrets too.
    pub const ALL: Self = Self((1 << Algorithm::ALL.len()) - 1);
    /// `EdDSA`, ES*, PS* and RS*: what a verifier of public keys allows unless told otherwise.
    pub const PUBLIC_KEY: Self = Self(
        Self::ALL.0 & !(Algorithm::Hs256.bit() | Algorithm::Hs384.bit() | Algorithm::Hs512.bit()),
    );

    /// No algorithm.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Whether it is one of them.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What both hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// In the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |bits, algorithm| bits | algorithm.bit()))
    }
}

impl From<Algorithm> for Algorithms {
    fn from(algorithm: Algorithm) -> Self {
        Self(algorithm.bit())
    }
}

impl fmt::Display for Algorithms {
    /// `ES256, ES384`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, algorithm) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{algorithm}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_nothing_else_does() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        // JW9
        for name in ["none", "es256", "RS1", "ES256K", ""] {
            assert_eq!(name.parse::<Algorithm>(), Err(UnknownAlgorithm(name.to_owned())));
        }
    }

    #[test]
    fn shared_secrets_are_not_among_the_usual_algorithms() {
        assert_eq!(
            Algorithms::PUBLIC_KEY.to_string(),
            "EdDSA, ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512"
        );
        assert_eq!(Algorithms::ALL.iter().count(), 13);
    }

    #[test]
    fn an_algorithm_works_with_one_kind_of_key() {
        assert_eq!(KeyType::P256.algorithms(), Algorithm::Es256.into());
        assert_eq!(KeyType::Rsa.algorithms().iter().count(), 6);
        assert!(!KeyType::Rsa.algorithms().contains(Algorithm::Hs256));
        for algorithm in Algorithm::ALL {
            assert!(algorithm.key_type().algorithms().contains(algorithm));
            assert!(
                algorithm
                    .key_type()
                    .algorithms()
                    .contains(algorithm.key_type().default_algorithm())
            );
        }
    }
}
