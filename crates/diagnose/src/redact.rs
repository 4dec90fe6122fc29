//! What of an exchange may be shown: everything but passwords and tokens.

use portpass_protocol::printable::is_unprintable;
use reqwest::Url;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use self::secret::{hide, is_secret, without};
use super::exchange::{Authorization, Request, RequestBody, Response};

mod known;
mod login;
mod secret;

pub(super) use known::Secrets;

/// Parameters of queries that are shown. Any other may be a signature: with the URL of a storage anybody can
/// fetch a blob, and an upload's has the registry's own state in it.
const KNOWN: &[&str] = &[
    "account",
    "client_id",
    "digest",
    "from",
    "grant_type",
    "last",
    "mount",
    "n",
    "ns",
    "offline_token",
    "portpass",
    "scope",
    "service",
];
/// How much of a body is shown, in characters.
const EXCERPT: usize = 300;
/// And of a header.
const HEADER: usize = 1000;

/// The lines of a request.
pub(super) fn request(request: &Request) -> Vec<String> {
    let mut lines = vec![format!("{} {}", request.method, url(&request.url))];
    match &request.authorization {
        Authorization::None => {}
        Authorization::Basic { username, .. } => {
            lines.push(format!("Authorization: Basic {username}:…"));
        }
        Authorization::Bearer(token) => {
            let length = token.expose_secret().len();
            lines.push(format!("Authorization: Bearer … ({length} characters)"));
        }
        Authorization::Literal(words) => lines.push(format!("Authorization: {words}")),
    }
    lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    match &request.body {
        RequestBody::Nothing => {}
        RequestBody::Bytes(bytes) => lines.push(format!("({} bytes)", bytes.len())),
        RequestBody::Form(fields) => {
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
pub(super) fn answer(response: &Response) -> Vec<String> {
    let mut lines = vec![format!("{} ({} ms)", response.status, response.took.as_millis())];
    let shown = response.headers.iter().map(|(name, value)| {
        let value = match name.as_str() {
            secret if is_secret(secret) => "…".to_owned(),
            "location" | "content-location" => location(&String::from_utf8_lossy(value.as_bytes())),
            _ => without(&login::without(&String::from_utf8_lossy(value.as_bytes()))),
        };
        format!("{name}: {}", cut(&value, HEADER))
    });
    lines.extend(shown);
    if !response.body.is_empty() {
        lines.push(body(&response.body));
    }
    lines
}

/// The beginning of an answer's body as one line, tokens left out.
pub(super) fn excerpt(response: &Response) -> String {
    body(&response.body)
}

/// A URL with its query, values of secrets left out.
pub(super) fn url(url: &Url) -> String {
    let mut shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
    for (at, (name, value)) in url.query_pairs().enumerate() {
        let value = if KNOWN.contains(&&*name) { value } else { "…".into() };
        shown.push(if at == 0 { '?' } else { '&' });
        shown.extend([&*name, "=", &*value]);
    }
    printable(&shown)
}

/// The beginning of a body as one line. Values of JSON that may be secrets, and whatever looks like a
/// token, are left out; also where something stands around the JSON.
pub(super) fn body(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let text = match values.next() {
        Some(Ok(mut value)) => {
            let rest = without(&text[values.byte_offset()..]);
            hide(&mut value, false);
            format!("{value} {rest}")
        }
        Some(Err(_)) | None => without(text),
    };
    let text = login::without(&text);
    let words: Vec<&str> = text.split_whitespace().collect();
    cut(&words.join(" "), EXCERPT)
}

fn location(text: &str) -> String {
    match Url::parse(text) {
        Ok(parsed) => url(&parsed),
        Err(_) => text.split(['?', '#']).next().unwrap_or_default().to_owned(),
    }
}

/// A text of the other side as it may stand in a sentence: printable, without logins, and not too long.
pub(super) fn text(text: &str) -> String {
    cut(&login::without(text), EXCERPT)
}

/// A command as a shell takes it. Passwords and tokens have no flag; one that stands there by a slip is left out.
pub(super) fn command(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
        let word = without(word);
        if !word.is_empty() && word.chars().all(|c| plain(c) || !c.is_ascii()) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    printable(&quoted.collect::<Vec<_>>().join(" "))
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
    text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect()
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
    fn a_command_can_be_typed_again_and_has_no_secret() {
        let shown = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            command(&words)
        };
        assert_eq!(
            shown(&["portpass", "diagnose", "--ca", "my ca.pem", "host:5000/team/app", "it's", ""]),
            r"portpass diagnose --ca 'my ca.pem' host:5000/team/app 'it'\''s' ''"
        );
        let slip = shown(&["portpass", "--token=eyJhbGciOiJFUzI1NiJ9.e30.AAAA"]);
        assert!(!slip.contains("eyJ"), "{slip}");
        assert!(!shown(&["a\u{1b}[2J"]).contains('\u{1b}'));
    }

    #[test]
    fn urls_keep_their_query_without_secrets() {
        let asked = Url::parse("https://host/token?service=a&refresh_token=b&scope=c").unwrap();
        assert_eq!(url(&asked), "https://host/token?service=a&refresh_token=…&scope=c");
    }

    #[test]
    fn a_signed_url_is_no_way_to_the_blob() {
        let signed = "https://s3.example.com/blob?X-Amz-Credential=S3CR3T&X-Amz-Signature=S3CR3T";
        for signed in [signed, "https://a.example.com/?sv=1&sig=S3CR3T", "https://c/?hdnts=S3CR3T"]
        {
            let shown = url(&Url::parse(signed).unwrap());
            assert!(!shown.contains("S3CR3T") && shown.starts_with(&signed[..15]), "{shown}");
            assert_eq!(location(signed), shown);
        }
        assert_eq!(location("/v2/a/blobs/uploads/1?_state=S3CR3T"), "/v2/a/blobs/uploads/1");
    }

    #[test]
    fn a_token_is_hidden_in_an_answer_that_is_no_clean_json() {
        for answer in [
            "\u{feff}{\"token\":\"S3CR3T\"}",
            "{\"token\":\"S3CR3T\"} {\"access_token\":\"S3CR3T\"}",
            "{\"token\":\"S3CR3T\",",
            "{\"tokens\":[\"S3CR3T\"],\"token\":{\"value\":\"S3CR3T\"}}",
            "{\"data\":\"{\\\"token\\\":\\\"S3CR3T\\\"}\"}",
            "access_token=S3CR3T&token_type=bearer",
        ] {
            assert!(!body(answer.as_bytes()).contains("S3CR3T"), "{}", body(answer.as_bytes()));
        }
    }

    #[test]
    fn a_number_or_a_word_alone_is_shown() {
        assert_eq!(body(b"404 page not found\n"), "404 page not found");
        assert_eq!(body(b"true"), "true");
    }
}
