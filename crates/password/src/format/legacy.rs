//! What `htpasswd -m`, `-s`, `-2` and `-5` write. Read only on request, never written.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use sha_crypt::PasswordVerifier as _;
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

use super::FormatError;
use crate::cost::Cost;

/// Fewer rounds than sha-crypt's own least.
pub(super) const MIN_ROUNDS: u32 = 1_000;
/// More would hold a core for longer than a second when the password is long.
pub(super) const MAX_ROUNDS: u32 = 500_000;

/// Every round hashes the whole password again, so a long one must not count: `htpasswd` itself
/// takes 255 bytes at most. Longer ones never match.
pub(super) fn clip(password: &[u8]) -> &[u8] {
    &password[..password.len().min(MAX_PASSWORD)]
}

fn whole(password: &[u8]) -> bool {
    password.len() <= MAX_PASSWORD
}

/// `{SHA}`: SHA-1, once, without a salt.
#[derive(Clone)]
pub(super) struct ShaOnce([u8; 20]);

impl ShaOnce {
    /// `rest` is what follows `{SHA}`.
    pub(super) fn parse(rest: &str) -> Result<Self, FormatError> {
        let bytes = STANDARD.decode(rest).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(FormatError::Malformed {
            format: "{SHA}",
            reason: "it is not twenty bytes of base64",
        })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        Sha1::digest(password).as_slice().ct_eq(&self.0).into()
    }
}

/// sha-crypt with SHA-256 (`$5$`) or SHA-512 (`$6$`).
#[derive(Clone)]
pub(super) struct ShaCrypt {
    text: Box<str>,
    cost: Cost,
}

impl ShaCrypt {
    /// `text` begins with `$5$` or `$6$`.
    pub(super) fn parse(text: &str) -> Result<Self, FormatError> {
        let malformed = |reason| FormatError::Malformed { format: "sha-crypt", reason };
        let mut rest = &text[3..];
        let mut rounds = DEFAULT_ROUNDS;
        if let Some(after) = rest.strip_prefix("rounds=") {
            let (number, after) = after.split_once('$').ok_or(malformed("it has no salt"))?;
            rounds = number.parse().map_err(|_| malformed("its rounds are not a number"))?;
            rest = after;
        }
        let (salt, hash) = rest.split_once('$').ok_or(malformed("it has no salt"))?;
        let wide = text.starts_with("$6$");
        if salt.len() > 16 || !in_alphabet(salt) {
            return Err(malformed("its salt is not 16 characters of crypt's alphabet at most"));
        }
        if hash.len() != if wide { 86 } else { 43 } || !in_alphabet(hash) {
            return Err(malformed("its end is too short or too long"));
        }
        if !(MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds) {
            return Err(FormatError::ShaCryptRounds { rounds });
        }
        let cost = if wide { Cost::Sha512Crypt(rounds) } else { Cost::Sha256Crypt(rounds) };
        Ok(Self { text: text.into(), cost })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let equal = sha_crypt::ShaCrypt::default().verify_password(clip(password), &*self.text);
        equal.is_ok() & whole(password)
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }
}

/// Apache's variant of MD5 crypt: a thousand rounds.
#[derive(Clone)]
pub(super) struct Apr1 {
    salt: Box<[u8]>,
    hash: [u8; 22],
}

impl Apr1 {
    /// `rest` is what follows `$apr1$`.
    pub(super) fn parse(rest: &str) -> Result<Self, FormatError> {
        let malformed = |reason| FormatError::Malformed { format: "apr1", reason };
        let (salt, hash) = rest.split_once('$').ok_or(malformed("it has no salt"))?;
        if salt.len() > 8 || !in_alphabet(salt) {
            return Err(malformed("its salt is not 8 characters of crypt's alphabet at most"));
        }
        let hash = hash.as_bytes().try_into().ok().filter(|_| in_alphabet(hash));
        let hash = hash.ok_or(malformed("its end is not 22 characters of crypt's alphabet"))?;
        Ok(Self { salt: salt.as_bytes().into(), hash })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let equal = apr1(clip(password), &self.salt).ct_eq(&self.hash);
        bool::from(equal) & whole(password)
    }
}

/// The end of an apr1 hash, as text.
pub(super) fn apr1(password: &[u8], salt: &[u8]) -> [u8; 22] {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password);
    let inner = inner.finalize();
    let mut outer = Md5::new().chain_update(password).chain_update("$apr1$").chain_update(salt);
    for block in password.chunks(16) {
        outer.update(&inner[..block.len()]);
    }
    let mut length = password.len();
    while length > 0 {
        outer.update(if length & 1 == 1 { &[0] } else { &password[..1] });
        length >>= 1;
    }
    let mut digest = outer.finalize();
    for round in 0..1000_u16 {
        let mut hasher = Md5::new();
        let odd = round % 2 == 1;
        hasher.update(if odd { password } else { &digest });
        if round % 3 != 0 {
            hasher.update(salt);
        }
        if round % 7 != 0 {
            hasher.update(password);
        }
        hasher.update(if odd { &digest } else { password });
        digest = hasher.finalize();
    }
    apr1_text(&digest)
}

/// MD5 crypt's own order of the bytes and crypt's own order of the bits.
fn apr1_text(digest: &[u8]) -> [u8; 22] {
    let mut text = [0; 22];
    let mut written = text.iter_mut();
    for (high, middle, low) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        let bytes = [digest[high], digest[middle], digest[low]].map(u32::from);
        let mut bits = bytes[0] << 16 | bytes[1] << 8 | bytes[2];
        for character in written.by_ref().take(4) {
            *character = ALPHABET[(bits & 0x3f) as usize];
            bits >>= 6;
        }
    }
    let last = digest[11];
    for (character, bits) in written.zip([last & 0x3f, last >> 6]) {
        *character = ALPHABET[usize::from(bits)];
    }
    text
}

fn in_alphabet(text: &str) -> bool {
    text.bytes().all(|b| ALPHABET.contains(&b))
}

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DEFAULT_ROUNDS: u32 = 5_000;
const MAX_PASSWORD: usize = 256;
