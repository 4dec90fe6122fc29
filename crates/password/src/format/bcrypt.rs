//! bcrypt, decoded from bytes: nothing of a foreign file is ever sliced as text.

use std::hint::black_box;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use blowfish::Blowfish;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use super::FormatError;

/// The highest bcrypt cost that is accepted: some 0.9 s on one core.
pub const MAX_BCRYPT_COST: u8 = 14;

#[derive(Clone)]
pub(super) struct Bcrypt {
    cost: u8,
    salt: [u8; SALT],
    hash: [u8; HASH],
}

impl Bcrypt {
    /// `rest` is what follows `$2`.
    pub(super) fn parse(rest: &str) -> Result<Self, FormatError> {
        let malformed = |reason| FormatError::Malformed { format: "bcrypt", reason };
        let (letter, rest) = match rest.as_bytes() {
            [b'$', rest @ ..] => (None, rest),
            [letter, b'$', rest @ ..] => (Some(*letter), rest),
            _ => return Err(malformed("no `$` follows its version")),
        };
        if !matches!(letter, None | Some(b'a' | b'b' | b'x' | b'y')) {
            return Err(malformed("its version is none of 2, 2a, 2b, 2x and 2y"));
        }
        let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'$', rest @ ..] = rest else {
            return Err(malformed("its cost is not two digits and a `$`"));
        };
        let cost = (tens - b'0') * 10 + (ones - b'0');
        let Some((salt, rest)) = rest.split_at_checked(SALT_TEXT) else {
            return Err(malformed("it is too short"));
        };
        let Some((hash, _ignored)) = rest.split_at_checked(HASH_TEXT) else {
            return Err(malformed("it is too short"));
        };
        let hash = Self {
            cost,
            salt: decode(salt).ok_or(malformed("its salt is not base64"))?,
            hash: decode(hash).ok_or(malformed("its end is not base64"))?,
        };
        match cost {
            4..=MAX_BCRYPT_COST => Ok(hash),
            0..4 | 32.. => Err(FormatError::BcryptCost { cost }),
            _ => Err(FormatError::BcryptTooCostly { cost }),
        }
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        hash(password, self.cost, self.salt).ct_eq(&self.hash).into()
    }

    pub(super) fn cost(&self) -> u8 {
        self.cost
    }
}

/// Hashes as every bcrypt does: the password ends with a NUL, and what lies beyond 72 bytes does
/// not count (HT5).
pub(super) fn hash(password: &[u8], cost: u8, salt: [u8; SALT]) -> [u8; HASH] {
    let mut key = [0; KEY];
    let length = password.len().min(KEY);
    key[..length].copy_from_slice(&password[..length]);
    let output = ::bcrypt::bcrypt(u32::from(cost), salt, &key[..(length + 1).min(KEY)]);
    key.zeroize();
    let mut hash = [0; HASH];
    hash.copy_from_slice(&output[..HASH]);
    hash
}

/// Does what `rounds` rounds of any hash do, and forgets the result: what they take hangs on neither password
/// nor salt.
pub(super) fn work(rounds: u32) {
    let mut state = <Blowfish>::bc_init_state();
    for _ in 0..rounds {
        state.bc_expand_key(&[1; KEY]);
        state.bc_expand_key(&[0; SALT]);
    }
    black_box(state.bc_encrypt([0; 2]));
}

fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (BASE64.decode_slice(text, &mut bytes).ok()? == N).then_some(bytes)
}

/// Some programs write a salt whose last character has bits too many; crypt(3) and Go ignore them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

const KEY: usize = 72;
const SALT: usize = 16;
const SALT_TEXT: usize = 22;
const HASH: usize = 23;
const HASH_TEXT: usize = 31;
