//! What a token says (protocol JW2).

mod date;
mod read;

use std::fmt;

use portpass_protocol::AccessSet;
use serde::{Deserialize, Serialize, Serializer};

pub use self::{date::NumericDate, read::ClaimsError};

/// Who signs tokens: `iss`, compared as it is (VO7).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(Box<str>);

impl Issuer {
    /// Takes a name or URL as it is.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// As it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Issuer {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Issuer {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom tokens are for: what a registry calls its `service`, compared as it is (VO8).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceName(Box<str>);

impl ServiceName {
    /// Takes a name as it is.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// As it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ServiceName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for ServiceName {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For whom one token is: none, one or many services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audience(Vec<ServiceName>);

impl Audience {
    /// Exactly one, which is written as a plain string: distribution 2 reads nothing else (JW3).
    pub fn one(service: ServiceName) -> Self {
        Self(vec![service])
    }

    /// Whether the service is one of them.
    pub fn contains(&self, service: &ServiceName) -> bool {
        self.0.contains(service)
    }

    /// In the order written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ServiceName> {
        self.0.iter()
    }
}

impl FromIterator<ServiceName> for Audience {
    fn from_iter<I: IntoIterator<Item = ServiceName>>(services: I) -> Self {
        Self(services.into_iter().collect())
    }
}

impl Serialize for Audience {
    /// One as a string, more as a list.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

/// The claims of a registry token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// `iss`: who signed.
    #[serde(rename = "iss")]
    pub issuer: Issuer,
    /// `sub`: whose token it is; empty for anonymous.
    #[serde(rename = "sub")]
    pub subject: String,
    /// `aud`: for which services.
    #[serde(rename = "aud")]
    pub audience: Audience,
    /// `exp`: when it ends.
    #[serde(rename = "exp")]
    pub expires: NumericDate,
    /// `nbf`: when it begins.
    #[serde(rename = "nbf", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<NumericDate>,
    /// `iat`: when it was made; never compared with anything (JW5).
    #[serde(rename = "iat", skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<NumericDate>,
    /// `jti`: its own name.
    #[serde(rename = "jti", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `access`: what its holder may do; entries with no actions are kept.
    pub access: AccessSet,
}

impl Claims {
    /// Reads a payload. Types are strict (JW4), each key is there once (JW8), unknown claims are
    /// ignored (JW2).
    pub fn from_json(payload: &[u8]) -> Result<Self, ClaimsError> {
        read::claims(payload)
    }

    /// As they are signed: compact, in the order of RFC 7519 §4.1.
    ///
    /// # Errors
    /// None that can happen: every field is text, number, or a list of them.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests;
