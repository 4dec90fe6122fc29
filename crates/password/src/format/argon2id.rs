//! argon2id in PHC form (RFC 9106; version 19 alone).

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use subtle::ConstantTimeEq as _;

use super::FormatError;
use crate::cost::{Argon2Params, MAX_ARGON2_MEMORY, MAX_ARGON2_WORK};

#[derive(Clone)]
pub(super) struct Argon2id {
    work: Argon2Params,
    salt: Box<[u8]>,
    hash: Box<[u8]>,
}

impl Argon2id {
    pub(super) fn new(password: &[u8], salt: [u8; 16]) -> Self {
        let mut hash = [0; 32];
        hash_into(Argon2Params::DEFAULT, password, &salt, &mut hash);
        Self { work: Argon2Params::DEFAULT, salt: salt.into(), hash: hash.into() }
    }

    /// `rest` is what follows `$argon2id$`.
    pub(super) fn parse(rest: &str) -> Result<Self, FormatError> {
        let malformed = |reason| FormatError::Malformed { format: "argon2id", reason };
        let [version, parameters, salt, hash] = split(rest, '$')
            .ok_or(malformed("it has not the parts version, parameters, salt and hash"))?;
        if version != "v=19" {
            return Err(malformed("its version is not 19"));
        }
        let [memory, passes, lanes] =
            split(parameters, ',').ok_or(malformed("its parameters are not m, t and p"))?;
        let memory = number("m=", memory).ok_or(malformed("m is not a number"))?;
        let passes = number("t=", passes).ok_or(malformed("t is not a number"))?;
        let lanes = number("p=", lanes).ok_or(malformed("p is not a number"))?;
        let work = Argon2Params::new(memory, passes, lanes).map_err(malformed)?;
        let bytes = |text| BASE64.decode(text).map(Vec::into_boxed_slice).ok();
        let salt = bytes(salt).ok_or(malformed("its salt is not base64"))?;
        let hash = bytes(hash).ok_or(malformed("its end is not base64"))?;
        if !SALT_LENGTHS.contains(&salt.len()) || !HASH_LENGTHS.contains(&hash.len()) {
            return Err(malformed("its salt or its hash has an unusual length"));
        }
        if memory > MAX_ARGON2_MEMORY || work.total() > u64::from(MAX_ARGON2_WORK) {
            return Err(FormatError::Argon2TooCostly { memory, passes });
        }
        Ok(Self { work, salt, hash })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut hash = [0; *HASH_LENGTHS.end()];
        let hash = &mut hash[..self.hash.len()];
        hash_into(self.work, password, &self.salt, hash);
        hash.ct_eq(&self.hash).into()
    }

    pub(super) fn work(&self) -> Argon2Params {
        self.work
    }
}

impl fmt::Display for Argon2id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, passes, lanes) = (self.work.memory(), self.work.passes(), self.work.lanes());
        let (salt, hash) = (BASE64.encode(&self.salt), BASE64.encode(&self.hash));
        write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }
}

/// Fills `output`. `work` has been checked, and so have the lengths.
pub(super) fn hash_into(work: Argon2Params, password: &[u8], salt: &[u8], output: &mut [u8]) {
    let parameters = Params::new(work.memory(), work.passes(), work.lanes(), Some(output.len()))
        .expect("the work was checked when it was made");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(password, salt, output)
        .expect("lengths are within argon2's, and the memory is there");
}

fn split<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let mut found = [""; N];
    for part in &mut found {
        *part = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

fn number(name: &str, text: &str) -> Option<u32> {
    let digits = text.strip_prefix(name)?;
    let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    canonical.then(|| digits.parse().ok()).flatten()
}

const SALT_LENGTHS: std::ops::RangeInclusive<usize> = 8..=64;
const HASH_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;
