//! The header of a JWS (RFC 7515 §4).

use super::Malformed;
use crate::{
    Algorithm, KeyId,
    excerpt::Excerpt,
    json::{self, Map, Value},
    jwk::{self, Jwk},
    x5c::MAX_CERTIFICATES,
};

/// What a header says, as far as it is listened to.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key: KeySource,
}

/// How a header names the key, in the order of VO3: the first that is present decides.
#[derive(Debug)]
pub(super) enum KeySource {
    /// `x5c`, leaf first, not empty.
    Chain(Vec<Vec<u8>>),
    /// `jwk`: a pointer to a trusted key; its material is only compared.
    Embedded(Box<Jwk>),
    /// `kid`.
    Id(KeyId),
    /// None of them.
    Nothing,
}

impl Header {
    pub(super) fn read(object: &Map<String, Value>, types: &[&str]) -> Result<Self, Malformed> {
        if object.contains_key("crit") {
            return Err(Malformed::Critical);
        }
        if let Some(name) = ["jku", "x5u"].into_iter().find(|name| object.contains_key(*name)) {
            return Err(Malformed::RemoteKey { name });
        }
        check_type(text(object, "typ")?, types)?;
        let name = text(object, "alg")?.ok_or(Malformed::NoAlgorithm)?;
        let algorithm =
            name.parse().map_err(|_| Malformed::Algorithm { name: Excerpt::of(name) })?;
        // All three are read, used or not: a header that is broken anywhere is not ours.
        let id = text(object, "kid")?.filter(|id| !id.is_empty()).map(KeyId::from);
        let embedded = embedded_key(object)?;
        let key = match chain(object)? {
            chain if !chain.is_empty() => KeySource::Chain(chain),
            _ => match (embedded, id) {
                (Some(jwk), _) => KeySource::Embedded(Box::new(jwk)),
                (None, Some(id)) => KeySource::Id(id),
                (None, None) => KeySource::Nothing,
            },
        };
        Ok(Self { algorithm, key })
    }
}

/// `typ` may be missing (JW1); what is there must be one of the types, as a media type or short (RFC 7515
/// §4.1.9).
fn check_type(stated: Option<&str>, types: &[&str]) -> Result<(), Malformed> {
    let Some(stated) = stated else { return Ok(()) };
    let short = match stated.split_at_checked(12) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => stated,
    };
    if types.iter().any(|known| short.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(Malformed::Type { stated: Excerpt::of(stated) })
    }
}

fn embedded_key(object: &Map<String, Value>) -> Result<Option<Jwk>, Malformed> {
    let member = match object.get("jwk") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(member)) => member,
        Some(other) => {
            let found = json::kind(other);
            return Err(Malformed::Member { name: "jwk", found, expected: "an object" });
        }
    };
    let jwk = Jwk::from_object(member).map_err(Malformed::EmbeddedKey)?;
    if jwk.is_secret { Err(Malformed::SecretInHeader) } else { Ok(Some(jwk)) }
}

fn chain(object: &Map<String, Value>) -> Result<Vec<Vec<u8>>, Malformed> {
    match object.get("x5c") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() > MAX_CERTIFICATES => {
            Err(Malformed::TooManyCertificates { count: list.len() })
        }
        Some(list) => Ok(jwk::decode_chain(list)?),
    }
}

fn text<'a>(
    object: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, Malformed> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            Err(Malformed::Member { name, found: json::kind(other), expected: "a string" })
        }
    }
}
