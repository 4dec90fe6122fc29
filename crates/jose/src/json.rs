//! JSON with duplicate keys refused at every depth.
pub use serde_json::{Map, Value};
/// Why bytes are not the JSON we want.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);
/// Reads one JSON object; duplicate keys at any depth are an error.
pub fn parse_object(_bytes: &[u8]) -> Result<Map<String, Value>, JsonError> { todo!() }
