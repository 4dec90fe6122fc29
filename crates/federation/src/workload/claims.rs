//! Where a claim lies in a token, and what a condition may compare of it.

use std::{borrow::Cow, fmt};

use portpass_jose::json::{self, Map, Value};

/// The name of a claim, or the way to one inside another: `repository`,
/// `kubernetes.io/serviceaccount/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimPath(Box<str>);

impl ClaimPath {
    /// Reads one; `None` where there is no name.
    pub fn new(text: &str) -> Option<Self> {
        let named = !text.is_empty() && !text.split('/').any(str::is_empty);
        named.then(|| Self(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the token says there. A name may have `/` in it (`oidc.circleci.com/project-id`), so the
    /// longest name that there is counts first.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        find(claims, &self.0)
    }

    /// What a condition compares: the text of a value that is one, or of each in a list.
    pub fn texts<'a>(&self, claims: &'a Map<String, Value>) -> Vec<Cow<'a, str>> {
        match self.find(claims) {
            Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn find<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.rmatch_indices('/').find_map(|(at, _)| match object.get(&path[..at]) {
        Some(Value::Object(inner)) => find(inner, &path[at + 1..]),
        _ => None,
    })
}

/// Numbers are compared as they are written, `true` and `false` as words.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(word) => Some(Cow::Borrowed(if *word { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What stands in a token instead of what was expected, short and on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no such claim.
    Nothing,
    /// A value that can be compared.
    Value(String),
    /// A list of such values.
    OneOf(Vec<String>),
    /// Something else: `an object`.
    Kind(&'static str),
}

impl Found {
    pub(super) fn at(path: &ClaimPath, claims: &Map<String, Value>) -> Self {
        match path.find(claims) {
            None => Self::Nothing,
            Some(Value::Array(_)) => Self::OneOf(
                path.texts(claims).iter().take(MOST_SHOWN).map(|text| shown(text)).collect(),
            ),
            Some(value) => match text(value) {
                Some(text) => Self::Value(shown(&text)),
                None => Self::Kind(json::kind(value)),
            },
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("missing"),
            Self::Value(text) => write!(f, "{text:?}"),
            Self::OneOf(texts) => f.debug_list().entries(texts).finish(),
            Self::Kind(kind) => f.write_str(kind),
        }
    }
}

/// As much of a foreign text as an error repeats.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

const LONGEST_SHOWN: usize = 120;
const MOST_SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Map<String, Value> {
        json::parse_object(
            br#"{"repository":"acme/app","aud":["a","b"],"build_number":7,"protected":true,"null":null,
                 "kubernetes.io":{"namespace":"build","serviceaccount":{"name":"pusher"}},
                 "oidc.circleci.com/project-id":"p","a":{"b/c":"inner"},"a/b":{"c":"outer"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn claims_are_found_by_name_and_inside_others() {
        for (path, found) in [
            ("repository", r#""acme/app""#),
            ("build_number", r#""7""#),
            ("protected", r#""true""#),
            ("kubernetes.io/namespace", r#""build""#),
            ("kubernetes.io/serviceaccount/name", r#""pusher""#),
            ("kubernetes.io/serviceaccount", "an object"),
            ("oidc.circleci.com/project-id", r#""p""#),
            ("a/b/c", r#""outer""#),
            ("aud", r#"["a", "b"]"#),
            ("null", "null"),
            ("repository/name", "missing"),
            ("ref", "missing"),
        ] {
            let path = ClaimPath::new(path).unwrap();
            assert_eq!(Found::at(&path, &claims()).to_string(), found, "{path}");
        }
        for path in ["", "/a", "a//b", "a/"] {
            assert_eq!(ClaimPath::new(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let claims =
            json::parse_object(format!(r#"{{"a":"{}"}}"#, "ü".repeat(200)).as_bytes()).unwrap();
        let found = Found::at(&ClaimPath::new("a").unwrap(), &claims).to_string();
        assert_eq!(found.chars().count(), LONGEST_SHOWN + 3, "{found}");
    }
}
