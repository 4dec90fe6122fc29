//! Compact JWS: three parts, a header that is read with suspicion, and one way to believe it.

mod error;
mod header;

use std::time::SystemTime;

pub use self::error::{Invalid, Malformed, Part};
use self::header::{Header, KeySource};
use crate::{
    Algorithm, Algorithms, IdForm, KeyId, KeySet, TrustRoots, VerifyingKey, base64url,
    certificate::OutOfDate, excerpt::Excerpt, json,
};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 64 * 1024;

/// A compact JWS (RFC 7515 §7.1), split and decoded, not believed.
#[derive(Debug)]
pub struct Compact<'a> {
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signed: &'a str,
}

impl<'a> Compact<'a> {
    /// Splits, decodes and reads the header; the payload is not looked at.
    ///
    /// Refused are `none` and unknown algorithms, a `typ` other than `JWT` (it may be missing),
    /// every `crit`, and `jku` and `x5u`, which point to keys that would have to be fetched.
    pub fn parse(token: &'a str) -> Result<Self, Malformed> {
        Self::parse_typed(token, &["JWT"])
    }

    /// As [`Compact::parse`], for tokens of these types: `at+jwt` is an access token of RFC 9068.
    pub fn parse_typed(token: &'a str, types: &[&str]) -> Result<Self, Malformed> {
        let parts = split(token)?;
        let header = json::parse_object(&parts.header)
            .map_err(|why| Malformed::Json { part: Part::Header, why })?;
        Ok(Self {
            header: Header::read(&header, types)?,
            payload: parts.payload,
            signature: base64url::decode(parts.signature)
                .map_err(|_| Malformed::encoding(Part::Signature, parts.signature))?,
            signed: parts.signed,
        })
    }

    /// Finds the key by `x5c`, else by the id in an embedded `jwk`, else by `kid`; compares the
    /// algorithm with the key's and the `allowed` ones; checks the signature (VO3).
    ///
    /// Which of the three is used does not depend on what is trusted: a token with a chain that does
    /// not verify is refused, whatever its `kid`. Key material in the header is never used.
    pub fn verify(
        self,
        keys: &KeySet,
        roots: &TrustRoots,
        allowed: Algorithms,
        now: SystemTime,
    ) -> Result<Verified, Invalid> {
        let found = self.find_key(keys, roots, now)?;
        let algorithm = self.header.algorithm;
        if !found.key.algorithms().contains(algorithm) {
            let key = found.key.to_string();
            return Err(Invalid::AlgorithmMismatch { algorithm, key });
        }
        if !allowed.contains(algorithm) {
            return Err(Invalid::AlgorithmNotAllowed { algorithm, allowed });
        }
        let key_id = found.key.id().clone();
        found
            .key
            .verify(algorithm, self.signed.as_bytes(), &self.signature)
            .map_err(|_| Invalid::Signature { algorithm, key_id: key_id.clone() })?;
        let Found { valid_until, warning, .. } = found;
        let signer = Signer { key_id, algorithm, valid_until, warning };
        Ok(Verified { payload: self.payload, signer })
    }

    fn find_key(
        &self,
        keys: &KeySet,
        roots: &TrustRoots,
        now: SystemTime,
    ) -> Result<Found, Invalid> {
        match &self.header.key {
            KeySource::Chain(chain) => Found::by_chain(chain, roots, now),
            KeySource::Embedded(jwk) if !jwk.chain.is_empty() => {
                let found = Found::by_chain(&jwk.chain, roots, now)?;
                if found.key == jwk.key { Ok(found) } else { Err(Invalid::EmbeddedKeyDiffers) }
            }
            KeySource::Embedded(jwk) => match &jwk.id {
                Some(id) => Found::by_id(id, keys, now),
                None => Err(Invalid::EmbeddedKeyWithoutId),
            },
            KeySource::Id(id) => Found::by_id(id, keys, now),
            KeySource::Nothing => Err(Invalid::NoKeyNamed),
        }
    }
}

/// A trusted key and what trust in it rests on.
struct Found {
    key: VerifyingKey,
    valid_until: Option<SystemTime>,
    warning: Option<OutOfDate>,
}

impl Found {
    fn by_chain(chain: &[Vec<u8>], roots: &TrustRoots, now: SystemTime) -> Result<Self, Invalid> {
        let vouched = roots.verify(chain, now)?;
        Ok(Self { key: vouched.key, valid_until: Some(vouched.valid_until), warning: None })
    }

    fn by_id(id: &KeyId, keys: &KeySet, now: SystemTime) -> Result<Self, Invalid> {
        let Some(trusted) = keys.find(id.as_str()) else {
            let form = IdForm::of(id.as_str());
            let known = keys.names(form);
            return Err(Invalid::UnknownKey { id: Excerpt::of(id.as_str()), form, known });
        };
        Ok(Self { key: trusted.key().clone(), valid_until: None, warning: trusted.warning(now) })
    }
}

/// Bytes that somebody we trust has signed. Only [`Compact::verify`] makes one.
#[derive(Debug)]
pub struct Verified {
    payload: Vec<u8>,
    signer: Signer,
}

impl Verified {
    /// What was signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Who signed.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }
}

/// The key that signed, and how long trust in it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key's RFC 7638 thumbprint.
    pub key_id: KeyId,
    /// What it signed by.
    pub algorithm: Algorithm,
    /// When the chain that vouches for the key runs out; `None` for a key that is trusted by id.
    pub valid_until: Option<SystemTime>,
    /// The key is trusted by id, but its certificate is out of date.
    pub warning: Option<OutOfDate>,
}

/// The parts of a token; header and payload decoded.
pub(crate) struct Split<'a> {
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: &'a str,
    signed: &'a str,
}

pub(crate) fn split(token: &str) -> Result<Split<'_>, Malformed> {
    if token.len() > MAX_TOKEN {
        return Err(Malformed::TooLong { length: token.len() });
    }
    let not_three = || Malformed::Parts { found: token.split('.').count() };
    let (signed, signature) = token.rsplit_once('.').ok_or_else(not_three)?;
    let (header, payload) = signed.split_once('.').ok_or_else(not_three)?;
    if payload.contains('.') {
        return Err(not_three());
    }
    let decode =
        |part, text: &str| base64url::decode(text).map_err(|_| Malformed::encoding(part, text));
    Ok(Split {
        header: decode(Part::Header, header)?,
        payload: decode(Part::Payload, payload)?,
        signature,
        signed,
    })
}

#[cfg(test)]
mod tests;
