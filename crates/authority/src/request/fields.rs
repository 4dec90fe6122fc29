//! Names and values of a query or a form.

use percent_encoding::percent_decode;

use super::RequestError;

/// The pairs of `application/x-www-form-urlencoded`, in their order; `+` and `%20` are spaces (T10).
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, Value)>);

/// A value, unless it is not UTF-8.
type Value = Option<String>;

impl Fields {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let pair = |pair: &[u8]| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            Some((name, decode(halves.next().unwrap_or_default())))
        };
        Self(pairs.take(MAX_FIELDS).filter_map(pair).collect())
    }

    /// Whether it is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Every value of that name that can be read.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).filter_map(|(_, value)| value.as_deref())
    }

    /// The value of that name. RFC 6749 §3.2 forbids a second; one that says the same is let pass.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, RequestError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let Some(first) = values.next() else { return Ok(None) };
        if !values.all(|value| value == first) {
            return Err(RequestError::Repeated { field: name });
        }
        first.as_deref().map(Some).ok_or(RequestError::NotText { field: name })
    }
}

/// `None` where it is not UTF-8.
fn decode(encoded: &[u8]) -> Value {
    let spaced: Vec<u8> = encoded.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Far more than 256 scopes need; the rest of a longer list is not looked at.
const MAX_FIELDS: usize = 8192;
