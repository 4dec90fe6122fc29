//! What is a secret, by its name or by its looks.

use serde_json::Value;

/// What the names of secrets have in them, in lower case and without signs.
const PARTS: &[&str] = &[
    "token",
    "password",
    "passwd",
    "secret",
    "jwt",
    "bearer",
    "assertion",
    "credential",
    "signature",
    "apikey",
    "cookie",
    "session",
    "authorization",
];
/// Names that have it in them too, and no secret behind them.
const HARMLESS: &[&str] = &["offlinetoken", "tokentype", "allowcredentials"];
/// Longer than any word of people, in characters.
const LONG: usize = 40;

/// Whether the value of such a field, parameter or header may be a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let bare: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let bare = bare.to_ascii_lowercase();
    !HARMLESS.iter().any(|harmless| bare.ends_with(harmless))
        && PARTS.iter().any(|part| bare.contains(part))
}

/// Leaves the secrets of a JSON document out.
pub(super) fn hide(value: &mut Value, is_under_secret: bool) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                hide(value, is_under_secret || is_secret(name));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, is_under_secret)),
        Value::String(text) if is_under_secret || is_token(text) => {
            *text = format!("… ({} characters)", text.chars().count());
        }
        Value::String(text) => *text = without(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text without what looks like a token in it, or stands behind the name of a secret: `token=…`,
/// `"token": "…"`, `<token>…`.
pub(super) fn without(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_coded) {
        shown.push_str(&rest[..start]);
        rest = &rest[start..];
        let (word, behind) = rest.split_at(rest.find(|c| !is_coded(c)).unwrap_or(rest.len()));
        let is_digest = shown.ends_with("sha256:") || shown.ends_with("sha512:");
        if let Some((name, value)) = word.split_once('=').filter(|(name, _)| is_secret(name)) {
            shown.extend([name, "=", if value.is_empty() && behind.is_empty() { "" } else { "…" }]);
            rest = behind.trim_start_matches(['"', '\'']);
            rest = if value.is_empty() { after_value(rest) } else { rest };
        } else if let Some(value) = named(word, behind) {
            shown.push_str(word);
            shown.push_str(&behind[..behind.len() - value.len()]);
            shown.push('…');
            rest = after_value(value);
        } else {
            shown.push_str(if is_token(word) && !is_digest { "…" } else { word });
            rest = behind;
        }
    }
    shown.push_str(rest);
    shown
}

/// What stands behind the name of a secret, if it is its value.
fn named<'a>(word: &str, behind: &'a str) -> Option<&'a str> {
    if !is_secret(word) {
        return None;
    }
    if let Some(value) = behind.strip_prefix('>') {
        return Some(value);
    }
    let closed = behind.strip_prefix(['"', '\''])?.trim_start();
    let value = closed.strip_prefix([':', '='])?.trim_start();
    // What is no text is looked through by itself.
    value.strip_prefix(['"', '\''])
}

fn after_value(text: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || "\"'&,;<>{}[]".contains(c);
    &text[text.find(ends).unwrap_or(text.len())..]
}

/// Long and without blanks: a JWT, or an opaque token.
fn is_token(text: &str) -> bool {
    text.contains("eyJ") || (text.len() > LONG && text.chars().all(|c| is_coded(c) || c == '/'))
}

fn is_coded(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.=+~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in ["token", "Refresh-Token", "accessToken", "X-Amz-Signature", "client_secret"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["offline_token", "token_type", "expires_in", "scope", "service", "issued_at"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn no_secret_stays_in_a_text() {
        for text in [
            "access_token=S3CR3T&scope=repo&token_type=bearer",
            "access_token=\"S3CR3T\"",
            "{\"token\": \"S3CR3T/with=signs\", \"n\": [",
            "{'refresh_token':'S3CR3T'",
            "<r><token>S3CR3T</token></r>",
            "got gho_S3CR3TS3CR3TS3CR3TS3CR3TS3CR3TS3CR3TS3CR3T, what now?",
            "eyJhbGciOiJFUzI1NiJ9.e30.S3CR3T",
        ] {
            let shown = without(text);
            assert!(!shown.contains("S3CR3T") && shown.contains('…'), "{shown}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "invalid token: it has expired",
            "the token service refuses the password, and says so",
            "manifest sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa unknown",
            "Bearer realm=\"https://auth.example.com/token\",service=\"registry\"",
            "",
        ] {
            assert_eq!(without(text), text);
        }
    }
}
