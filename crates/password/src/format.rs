//! Stored password hashes: which are read, and what each one costs to check.

use crate::cost::Cost;

/// Which stored forms are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Formats {
    /// bcrypt and argon2id.
    #[default]
    Current,
    /// Those, and also what `htpasswd -m`, `-s`, `-2` and `-5` write: fast to guess, so only on request.
    Legacy,
}

/// A stored hash that has been understood. It never shows itself in `Debug`.
pub struct PasswordHash {}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Comparison {
    /// The password is the one that was hashed.
    Match,
    /// It is another one.
    Mismatch,
}

/// Why a stored hash is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// placeholder
    #[error("placeholder")]
    Unknown,
}

impl PasswordHash {
    /// Reads a stored hash.
    pub fn parse(_text: &str, _formats: Formats) -> Result<Self, FormatError> {
        todo!()
    }

    /// Hashes a new password with argon2id; `salt` comes from the caller's source of randomness.
    pub fn argon2id(_password: &[u8], _salt: [u8; 16]) -> Self {
        todo!()
    }

    /// Compares. Takes as long as [`cost`](Self::cost) says: call it from [`crate::HashPool`] only.
    pub fn verify(&self, _password: &[u8]) -> Comparison {
        todo!()
    }

    /// What one comparison costs.
    pub fn cost(&self) -> Cost {
        todo!()
    }

    /// The stored text, to be written to a database or file: not for logs.
    pub fn expose(&self) -> &str {
        todo!()
    }
}
