//! What of an exchange may be shown: everything but passwords and tokens.

use reqwest::Url;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::probe::{Ask, Authorization, Seen, Sent};

/// Fields of forms, queries and JSON whose values are secrets.
const SECRETS: &[&str] = &[
    "password",
    "refresh_token",
    "access_token",
    "token",
    "id_token",
    "jwt",
    "assertion",
    "client_secret",
    "secret",
    "accesstoken",
    "auth_token",
    "authtoken",
    "bearer",
    "identitytoken",
    "idtoken",
    "refreshtoken",
    "registrytoken",
];
/// How much of a body is shown, in characters.
const EXCERPT: usize = 300;

/// The lines of a request.
pub(super) fn request(ask: &Ask) -> Vec<String> {
    let mut lines = vec![format!("{} {}", ask.method, url(&ask.url))];
    match &ask.authorization {
        Authorization::None => {}
        Authorization::Basic { username, .. } => {
            lines.push(format!("Authorization: Basic {username}:…"));
        }
        Authorization::Bearer(token) => {
            let length = token.expose_secret().len();
            lines.push(format!("Authorization: Bearer … ({length} characters)"));
        }
        Authorization::Words(words) => lines.push(format!("Authorization: {words}")),
    }
    lines.extend(ask.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    match &ask.body {
        Sent::Nothing => {}
        Sent::Bytes(bytes) => lines.push(format!("({} bytes)", bytes.len())),
        Sent::Form(fields) => {
            let shown = fields.iter().map(|(name, value)| {
                let value = if is_secret(name) { "…" } else { value.expose_secret() };
                format!("{name}={value}")
            });
            lines.push(shown.collect::<Vec<_>>().join("&"));
        }
    }
    lines
}

/// The lines of an answer.
pub(super) fn answer(seen: &Seen) -> Vec<String> {
    let mut lines = vec![format!("{} ({} ms)", seen.status, seen.took.as_millis())];
    let shown = seen.headers.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "set-cookie" | "authorization" => "…".to_owned(),
            "location" => location(&String::from_utf8_lossy(value.as_bytes())),
            _ => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        format!("{name}: {}", printable(&value))
    });
    lines.extend(shown);
    if !seen.body.is_empty() {
        lines.push(body(&seen.body));
    }
    lines
}

/// A URL with its query, values of secrets left out.
pub(super) fn url(url: &Url) -> String {
    let mut shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
    for (at, (name, value)) in url.query_pairs().enumerate() {
        let value = if is_secret(&name) { "…".into() } else { value };
        shown.push(if at == 0 { '?' } else { '&' });
        shown.extend([&*name, "=", &*value]);
    }
    printable(&shown)
}

/// The beginning of a body as one line. Values of JSON that may be secrets, and whatever looks like a
/// token, are left out.
pub(super) fn body(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = match serde_json::from_slice::<Value>(bytes) {
        Ok(mut value) => {
            hide(&mut value);
            value.to_string()
        }
        Err(_) => words(&text),
    };
    cut(&text, EXCERPT)
}

fn location(text: &str) -> String {
    match Url::parse(text) {
        Ok(parsed) => url(&parsed),
        Err(_) => text.split('?').next().unwrap_or_default().to_owned(),
    }
}

/// A text of the other side as it may stand in a sentence: printable, and not too long.
pub(super) fn text(text: &str) -> String {
    cut(text, EXCERPT)
}

/// Printable, and cut after so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut shown: String = printable(text).chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters would let a server write on the terminal, and those of direction would let it
/// write something else than is read.
fn printable(text: &str) -> String {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if invisible(c) { ' ' } else { c }).collect()
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if is_secret(name) || is_token(text) => {
                        *text = format!("… ({} characters)", text.chars().count());
                    }
                    other => hide(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(text) if is_token(text) => {
            *text = format!("… ({} characters)", text.chars().count());
        }
        _ => {}
    }
}

fn words(text: &str) -> String {
    let hidden = text.split_whitespace().map(|word| if is_token(word) { "…" } else { word });
    hidden.collect::<Vec<_>>().join(" ")
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Long and without blanks: a JWT, or an opaque token.
fn is_token(text: &str) -> bool {
    let coded = |c: char| c.is_ascii_alphanumeric() || "-_.=+/~".contains(c);
    text.contains("eyJ") || (text.len() > 40 && text.chars().all(coded) && !text.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shown_by_their_length() {
        let shown = body(
            br#"{"jwt":"eyJhbGciOiJFUzI1NiJ9.e30.AAAA","expires_in":300,"data":{"token":"s"}}"#,
        );
        assert!(!shown.contains("eyJ") && !shown.contains("\"s\""), "{shown}");
        assert!(shown.contains("expires_in"), "{shown}");
        assert_eq!(body(b"eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), "…");
        assert!(body(b"<html>\x1b[31m").contains("<html> [31m"));
    }

    #[test]
    fn urls_keep_their_query_without_secrets() {
        let asked = Url::parse("https://host/token?service=a&refresh_token=b&scope=c").unwrap();
        assert_eq!(url(&asked), "https://host/token?service=a&refresh_token=…&scope=c");
    }
}
