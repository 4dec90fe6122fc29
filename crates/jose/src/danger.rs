//! What nobody has vouched for. Nothing here may decide who somebody is.

use crate::{
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

    /// `iss`, for choosing whose keys to ask.
    pub fn issuer(&self) -> Option<String> {
        self.claims().ok()?.get("iss")?.as_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;

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
