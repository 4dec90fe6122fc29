//! Error bodies of anybody: what can be told to a person of an answer that was not what it should
//! have been.

use std::fmt;

use serde_json::Value;

use crate::printable::is_unprintable;

/// What an error body says. Every text in it is one printable line, so that it can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// There is no body.
    Nothing,
    /// Errors with codes or messages, in whichever of the usual shapes (CL9, TP6).
    Errors(Vec<ReportedError>),
    /// A page for a browser: something else answered, usually a proxy. Its title, if it has one.
    Page(Option<String>),
    /// Anything else, shortened.
    Text(String),
}

/// One error: at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedError {
    /// `UNAUTHORIZED`, `invalid_grant`.
    pub code: Option<String>,
    /// The sentence for the user.
    pub message: Option<String>,
}

impl Reported {
    /// Reads a body: `{"errors":[{"code","message"}]}`, `{"errors":["…"]}`, `{"details":"…"}`,
    /// `{"error":"…","error_description":"…"}`, `{"error":{"code","message"}}`, `{"message":"…"}`, a
    /// page, or a text.
    pub fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Self::Nothing;
        }
        if text.starts_with('<') {
            return Self::Page(title(text));
        }
        let errors =
            serde_json::from_str(text).map(|value: Value| errors(&value)).unwrap_or_default();
        if errors.is_empty() { Self::Text(line(text)) } else { Self::Errors(errors) }
    }

    /// Whether one of the errors has this code.
    pub fn has_code(&self, code: &str) -> bool {
        let Self::Errors(errors) = self else { return false };
        errors.iter().any(|error| error.code.as_deref() == Some(code))
    }
}

impl fmt::Display for Reported {
    /// One line without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no reason given"),
            Self::Errors(errors) => {
                for (index, error) in errors.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{error}")?;
                }
                Ok(())
            }
            Self::Page(None) => f.write_str("a page for browsers"),
            Self::Page(Some(title)) => write!(f, "a page for browsers, titled {title:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl fmt::Display for ReportedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, "{message} ({code})"),
            (Some(only), None) | (None, Some(only)) => f.write_str(only),
            (None, None) => Ok(()),
        }
    }
}

/// No answer needs to list more.
const MAX_ERRORS: usize = 8;
/// Characters of foreign text that are shown.
const MAX_SHOWN: usize = 200;

/// Foreign text as one line that a terminal can show: no control characters, none that turn the
/// direction of writing, shortened.
pub(crate) fn line(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(MAX_SHOWN) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

fn errors(value: &Value) -> Vec<ReportedError> {
    if let Some(list) = value.get("errors").and_then(Value::as_array) {
        return list.iter().filter_map(entry).take(MAX_ERRORS).collect();
    }
    let nested = value.get("error").filter(|error| error.is_object());
    entry(nested.unwrap_or(value)).into_iter().collect()
}

fn entry(value: &Value) -> Option<ReportedError> {
    if let Value::String(message) = value {
        let message = Some(line(message)).filter(|text| !text.is_empty())?;
        return Some(ReportedError { code: None, message: Some(message) });
    }
    let member = |names: &[&str]| {
        let text = names.iter().find_map(|name| value.get(name).and_then(scalar));
        text.map(|text| line(&text)).filter(|text| !text.is_empty())
    };
    let code = member(&["code", "error"]);
    let message = member(&["message", "error_description", "details", "detail"]);
    (code.is_some() || message.is_some()).then_some(ReportedError { code, message })
}

/// A text, or the number that some servers send for a code.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    Some(line(&page[start..end])).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// CL9
    #[test]
    fn errors_are_read_in_every_usual_shape() {
        let table = [
            (
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#,
                "authentication required (UNAUTHORIZED)",
            ),
            (r#"{"errors":[{"code":"NAME_INVALID"},{"message":"no"}]}"#, "NAME_INVALID; no"),
            (r#"{"errors":["first","second"]}"#, "first; second"),
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            (
                r#"{"error":"invalid_grant","error_description":"wrong password"}"#,
                "wrong password (invalid_grant)",
            ),
            (r#"{"error":{"code":403,"message":"forbidden"}}"#, "forbidden (403)"),
            (r#"{"message":"Not Found","status":404}"#, "Not Found"),
            ("", "no reason given"),
            (" \r\n", "no reason given"),
            ("404 page not found\n", "\"404 page not found\""),
            (
                "<html><head><TITLE>502 Bad\nGateway</title>",
                "a page for browsers, titled \"502 Bad Gateway\"",
            ),
            ("<!DOCTYPE html><body>", "a page for browsers"),
            ("{}", "\"{}\""),
            (r#"{"errors":[]}"#, "\"{\\\"errors\\\":[]}\""),
            ("[1]", "\"[1]\""),
        ];
        for (body, said) in table {
            assert_eq!(Reported::read(body.as_bytes()).to_string(), said, "{body}");
        }
    }

    #[test]
    fn foreign_text_cannot_write_to_the_terminal() {
        let body = "{\"details\":\"\\u001b[2Jgone\\n\\u202eevil\"}".as_bytes();
        assert_eq!(Reported::read(body).to_string(), "[2Jgone evil");
        let long = Reported::read("x".repeat(5000).as_bytes()).to_string();
        assert!(long.chars().count() < 210, "{}", long.len());
    }

    #[test]
    fn codes_can_be_asked_for() {
        let reported = Reported::read(br#"{"error":"unsupported_grant_type"}"#);
        assert!(reported.has_code("unsupported_grant_type"));
        assert!(!reported.has_code("UNAUTHORIZED"));
    }

    #[test]
    fn a_body_without_a_word_is_shown_as_it_is() {
        for body in ["\"\"", "\"\\u200b\"", "[\"\"]", "{\"errors\":[\"\", \" \"]}"] {
            assert!(!Reported::read(body.as_bytes()).to_string().is_empty(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_one_line(body: Vec<u8>) {
            let said = Reported::read(&body).to_string();
            prop_assert!(!said.is_empty() && !said.contains(['\n', '\r', '\u{1b}']), "{said:?}");
        }
    }
}
