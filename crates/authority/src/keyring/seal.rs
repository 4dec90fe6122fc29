//! Private keys at rest: AES-256-GCM under a key that is not in the database.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use portpass_token::Random;
use zeroize::Zeroizing;

/// Seals private keys, and opens them again.
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// Takes 256 random bits.
    ///
    /// # Errors
    /// [`SealError::Key`] if the cipher does not take them, which it has no reason to.
    pub fn new(bytes: &Zeroizing<[u8; 32]>) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| SealError::Key)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals bytes that belong to `id`: `version | nonce | ciphertext and tag`.
    ///
    /// The nonce is random: of 96 bits, and for a handful of keys a year.
    pub(super) fn seal(
        &self,
        id: &str,
        secret: &[u8],
        random: &dyn Random,
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut text = Zeroizing::new(secret.to_vec());
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(id.as_bytes()),
                &mut text,
            )
            .map_err(|_| SealError::Key)?;
        Ok([&[VERSION][..], &nonce, &text, tag.as_ref()].concat())
    }

    /// Opens what was sealed for that `id`, and for no other.
    pub(super) fn open(&self, id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let [VERSION, rest @ ..] = sealed else { return Err(SealError::Form) };
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Form)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(id.as_bytes()),
                &mut text,
            )
            .map_err(|_| SealError::Open)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// Why a private key cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// What was sealed is of no form that we write.
    #[error("what is sealed in the database has a format that this version does not support")]
    Form,
    /// The cipher does not work.
    #[error("it could not be sealed")]
    Key,
    /// It was sealed with another key, for another id, or was altered.
    #[error(
        "it was sealed with another seal key, or its row was altered; restore the seal key that belongs to this database"
    )]
    Open,
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use portpass_token::SystemRandom;

    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::new(&Zeroizing::new([byte; 32])).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_id_and_key_alone() {
        let sealed = key(1).seal("one", b"secret", &SystemRandom).unwrap();
        assert_eq!(**key(1).open("one", &sealed).unwrap(), b"secret"[..]);
        assert_eq!(key(1).open("two", &sealed), Err(SealError::Open));
        assert_eq!(key(2).open("one", &sealed), Err(SealError::Open));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        let again = key(1).seal("one", b"secret", &SystemRandom).unwrap();
        assert_ne!(sealed, again, "the nonce is fresh");
    }

    #[test]
    fn no_altered_byte_goes_unnoticed() {
        let sealed = key(1).seal("one", b"secret", &SystemRandom).unwrap();
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(key(1).open("one", &altered).is_err(), "byte {index}");
            assert!(key(1).open("one", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", key(7)), "SealKey(…)");
    }
}
