//! What nobody has vouched for. Nothing here may decide who somebody is.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Certificate, IdForm, VerifyingKey, curve_of_base_point,
    json::{self, Map, Value},
    jws::{self, Malformed, Part},
};

/// A token's words, believed by nobody: for choosing whose keys to ask, and for showing a token to a
/// person.
#[derive(Debug, Clone)]
pub struct Unverified {
    header: Map<String, Value>,
    payload: Vec<u8>,
}

impl Unverified {
    /// Splits, decodes and reads the header; any `alg`, `typ` and key will do.
    pub fn parse(token: &str) -> Result<Self, Malformed> {
        let parts = jws::split(token)?;
        let header = json::parse_object(&parts.header)
            .map_err(|why| Malformed::Json { part: Part::Header, why })?;
        Ok(Self { header, payload: parts.payload })
    }

    /// The header.
    pub fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// The payload's bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as a JSON object.
    pub fn claims(&self) -> Result<Map<String, Value>, Malformed> {
        json::parse_object(&self.payload)
            .map_err(|why| Malformed::Json { part: Part::Payload, why })
    }

    /// Which key it names, in the order in which registries look (VO3).
    pub fn key(&self) -> NamedKey {
        let text = |from: &Map<String, Value>| Some(from.get("kid")?.as_str()?.to_owned());
        let chain = self.header.get("x5c").and_then(Value::as_array);
        match (chain.filter(|chain| !chain.is_empty()), self.header.get("jwk")) {
            (Some(chain), _) => NamedKey::Chain(chain.clone()),
            (None, Some(Value::Object(jwk))) => {
                let key = Value::Object(jwk.clone()).to_string();
                let key = VerifyingKey::from_jwk(&key).ok().map(Box::new);
                NamedKey::Embedded { id: text(jwk), key }
            }
            (None, _) => text(&self.header).map_or(NamedKey::Nothing, NamedKey::Id),
        }
    }

    /// `iss`, for choosing whose keys to ask.
    pub fn issuer(&self) -> Option<String> {
        self.claims().ok()?.get("iss")?.as_str().map(str::to_owned)
    }
}

/// How a token names the key that is said to have signed it. Anybody can name any key.
#[derive(Debug, Clone, PartialEq)]
pub enum NamedKey {
    /// `x5c`: a list, as it is; certificates, if all is well.
    Chain(Vec<Value>),
    /// `jwk`
    Embedded {
        /// Its `kid`.
        id: Option<String>,
        /// The key itself, where it is one.
        key: Option<Box<VerifyingKey>>,
    },
    /// `kid`
    Id(String),
    /// In no way.
    Nothing,
}

impl NamedKey {
    /// The certificates of `x5c`, leaf first; the error is what an entry is instead.
    pub fn certificates(&self) -> impl Iterator<Item = Result<Certificate, String>> + '_ {
        let chain = if let Self::Chain(chain) = self { chain.as_slice() } else { &[] };
        chain.iter().map(|entry| {
            let text = entry.as_str().ok_or_else(|| format!("it is {}", json::kind(entry)))?;
            let der = STANDARD.decode(text).map_err(|_| "it is not base64".to_owned())?;
            Certificate::from_der(&der).map_err(|error| error.to_string())
        })
    }

    /// The key itself, where the token brings it: the leaf's, or the embedded one.
    pub fn key(&self) -> Option<VerifyingKey> {
        match self {
            Self::Chain(_) => Some(self.certificates().next()?.ok()?.key().clone()),
            Self::Embedded { key, .. } => key.as_deref().cloned(),
            Self::Id(_) | Self::Nothing => None,
        }
    }
}

impl fmt::Display for NamedKey {
    /// `mine, the issuer's own name`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(chain) => {
                match chain.len() {
                    1 => f.write_str("a certificate")?,
                    more => write!(f, "a chain of {more} certificates")?,
                }
                match self.certificates().next() {
                    Some(Ok(leaf)) => {
                        write!(f, ": {}, issued by {}", leaf.subject(), leaf.issuer())
                    }
                    Some(Err(_)) | None => f.write_str(", which cannot be read"),
                }
            }
            Self::Embedded { id: Some(id), .. } => {
                write!(f, "{id}, {}, in an embedded key", form(id))
            }
            Self::Embedded { id: None, .. } => f.write_str("an embedded key without an id"),
            Self::Id(id) => write!(f, "{id}, {}", form(id)),
            Self::Nothing => f.write_str("none"),
        }
    }
}

fn form(id: &str) -> &'static str {
    match IdForm::of(id) {
        _ if curve_of_base_point(id).is_some() => OF_BASE_POINT,
        IdForm::Libtrust => "a libtrust fingerprint",
        IdForm::Rfc7638 => "an RFC 7638 thumbprint",
        IdForm::Other => "the issuer's own name",
    }
}

const OF_BASE_POINT: &str = "the thumbprint of the curve's base point, not of a key: docker_auth 1.14 and distribution 3.0.0 compute it for every key of that curve";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;

    fn key(header: &str) -> NamedKey {
        let part = |json: &str| base64url::encode(json.as_bytes());
        Unverified::parse(&format!("{}.{}.", part(header), part("{}"))).unwrap().key()
    }

    #[test]
    fn the_key_is_the_one_that_registries_look_at_first() {
        let point = r#""kty":"EC","crv":"P-256","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc""#;
        let own = "the issuer's own name";
        for (header, said, knows) in [
            (r#"{"kid":"mine"}"#.to_owned(), format!("mine, {own}"), false),
            (
                format!(r#"{{"kid":"mine","jwk":{{"kid":"its",{point}}}}}"#),
                format!("its, {own}, in an embedded key"),
                true,
            ),
            (r#"{"jwk":{}}"#.to_owned(), "an embedded key without an id".to_owned(), false),
            (
                r#"{"kid":"mine","x5c":["AAAA",5]}"#.to_owned(),
                "a chain of 2 certificates, which cannot be read".to_owned(),
                false,
            ),
            ("{}".to_owned(), "none".to_owned(), false),
            (r#"{"x5c":[]}"#.to_owned(), "none".to_owned(), false),
            (
                r#"{"kid":"xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M"}"#.to_owned(),
                format!("xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M, {OF_BASE_POINT}"),
                false,
            ),
        ] {
            let named = key(&header);
            assert_eq!((named.to_string(), named.key().is_some()), (said, knows), "{header}");
        }
        let broken: Vec<_> = key(r#"{"x5c":["AAAA","-",5]}"#).certificates().collect();
        let why: Vec<String> = broken.into_iter().map(|entry| entry.unwrap_err()).collect();
        assert!(why[0].contains("certificate"), "{why:?}");
        assert_eq!(why[1..], ["it is not base64", "it is a number"]);
    }

    #[test]
    fn a_token_that_nobody_would_believe_can_be_looked_at() {
        let part = |json: &str| base64url::encode(json.as_bytes());
        let token = format!("{}.{}.", part(r#"{"alg":"none","crit":[]}"#), part(r#"{"iss":"a"}"#));
        let unverified = Unverified::parse(&token).unwrap();
        assert_eq!(unverified.header()["alg"], "none");
        assert_eq!(unverified.issuer().as_deref(), Some("a"));
        assert_eq!(unverified.payload(), br#"{"iss":"a"}"#);
        assert!(Unverified::parse("opaque").is_err());
    }
}
