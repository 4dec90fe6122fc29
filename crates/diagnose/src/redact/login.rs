//! Logins in the words of servers that `diagnose` did not send itself: `Basic …`, and those in URLs.

use base64::{Engine as _, alphabet, engine};

use super::{KNOWN, secret};

/// A text without what is behind `Basic`, before the host of a URL, and in parameters that may be secret.
pub(super) fn without(text: &str) -> String {
    urls(&basic(text))
}

/// `Basic YW5u…`, and not "basic" as a word before others.
fn basic(text: &str) -> String {
    const SCHEME: &str = "basic";
    // Of the same length, so that places are the same.
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in lower.match_indices(SCHEME) {
        let behind = &text[at + SCHEME.len()..];
        let word = behind.trim_start_matches([' ', ':', '=', '"', '\'']);
        let start = text.len() - word.len();
        let length = word.find(|c| !is_base64(c)).unwrap_or(word.len());
        if start >= done && word.len() < behind.len() && is_login(&word[..length]) {
            shown.extend([&text[done..start], "…"]);
            done = start + length;
            done += text[done..].chars().next().filter(|c| *c == '…').map_or(0, char::len_utf8);
        }
    }
    shown + &text[done..]
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/-_=".contains(c)
}

/// Whether there is a colon in what is coded, also where the end is cut off.
fn is_login(coded: &str) -> bool {
    let config = engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let decoder = engine::GeneralPurpose::new(&alphabet::STANDARD, config);
    let coded = coded.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let whole = if coded.len() % 4 == 1 { &coded[..coded.len() - 1] } else { &coded };
    decoder.decode(whole).is_ok_and(|pair| pair.contains(&b':'))
}

fn urls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("//") {
        shown.push_str(&rest[..start + 2]);
        rest = &rest[start + 2..];
        let (url, behind) = rest.split_at(rest.find(ends_url).unwrap_or(rest.len()));
        let host = url.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rfind('@').map_or(0, |at| at);
        if host > 0 {
            shown.push('…');
        }
        shown.push_str(&query(&url[host..]));
        rest = behind;
    }
    shown + rest
}

/// The rest of a URL, parameters left out that clients do not send.
fn query(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if secret::is_secret(name) || !KNOWN.contains(&name) => format!("{name}=…"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || "\"'`<>".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_login_stays_in_a_text() {
        for text in [
            "Unauthorized: Basic YW5uOnNlY3JldA==",
            "authorization: basic YW5uOnNlY3JldA",
            "Authorization=Basic:YW5uOnNlY3Jl…",
            "at https://user:hushpw@auth.example.com/token",
            "at //hushpw@auth.example.com",
            "Bearer realm=\"https://auth.example.com/token?service=a&refresh_token=hushpw&scope=b\"",
            "https://storage.example.com/blob?sig=hushpw",
        ] {
            let shown = without(text);
            assert!(shown.contains('…'), "{shown}");
            assert!(!shown.contains("YW5u") && !shown.contains("hushpw"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_login_stays_as_it_is() {
        for text in [
            "it asks for Basic authentication, as basic registries do",
            "Basic realm=\"Registry Realm\"",
            "Authorization: Basic ann:…",
            "https://auth.example.com/token?service=a@b&scope=repository:a:pull,push",
            "host//team/app@sha256:aa, mail to ann@example.com",
            "https://host/token?service=a&refresh_token=…&scope=c",
        ] {
            assert_eq!(without(text), text);
        }
    }
}
