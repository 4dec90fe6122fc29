//! Names of keys.
use std::fmt;
use serde::{Deserialize, Serialize};
use crate::VerifyingKey;
/// The name of a key: RFC 7638 thumbprint, libtrust fingerprint or anything a JWKS says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(std::sync::Arc<str>);
impl KeyId {
    /// RFC 7638 thumbprint.
    pub fn rfc7638(_key: &VerifyingKey) -> Self { todo!() }
    /// libtrust fingerprint.
    pub fn libtrust(_key: &VerifyingKey) -> Self { todo!() }
    /// Text.
    pub fn as_str(&self) -> &str { &self.0 }
    /// What it looks like.
    pub fn form(&self) -> IdForm { todo!() }
}
impl From<&str> for KeyId { fn from(text: &str) -> Self { Self(text.into()) } }
impl fmt::Display for KeyId { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
/// What a key id looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IdForm { Libtrust, Rfc7638, Other }
/// How a token of ours names the key that signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum KeyIdForm { X5c, Libtrust, Rfc7638 }
