//! Content digests (OCI image specification, "Digests") and a hasher whose state can be kept.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use sha2::digest::{Digest as _, common::hazmat::SerializableState};

use crate::printable::excerpt;

/// The digest algorithms that this registry stores content under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DigestAlgorithm {
    /// `sha256`, the default everywhere.
    #[default]
    Sha256,
    /// `sha512`
    Sha512,
}

impl DigestAlgorithm {
    /// As it stands before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

impl FromStr for DigestAlgorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            other => Err(DigestError::Unsupported { algorithm: excerpt(other) }),
        }
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The digest of some content: an algorithm and its result, never a mere text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Digest {
    /// `sha256:` and 64 hex digits.
    Sha256([u8; 32]),
    /// `sha512:` and 128 hex digits.
    Sha512([u8; 64]),
}

impl Digest {
    /// The digest of `content`, all at once.
    pub fn of(algorithm: DigestAlgorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// The SHA-256 digest of `content`.
    pub fn sha256(content: &[u8]) -> Self {
        Self::of(DigestAlgorithm::Sha256, content)
    }

    /// What it was computed with.
    pub fn algorithm(&self) -> DigestAlgorithm {
        match self {
            Self::Sha256(_) => DigestAlgorithm::Sha256,
            Self::Sha512(_) => DigestAlgorithm::Sha512,
        }
    }

    /// The bytes behind the colon: 32 or 64.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// The lower-case hex digits behind the colon.
    pub fn hex(&self) -> String {
        hex(self.as_bytes())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Malformed { digest: excerpt(text) };
        let (algorithm, encoded) = text.split_once(':').ok_or_else(malformed)?;
        if algorithm.is_empty() || encoded.is_empty() {
            return Err(malformed());
        }
        match algorithm.parse()? {
            DigestAlgorithm::Sha256 => unhex(encoded).map(Self::Sha256),
            DigestAlgorithm::Sha512 => unhex(encoded).map(Self::Sha512),
        }
        .ok_or_else(malformed)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// Wrong length, upper case, or no hex digits.
    #[error(
        "{digest:?} is not a digest; a digest is `sha256:` and 64 lower-case hex digits, or `sha512:` and 128"
    )]
    Malformed {
        /// The text, shortened.
        digest: String,
    },
    /// An algorithm that is not computed here.
    #[error("digest algorithm {algorithm:?} is not supported; `sha256` and `sha512` are")]
    Unsupported {
        /// The text before the colon, shortened.
        algorithm: String,
    },
}

/// Computes a [`Digest`] piece by piece.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self(match algorithm {
            DigestAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            DigestAlgorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// What the result will be made with.
    pub fn algorithm(&self) -> DigestAlgorithm {
        match self.0 {
            State::Sha256(_) => DigestAlgorithm::Sha256,
            State::Sha512(_) => DigestAlgorithm::Sha512,
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was taken.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            State::Sha512(hasher) => Digest::Sha512(hasher.finalize().into()),
        }
    }

    /// What [`Hasher::restore`] goes on from: so that an upload can be continued by another process.
    pub fn state(&self) -> HashState {
        let bytes = match &self.0 {
            State::Sha256(hasher) => hasher.serialize().to_vec(),
            State::Sha512(hasher) => hasher.serialize().to_vec(),
        };
        HashState { algorithm: self.algorithm(), bytes }
    }

    /// Goes on where [`Hasher::state`] was taken.
    ///
    /// # Errors
    /// When the state was not made by [`Hasher::state`].
    pub fn restore(state: &HashState) -> Result<Self, HashStateError> {
        let bytes = state.bytes.as_slice();
        let restored = match state.algorithm {
            DigestAlgorithm::Sha256 => bytes
                .try_into()
                .ok()
                .and_then(|bytes| sha2::Sha256::deserialize(bytes).ok())
                .map(State::Sha256),
            DigestAlgorithm::Sha512 => bytes
                .try_into()
                .ok()
                .and_then(|bytes| sha2::Sha512::deserialize(bytes).ok())
                .map(State::Sha512),
        };
        restored.map(Self).ok_or(HashStateError)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm())
    }
}

/// The inner state of a [`Hasher`]: 104 bytes for SHA-256, 208 for SHA-512, written as
/// `sha256:hex…`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashState {
    algorithm: DigestAlgorithm,
    bytes: Vec<u8>,
}

impl HashState {
    /// What the hasher computes.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }
}

impl TryFrom<String> for HashState {
    type Error = HashStateError;

    fn try_from(text: String) -> Result<Self, HashStateError> {
        let (algorithm, encoded) = text.split_once(':').ok_or(HashStateError)?;
        let algorithm = algorithm.parse().map_err(|_| HashStateError)?;
        let bytes = unhex_vec(encoded).ok_or(HashStateError)?;
        let state = Self { algorithm, bytes };
        Hasher::restore(&state).map(|_| state)
    }
}

impl From<HashState> for String {
    fn from(state: HashState) -> Self {
        format!("{}:{}", state.algorithm, hex(&state.bytes))
    }
}

impl fmt::Debug for HashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashState({})", self.algorithm)
    }
}

/// A saved state that no hasher of ours wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the saved state of a hasher is damaged")]
pub struct HashStateError;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    unhex_vec(text)?.try_into().ok()
}

fn unhex_vec(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// FIPS 180-4 examples of the empty message and of `abc`.
    #[test]
    fn known_answers() {
        assert_eq!(
            Digest::sha256(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Digest::of(DigestAlgorithm::Sha512, b"abc").to_string(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for text in [
            String::new(),
            hex.into(),
            "sha256:".into(),
            format!(":{hex}"),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("SHA256:{hex}"),
            format!("sha512:{hex}"),
            format!("md5:{hex}"),
            format!("sha256:{}é", &hex[2..]),
            format!("sha256:../{}", &hex[3..]),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text:?} must be refused");
        }
        assert!(matches!(
            format!("blake3:{hex}").parse::<Digest>(),
            Err(DigestError::Unsupported { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_hasher_goes_on_from_its_state(
            first in proptest::collection::vec(any::<u8>(), 0..400),
            second in proptest::collection::vec(any::<u8>(), 0..400),
            sha512: bool,
        ) {
            let algorithm = if sha512 { DigestAlgorithm::Sha512 } else { DigestAlgorithm::Sha256 };
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&first);
            let kept = serde_json::to_string(&hasher.state()).unwrap();
            let state: HashState = serde_json::from_str(&kept).unwrap();
            let mut restored = Hasher::restore(&state).unwrap();
            restored.update(&second);
            prop_assert_eq!(restored.finish(), Digest::of(algorithm, &[first, second].concat()));
        }

        #[test]
        fn digests_round_trip(bytes: [u8; 32]) {
            let digest = Digest::Sha256(bytes);
            prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,200}") {
            let _ = text.parse::<Digest>();
            let _ = HashState::try_from(text);
        }
    }
}
