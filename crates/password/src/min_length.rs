//! How short a new password may be.

use secrecy::{ExposeSecret as _, SecretString};

/// How many characters a password has at least when it is set. At a login nobody asks: a password that was set before
/// stays good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinLength(usize);

impl MinLength {
    /// The most that can be asked for: as long as the password that the first start makes up.
    pub const MAX: usize = 29;

    /// So many characters; `None` for none at all, and for more than [`MinLength::MAX`].
    pub fn new(characters: usize) -> Option<Self> {
        (1..=Self::MAX).contains(&characters).then_some(Self(characters))
    }

    /// Refuses a password that is shorter.
    pub fn check(self, password: &SecretString) -> Result<(), TooShort> {
        if password.expose_secret().chars().count() < self.0 {
            return Err(TooShort { min_length: self.0 });
        }
        Ok(())
    }
}

impl Default for MinLength {
    /// Eight characters (NIST SP 800-63B §5.1.1.1).
    fn default() -> Self {
        Self(8)
    }
}

/// A password that may not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password has fewer than {min_length} characters")]
pub struct TooShort {
    /// What it would need.
    pub min_length: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let eight = MinLength::default();
        for (password, expected) in [
            ("", Err(TooShort { min_length: 8 })),
            ("1234567", Err(TooShort { min_length: 8 })),
            ("пароль7", Err(TooShort { min_length: 8 })),
            ("12345678", Ok(())),
            ("пароль78", Ok(())),
        ] {
            assert_eq!(eight.check(&password.into()), expected, "{password}");
        }
    }

    #[test]
    fn nobody_asks_for_nothing_or_for_more_than_the_first_password_has() {
        assert_eq!(MinLength::new(0), None);
        assert_eq!(MinLength::new(30), None);
        assert!(MinLength::new(1).is_some() && MinLength::new(29).is_some());
    }
}
