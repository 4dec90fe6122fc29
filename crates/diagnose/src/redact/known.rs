//! The secrets of this very diagnosis: what was given to it, what it sent, and what it got for that. A server may say
//! them back in any words and under any name, so they are looked for by what they are.

use std::sync::{Mutex, PoisonError};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use portpass_protocol::printable::is_unprintable;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{login, secret::is_secret};
use crate::exchange::{Authorization, Exchange, Request, RequestBody};

/// What is shown in a secret's place, and where a text is cut.
const MARK: char = '…';
/// Shorter ones are parts of many words: they are hidden only as separate words, in characters.
const SHORT: usize = 8;
/// So much of a secret before a cut is a part of it, in characters.
const PART: usize = 3;

/// All that must not be shown, the longest first.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Mutex<Vec<SecretString>>);

impl Secrets {
    /// A token, or a password alone.
    pub(crate) fn learn(&self, secret: &str) {
        let secret = secret.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !secret.is_empty() && known.iter().all(|known| known.expose_secret() != secret) {
            known.push(secret.into());
            known.sort_by_key(|known| std::cmp::Reverse(known.expose_secret().len()));
        }
    }

    /// A name and a password, also as `Basic` has them.
    pub(crate) fn learn_login(&self, name: &str, password: &str) {
        self.learn(password);
        for text in [format!("{name}:{password}"), password.to_owned()] {
            self.learn(&STANDARD_NO_PAD.encode(&text));
            self.learn(&URL_SAFE_NO_PAD.encode(&text));
        }
    }

    /// All of a request.
    pub(crate) fn learn_request(&self, request: &Request) {
        match &request.authorization {
            Authorization::None | Authorization::Literal(_) => {}
            Authorization::Basic { username, password } => {
                self.learn_login(username, password.expose_secret());
            }
            Authorization::Bearer(token) => self.learn(token.expose_secret()),
        }
        for (_, value) in request.url.query_pairs().filter(|(name, _)| is_secret(name)) {
            self.learn(&value);
        }
        if let RequestBody::Form(fields) = &request.body {
            for (_, value) in fields.iter().filter(|(name, _)| is_secret(name)) {
                self.learn(value.expose_secret());
            }
        }
    }

    /// The tokens of an answer.
    pub(crate) fn learn_answer(&self, body: &[u8]) {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return };
        for name in ["token", "access_token", "refresh_token"] {
            if let Some(Value::String(token)) = fields.get(name) {
                self.learn(token);
            }
        }
    }

    /// An exchange without them.
    pub(crate) fn hide_in_exchange(&self, exchange: &mut Exchange) {
        self.hide_in(&mut exchange.request);
        self.hide_in(&mut exchange.answer);
    }

    /// Lines without them.
    pub(crate) fn hide_in(&self, lines: &mut [String]) {
        for line in lines {
            *line = self.hide(line);
        }
    }

    /// A text without them, however they are written in it.
    pub(crate) fn hide(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = text.to_owned();
        for secret in known.iter() {
            shown = hidden(&shown, secret.expose_secret());
        }
        login::without(&shown)
    }
}

fn hidden(text: &str, secret: &str) -> String {
    let is_short = secret.chars().nth(SHORT - 1).is_none();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let behind = after(rest, secret);
        let whole = |behind: &&str| !is_short || !(ends_in_word(&shown) || begins_word(behind));
        if let Some(behind) = behind.filter(whole) {
            shown.push(MARK);
            rest = behind.strip_prefix(MARK).unwrap_or(behind);
        } else {
            shown.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    shown
}

/// What follows the secret that a text begins with, or the part of it that a cut has left.
fn after<'a>(text: &'a str, secret: &str) -> Option<&'a str> {
    let mut rest = text;
    for (at, c) in secret.chars().enumerate() {
        match after_char(rest, c) {
            Some(behind) => rest = behind,
            None if at >= PART && rest.starts_with(MARK) => return Some(rest),
            None => return None,
        }
    }
    Some(rest)
}

/// What follows a character, as it is or as URLs, JSON and HTML write it.
fn after_char(text: &str, c: char) -> Option<&str> {
    if c == ' ' {
        let spaced = text.strip_prefix("%20").or_else(|| text.strip_prefix(['+', ' ']));
        return spaced.map(str::trim_start);
    }
    after_coded(text, c).or_else(|| text.strip_prefix(c))
}

