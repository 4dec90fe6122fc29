//! What a token says.
use std::{fmt, time::SystemTime};
use portpass_protocol::AccessSet;
use serde::{Serialize, Deserialize};
/// Who signs: `iss`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(Box<str>);
impl Issuer { #[allow(missing_docs)] pub fn new(text: impl Into<Box<str>>) -> Self { Self(text.into()) } #[allow(missing_docs)] pub fn as_str(&self) -> &str { &self.0 } }
impl fmt::Display for Issuer { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
/// Whom a token is for: the `service` of a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceName(Box<str>);
impl ServiceName { #[allow(missing_docs)] pub fn new(text: impl Into<Box<str>>) -> Self { Self(text.into()) } #[allow(missing_docs)] pub fn as_str(&self) -> &str { &self.0 } }
impl fmt::Display for ServiceName { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
/// `aud`: none, one or many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audience(Vec<ServiceName>);
impl Audience {
    /// Exactly one.
    pub fn one(service: ServiceName) -> Self { Self(vec![service]) }
    /// Whether it is one of them.
    pub fn contains(&self, service: &ServiceName) -> bool { self.0.contains(service) }
    /// As written.
    pub fn iter(&self) -> impl Iterator<Item = &ServiceName> { self.0.iter() }
}
/// Whole seconds since 1970 (RFC 7519 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumericDate(pub i64);
impl From<SystemTime> for NumericDate { fn from(_: SystemTime) -> Self { todo!() } }
/// The claims of a registry token (protocol JW2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`
    pub issuer: Issuer,
    /// `sub`; empty for anonymous.
    pub subject: String,
    /// `aud`
    pub audience: Audience,
    /// `exp`
    pub expires: NumericDate,
    /// `nbf`
    pub not_before: Option<NumericDate>,
    /// `iat`
    pub issued_at: Option<NumericDate>,
    /// `jti`
    pub id: Option<String>,
    /// `access`; entries with no actions are kept.
    pub access: AccessSet,
}
impl Claims {
    /// Reads a payload; types are strict, duplicate keys refused.
    pub fn from_json(_payload: &[u8]) -> Result<Self, ClaimsError> { todo!() }
    /// As signed.
    pub fn to_json(&self) -> Vec<u8> { todo!() }
}
/// Why a payload is not claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {}
