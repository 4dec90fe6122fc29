//! Stored password hashes: which are read, how a password is compared with one, what that costs.

mod argon2id;
mod bcrypt;
mod legacy;
mod spend;

use std::fmt;

use self::{
    argon2id::Argon2id,
    bcrypt::Bcrypt,
    legacy::{Apr1, ShaCrypt, ShaOnce},
};
use crate::cost::{Cost, MAX_ARGON2_MEMORY, MAX_ARGON2_WORK};

pub use self::bcrypt::MAX_BCRYPT_COST;
pub(crate) use self::spend::top_up;

/// Which stored forms are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Formats {
    /// bcrypt and argon2id.
    #[default]
    Current,
    /// Those, and also what `htpasswd -m`, `-s`, `-2` and `-5` write: quick to guess, so only on
    /// request.
    Legacy,
}

/// A stored hash that has been understood. Neither it nor a salt shows in `Debug`.
#[derive(Clone)]
pub struct PasswordHash {
    text: Box<str>,
    scheme: Scheme,
}

#[derive(Clone)]
enum Scheme {
    Apr1(Apr1),
    Argon2id(Argon2id),
    Bcrypt(Bcrypt),
    ShaCrypt(ShaCrypt),
    ShaOnce(ShaOnce),
}

impl PasswordHash {
    /// Reads a stored hash.
    ///
    /// bcrypt is read as distribution reads it (HT5): any of the version letters, text after the
    /// sixtieth character ignored. What would hold a core for longer than a second is refused, so
    /// that nobody who can write the file can stall the pool.
    pub fn parse(text: &str, formats: Formats) -> Result<Self, FormatError> {
        let scheme = match Kind::of(text) {
            Kind::Argon2id(rest) => Scheme::Argon2id(Argon2id::parse(rest)?),
            Kind::Bcrypt(rest) => Scheme::Bcrypt(Bcrypt::parse(rest)?),
            Kind::DoubledDollars => return Err(FormatError::DoubledDollars),
            Kind::Legacy(kind) if formats == Formats::Legacy => kind.parse(text)?,
            Kind::Legacy(kind) => {
                return Err(FormatError::LegacyNotAllowed { format: kind.name() });
            }
            Kind::Never(format) => return Err(FormatError::NeverAccepted { format }),
        };
        Ok(Self { text: text.into(), scheme })
    }

    /// Hashes a new password with argon2id (19 MiB, two passes); `salt` comes from the caller's
    /// source of randomness. Takes some 15 ms: see [`crate::HashPool::hash`].
    pub fn argon2id(password: &[u8], salt: [u8; 16]) -> Self {
        let hash = Argon2id::new(password, salt);
        Self { text: hash.to_string().into(), scheme: Scheme::Argon2id(hash) }
    }

    /// Compares. Takes as long as [`cost`](Self::cost) says: the pool's threads call it.
    pub fn verify(&self, password: &[u8]) -> Comparison {
        let equal = match &self.scheme {
            Scheme::Apr1(hash) => hash.matches(password),
            Scheme::Argon2id(hash) => hash.matches(password),
            Scheme::Bcrypt(hash) => hash.matches(password),
            Scheme::ShaCrypt(hash) => hash.matches(password),
            Scheme::ShaOnce(hash) => hash.matches(password),
        };
        if equal { Comparison::Match } else { Comparison::Mismatch }
    }

    /// What one comparison costs.
    pub fn cost(&self) -> Cost {
        match &self.scheme {
            Scheme::Apr1(_) => Cost::Apr1,
            Scheme::Argon2id(hash) => Cost::Argon2id(hash.work()),
            Scheme::Bcrypt(hash) => Cost::Bcrypt(hash.cost()),
            Scheme::ShaCrypt(hash) => hash.cost(),
            Scheme::ShaOnce(_) => Cost::Nothing,
        }
    }

    /// Whether new passwords are hashed with another scheme, or with more.
    pub fn is_outdated(&self) -> bool {
        match &self.scheme {
            Scheme::Argon2id(hash) => hash.work().is_below_default(),
            Scheme::Apr1(_) | Scheme::Bcrypt(_) | Scheme::ShaCrypt(_) | Scheme::ShaOnce(_) => true,
        }
    }