fn after_coded(text: &str, c: char) -> Option<&str> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    match text.chars().next()? {
        '%' => after_bytes(text, c, |text, byte| {
            let (coded, behind) = text.strip_prefix('%')?.split_at_checked(2)?;
            (hex(coded)? == u32::from(byte)).then_some(behind)
        }),
        '\\' => {
            let rest = &text[1..];
            let coded = || {
                let (coded, behind) = rest.strip_prefix('u')?.split_at_checked(4)?;
                (hex(coded)? == u32::from(c)).then_some(behind)
            };
            rest.strip_prefix(c).or_else(coded)
        }
        '&' => {
            let (entity, behind) = text[1..].split_once(';')?;
            let meant = match entity {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                number => {
                    let number = number.strip_prefix('#')?;
                    let code =
                        number.strip_prefix(['x', 'X']).map_or_else(|| number.parse().ok(), hex);
                    char::from_u32(code?)?
                }
            };
            (meant == c).then_some(behind)
        }
        // UTF-8 that somebody has read as Latin-1.
        next if !next.is_ascii() && !c.is_ascii() => after_bytes(text, c, |text, byte| {
            let byte = char::from(byte);
            text.strip_prefix(if is_unprintable(byte) { ' ' } else { byte })
        }),
        _ => None,
    }
}

fn after_bytes<'a>(
    text: &'a str,
    c: char,
    after: impl Fn(&'a str, u8) -> Option<&'a str>,
) -> Option<&'a str> {
    c.encode_utf8(&mut [0; 4]).bytes().try_fold(text, after)
}

fn begins_word(text: &str) -> bool {
    text.starts_with(char::is_alphanumeric)
}

/// What ends in `%20` does not, though `0` is a sign of words.
fn ends_in_word(text: &str) -> bool {
    let coded = text.len().checked_sub(3).and_then(|at| text.get(at..));
    let coded = coded.and_then(|coded| coded.strip_prefix('%'));
    let coded = coded.is_some_and(|coded| coded.chars().all(|c| c.is_ascii_hexdigit()));
    text.ends_with(char::is_alphanumeric) && !coded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(name: &str, password: &str) -> Secrets {
        let secrets = Secrets::default();
        secrets.learn_login(name, password);
        secrets
    }

    #[test]
    fn a_password_is_hidden_however_it_is_written() {
        let secrets = knows("ann", "sécret \"P&W\"/1234");
        for text in [
            "user ann with 'sécret \"P&W\"/1234' was not found",
            "s%C3%A9cret%20%22P%26W%22%2F1234",
            "s%c3%a9cret+%22P%26W%22%2f1234",
            r#"{"m":"sécret \"P&W\"\/1234"}"#,
            r#"{"m":"s\u00e9cret \u0022P&W\"/1234"}"#,
            "<b>s&#233;cret &quot;P&amp;W&#x22;/1234</b>",
            "sÃ©cret \"P&W\"/1234",
            "sécret   \"P&W\"/1234",
            r#"s\u00e9cret \"P&amp;W\"/1234"#,
            "cut in the midst: sécret \"P…",
        ] {
            let shown = secrets.hide(text);
            assert!(shown.contains('…') && !shown.contains("cret"), "{shown}");
            assert!(!shown.contains("1234") && !shown.contains('P'), "{shown}");
        }
    }

    #[test]
    fn basic_is_hidden_in_its_forms() {
        let secrets = knows("ann", "secretPW1234??>");
        for text in [
            format!("it was {}", STANDARD_NO_PAD.encode("ann:secretPW1234??>")),
            format!("Basic%20{}", URL_SAFE_NO_PAD.encode("ann:secretPW1234??>")),
            format!("({})", STANDARD_NO_PAD.encode("secretPW1234??>")),
        ] {
            let shown = secrets.hide(&text);
            assert!(shown.contains('…') && shown.len() < 16, "{shown}");
        }
    }

    #[test]
    fn a_short_password_is_hidden_where_it_stands_alone() {
        let secrets = knows("ann", "test");
        assert_eq!(secrets.hide("latest tests of 'test'"), "latest tests of '…'");
        assert_eq!(secrets.hide("pw=test&x, with%20test%20"), "pw=…&x, with%20…%20");
        let none = knows("", " ");
        assert_eq!(none.hide("a b"), "a b");
    }
}
