//! The text of a refresh token.

use std::str::FromStr;

use portpass_protocol::secret::SecretForm;
use portpass_state::TokenHash;
use portpass_token::Random;
use secrecy::{ExposeSecret, SecretString};

use crate::secret::{generate, hash, hash_of_whole};

/// A refresh token.
#[derive(Debug, Clone)]
pub struct RefreshSecret {
    text: SecretString,
    hash: TokenHash,
}

impl RefreshSecret {
    /// Draws a new one.
    pub fn generate(random: &dyn Random) -> Self {
        let text = generate(SecretForm::RefreshToken, random);
        let hash = hash(text.expose_secret());
        Self { text, hash }
    }

    /// For the client alone.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        self.hash
    }
}

impl FromStr for RefreshSecret {
    type Err = MalformedSecret;

    fn from_str(text: &str) -> Result<Self, MalformedSecret> {
        if !text.starts_with(PREFIX) {
            return Err(MalformedSecret::Unrecognized);
        }
        let hash = hash_of_whole(SecretForm::RefreshToken, text).ok_or(MalformedSecret::Damaged)?;
        Ok(Self { text: SecretString::from(text), hash })
    }
}

/// A text that is no refresh token of ours. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedSecret {
    /// Cut off or mistyped.
    #[error("the refresh token is damaged: it was cut off or changed on its way")]
    Damaged,
    /// Of another server, or something else.
    #[error("the refresh token is not from this server: it does not begin with `{PREFIX}`")]
    Unrecognized,
}

const PREFIX: &str = SecretForm::RefreshToken.prefix();

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn a_secret_is_a_prefix_256_bits_and_a_checksum() {
        let secret = RefreshSecret::generate(&Fixed(0xab));
        let text = secret.expose();
        assert_eq!(text.len(), 4 + 64 + 8);
        assert!(text.starts_with(&format!("ppr_{}", "ab".repeat(32))));
        assert_eq!(text.parse::<RefreshSecret>().unwrap().hash(), secret.hash());
        assert!(!format!("{secret:?}").contains("abab"));
    }

    #[test]
    fn secrets_differ_by_what_was_drawn() {
        assert_ne!(
            RefreshSecret::generate(&Fixed(1)).hash(),
            RefreshSecret::generate(&Fixed(2)).hash()
        );
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        let secret = RefreshSecret::generate(&Fixed(7)).expose().to_owned();
        for (text, error) in [
            ("", MalformedSecret::Unrecognized),
            ("eyJhbGciOi", MalformedSecret::Unrecognized),
            (&secret[..40], MalformedSecret::Damaged),
            (&secret.to_uppercase(), MalformedSecret::Unrecognized),
            (&secret.to_uppercase().replace("PPR", "ppr"), MalformedSecret::Damaged),
            (&format!("{secret}0"), MalformedSecret::Damaged),
        ] {
            assert_eq!(text.parse::<RefreshSecret>().unwrap_err(), error, "{text}");
        }
    }
}