    /// The stored text, for a database or a file: never for a log.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("cost", &self.cost()).finish_non_exhaustive()
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Comparison {
    /// The password is the one that was hashed.
    Match,
    /// It is another one.
    Mismatch,
}

/// Why a stored hash is not used. Says nothing of the hash's own text: it may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// An argon2id hash that would take too long or too much memory.
    #[error(
        "argon2id with m={memory}, t={passes} is above what is accepted here: m={MAX_ARGON2_MEMORY} KiB, and m times t {MAX_ARGON2_WORK} KiB"
    )]
    Argon2TooCostly {
        /// In KiB.
        memory: u32,
        /// How often the memory is filled.
        passes: u32,
    },
    /// A bcrypt cost outside of what bcrypt knows.
    #[error("bcrypt cost {cost} is not between 4 and 31")]
    BcryptCost {
        /// As written.
        cost: u8,
    },
    /// A bcrypt cost that would hold a core for seconds.
    #[error(
        "bcrypt cost {cost} is above {MAX_BCRYPT_COST}, the highest accepted here: one check would take seconds; use `htpasswd -B -C 10`"
    )]
    BcryptTooCostly {
        /// As written.
        cost: u8,
    },
    /// A bcrypt hash that went through a place where `$$` stands for `$`.
    #[error("every `$` of the hash is doubled, as compose files need it: write single ones here")]
    DoubledDollars,
    /// A legacy form, and nobody asked for those.
    #[error(
        "{format} is quick to guess, and works only with `legacy_hashes: true`; make a new hash with `htpasswd -B`"
    )]
    LegacyNotAllowed {
        /// What it is.
        format: &'static str,
    },
    /// It begins like a known form, but is none.
    #[error("{format} hash is malformed: {reason}; make a new one with `htpasswd -B`")]
    Malformed {
        /// What it begins like.
        format: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A form that is not accepted in any configuration.
    #[error("{format} is never accepted; make a hash with `htpasswd -B`")]
    NeverAccepted {
        /// What it looks like.
        format: &'static str,
    },
    /// sha-crypt with too few or too many rounds.
    #[error(
        "sha-crypt with {rounds} rounds is not between {} and {}",
        legacy::MIN_ROUNDS,
        legacy::MAX_ROUNDS
    )]
    ShaCryptRounds {
        /// As written.
        rounds: u32,
    },
}

/// What a stored text begins like; the rest of it follows the prefix.
enum Kind<'a> {
    Argon2id(&'a str),
    Bcrypt(&'a str),
    DoubledDollars,
    Legacy(LegacyKind),
    Never(&'static str),
}

#[derive(Clone, Copy)]
enum LegacyKind {
    Apr1,
    Sha256Crypt,
    Sha512Crypt,
    ShaOnce,
}

impl<'a> Kind<'a> {
    fn of(text: &'a str) -> Self {
        if let Some(rest) = text.strip_prefix("$2") {
            return Self::Bcrypt(rest);
        }
        if let Some(rest) = text.strip_prefix("$argon2id$") {
            return Self::Argon2id(rest);
        }
        for kind in LegacyKind::ALL {
            if text.starts_with(kind.prefix()) {
                return Self::Legacy(kind);
            }
        }
        if text.starts_with("$$2") {
            return Self::DoubledDollars;
        }
        Self::Never(match text {
            "" => "an empty hash",
            _ if text.starts_with("$argon2") => "argon2 other than argon2id",
            _ if text.starts_with("$1$") => "MD5 crypt",
            _ if looks_like_des(text) => "what looks like DES crypt or plain text",
            _ => "what is neither bcrypt nor argon2id",
        })
    }
}

impl LegacyKind {
    const ALL: [Self; 4] = [Self::Apr1, Self::Sha256Crypt, Self::Sha512Crypt, Self::ShaOnce];

    fn prefix(self) -> &'static str {
        match self {
            Self::Apr1 => "$apr1$",
            Self::Sha256Crypt => "$5$",
            Self::Sha512Crypt => "$6$",
            Self::ShaOnce => "{SHA}",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Apr1 => "apr1 (MD5)",
            Self::Sha256Crypt => "sha-crypt (SHA-256)",
            Self::Sha512Crypt => "sha-crypt (SHA-512)",
            Self::ShaOnce => "{SHA} (unsalted SHA-1)",
        }
    }

    fn parse(self, text: &str) -> Result<Scheme, FormatError> {
        let rest = &text[self.prefix().len()..];
        Ok(match self {
            Self::Apr1 => Scheme::Apr1(Apr1::parse(rest)?),
            Self::Sha256Crypt | Self::Sha512Crypt => Scheme::ShaCrypt(ShaCrypt::parse(text)?),
            Self::ShaOnce => Scheme::ShaOnce(ShaOnce::parse(rest)?),
        })
    }
}

fn looks_like_des(text: &str) -> bool {
    text.len() == 13 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
}

#[cfg(test)]
mod tests;
