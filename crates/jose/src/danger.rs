//! What nobody has vouched for.
use crate::{json::{Map, Value}, jws::Malformed};
/// A token's words, believed by nobody: for choosing a key, and for `token inspect`.
#[derive(Debug, Clone)]
pub struct Unverified { header: Map<String, Value>, payload: Vec<u8> }
impl Unverified {
    /// Splits, decodes and reads the header; any `alg`, `typ` and key will do.
    pub fn parse(_token: &str) -> Result<Self, Malformed> { todo!() }
    /// The header.
    pub fn header(&self) -> &Map<String, Value> { &self.header }
    /// The payload's bytes.
    pub fn payload(&self) -> &[u8] { &self.payload }
    /// The payload as a JSON object.
    pub fn claims(&self) -> Result<Map<String, Value>, Malformed> { todo!() }
    /// `iss`, for choosing whose keys to ask.
    pub fn issuer(&self) -> Option<String> { todo!() }
}
