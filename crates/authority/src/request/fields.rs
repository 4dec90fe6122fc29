//! Names and values of a query or a form.

use super::RequestError;

/// The pairs of `application/x-www-form-urlencoded`, in their order; `+` and `%20` are spaces (T10).
///
/// What is not UTF-8 becomes U+FFFD, which no account, service or scope of ours contains.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded).take(MAX_FIELDS);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Whether it is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Every value of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of that name. RFC 6749 §3.2 forbids a second; one that says the same is let pass.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, RequestError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.all(|value| Some(value) == first) {
            Ok(first)
        } else {
            Err(RequestError::Repeated { field: name })
        }
    }
}

/// Far more than 256 scopes need; the rest of a longer list is not looked at.
const MAX_FIELDS: usize = 8192;
