//! The text of a refresh token.

use std::str::FromStr;

use portpass_protocol::refresh_token::PREFIX;
use portpass_state::TokenHash;
use portpass_token::Random;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A refresh token: a prefix, 256 random bits and a checksum, in hexadecimal.
///
/// Prefix and checksum let secret scanners find one that was published, and let us refuse what is
/// none without asking the database.
#[derive(Debug, Clone)]
pub struct RefreshSecret(SecretString);

impl RefreshSecret {
    /// Draws a new one.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bits = [0; 32];
        random.fill(&mut bits);
        let body = format!("{PREFIX}{}", hexadecimal(&bits));
        let checksum = checksum(&body);
        Self(SecretString::from(body + &checksum))
    }

    /// For the client alone.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it. The secret has 256 random bits, so one fast hash hides it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.expose()).into())
    }
}

impl FromStr for RefreshSecret {
    type Err = MalformedSecret;

    fn from_str(text: &str) -> Result<Self, MalformedSecret> {
        let rest = text.strip_prefix(PREFIX).ok_or(MalformedSecret::Unrecognized)?;
        let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if rest.len() != 64 + CHECKSUM_LENGTH || !rest.bytes().all(hexadecimal) {
            return Err(MalformedSecret::Damaged);
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_LENGTH);
        if checksum(body) == sum {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(MalformedSecret::Damaged)
        }
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

fn checksum(body: &str) -> String {
    hexadecimal(&Sha256::digest(body)[..CHECKSUM_LENGTH / 2])
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

const CHECKSUM_LENGTH: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn one_changed_digit_is_noticed(at in 4_usize..76, digit in "[0-9a-f]") {
            let secret = RefreshSecret::generate(&Fixed(0x5a)).expose().to_owned();
            let mut changed = secret.clone();
            changed.replace_range(at..=at, &digit);
            prop_assume!(changed != secret);
            prop_assert_eq!(changed.parse::<RefreshSecret>().unwrap_err(), MalformedSecret::Damaged);
        }
    }
}
