//! The texts of secrets that we draw and hand out once: refresh tokens, and secrets of robots and API keys.
//!
//! A prefix, 256 random bits and a checksum, in hexadecimal. Prefix and checksum let secret scanners find one that
//! was published, and let us refuse what is none without asking the database.

use portpass_protocol::secret::SecretForm;
use portpass_state::TokenHash;
use portpass_token::Random;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::subject::AccountName;

/// The secret of a robot, or an API key.
#[derive(Debug, Clone)]
pub struct MachineSecret {
    form: SecretForm,
    text: SecretString,
    hash: TokenHash,
}

impl MachineSecret {
    /// Draws a new one for a robot.
    pub fn of_robot(random: &dyn Random) -> Self {
        Self::draw(SecretForm::Robot, random)
    }

    /// Draws a new API key.
    pub fn api_key(random: &dyn Random) -> Self {
        Self::draw(SecretForm::ApiKey, random)
    }

    fn draw(form: SecretForm, random: &dyn Random) -> Self {
        let text = generate(form, random);
        let hash = hash(text.expose_secret());
        Self { form, text, hash }
    }

    /// Reads a password that is to be one; `None` if it is something else.
    pub fn parse(password: &str) -> Option<Result<Self, DamagedSecret>> {
        let form = SecretForm::of(password)?;
        match form {
            SecretForm::ApiKey | SecretForm::Robot => {
                let secret = |hash| Self { form, text: SecretString::from(password), hash };
                Some(hash_of_whole(form, password).map(secret).ok_or(DamagedSecret { form }))
            }
            SecretForm::RefreshToken => None,
        }
    }

    /// Whether it is a robot's, or a key.
    pub fn form(&self) -> SecretForm {
        self.form
    }

    /// For its owner alone.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What is kept of it. The secret has 256 random bits, so one fast hash hides it.
    pub fn hash(&self) -> TokenHash {
        self.hash
    }
}

/// A name and the secret of a robot or an API key, that nobody has checked yet.
#[derive(Debug, Clone)]
pub struct MachineLogin {
    /// Whom the caller says to be.
    pub account: AccountName,
    /// What is to prove it.
    pub secret: MachineSecret,
}

/// A text that was the secret of a robot or an API key. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {} is damaged: it was cut off or changed on its way", noun(*form))]
pub struct DamagedSecret {
    form: SecretForm,
}

/// What people call it.
pub fn noun(form: SecretForm) -> &'static str {
    match form {
        SecretForm::ApiKey => "API key",
        SecretForm::RefreshToken => "refresh token",
        SecretForm::Robot => "robot's secret",
    }
}

/// Draws a new text.
pub(crate) fn generate(form: SecretForm, random: &dyn Random) -> SecretString {
    let mut bits = [0; 32];
    random.fill(&mut bits);
    let body = format!("{}{}", form.prefix(), hexadecimal(&bits));
    let checksum = checksum(&body);
    SecretString::from(body + &checksum)
}

/// What is kept of a text, if it is one of this form to the last digit.
pub(crate) fn hash_of_whole(form: SecretForm, text: &str) -> Option<TokenHash> {
    let rest = text.strip_prefix(form.prefix())?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if rest.len() != 64 + CHECKSUM_LENGTH || !rest.bytes().all(is_digit) {
        return None;
    }
    let (body, sum) = text.split_at(text.len() - CHECKSUM_LENGTH);
    let mut hasher = Sha256::new_with_prefix(body);
    let expected = hasher.clone().finalize();
    if !sum.bytes().eq(digits(&expected[..CHECKSUM_LENGTH / 2])) {
        return None;
    }
    hasher.update(sum);
    Some(TokenHash(hasher.finalize().into()))
}

/// What is kept of a text.
pub(crate) fn hash(text: &str) -> TokenHash {
    TokenHash(Sha256::digest(text).into())
}

fn checksum(body: &str) -> String {
    hexadecimal(&Sha256::digest(body)[..CHECKSUM_LENGTH / 2])
}

fn hexadecimal(bytes: &[u8]) -> String {
    digits(bytes).map(char::from).collect()
}

fn digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    bytes.iter().flat_map(move |byte| [digit(byte >> 4), digit(byte & 15)])
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
        for (secret, prefix) in [
            (MachineSecret::of_robot(&Fixed(0xab)), "ppb_"),
            (MachineSecret::api_key(&Fixed(0xab)), "ppk_"),
        ] {
            let text = secret.expose();
            assert_eq!(text.len(), 4 + 64 + 8);
            assert!(text.starts_with(&format!("{prefix}{}", "ab".repeat(32))));
            let read = MachineSecret::parse(text).unwrap().unwrap();
            assert_eq!((read.form(), read.hash()), (secret.form(), secret.hash()));
            assert_eq!(read.hash(), hash(text));
            assert!(!format!("{secret:?}").contains("abab"));
        }
    }

    #[test]
    fn secrets_differ_by_what_was_drawn_and_by_their_kind() {
        let secrets = [
            MachineSecret::of_robot(&Fixed(1)),
            MachineSecret::of_robot(&Fixed(2)),
            MachineSecret::api_key(&Fixed(1)),
        ];
        let [one, two, three] = secrets.map(|secret| secret.hash());
        assert!(one != two && one != three && two != three);
    }

    #[test]
    fn a_password_of_a_person_is_none_and_what_is_cut_off_is_damaged() {
        let robot = MachineSecret::of_robot(&Fixed(7));
        for text in ["", "correct horse", "ppb_", "ppb_beef", "ppr_0707070707070707070707"] {
            assert!(MachineSecret::parse(text).is_none(), "{text}");
        }
        let whole = robot.expose();
        let as_key = whole.replace("ppb_", "ppk_");
        for text in [&whole[..40], &format!("{whole}0"), &format!(" {whole}"), &*as_key] {
            let damaged = MachineSecret::parse(text).unwrap().unwrap_err().to_string();
            assert!(damaged.contains("is damaged") && !damaged.contains("0707"), "{damaged}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_digit_is_noticed(at in 4_usize..76, digit in "[0-9a-f]") {
            let secret = MachineSecret::api_key(&Fixed(0x5a)).expose().to_owned();
            let mut changed = secret.clone();
            changed.replace_range(at..=at, &digit);
            prop_assume!(changed != secret);
            prop_assert!(MachineSecret::parse(&changed).unwrap().is_err());
        }
    }
}
