//! `notifications`: the endpoints that are told, without what may be a secret.

use std::{ops::RangeInclusive, time::Duration};

use url::Url;

use super::section::Section;
use crate::{
    measure::Span,
    translation::{Writer, quoted},
};

pub(super) fn write(file: &mut Section<'_>, writer: &mut Writer) {
    if !file.has("notifications") {
        return;
    }
    let mut notifications = file.section("notifications", writer);
    let mut events = notifications.section("events", writer);
    let references = events.flag("includereferences", writer);
    events.rest(writer);
    let endpoints = notifications.entries("endpoints", writer);
    notifications.rest(writer);
    writer.line("  notifications:");
    if references == Some(true) {
        writer.line("    events: { includereferences: true }");
    }
    writer.line("    endpoints:");
    let mut written = 0;
    for mut endpoint in endpoints {
        if let Some(lines) = read(&mut endpoint, writer) {
            writer.lines(lines);
            written += 1;
        }
    }
    if written == 0 {
        writer.line("      []");
    }
}

/// None where it says too little to be one.
fn read(endpoint: &mut Section<'_>, writer: &mut Writer) -> Option<Vec<String>> {
    let name = endpoint.text("name", writer);
    let url = endpoint.text("url", writer);
    let (name_key, url_key) = (endpoint.name("name"), endpoint.name("url"));
    let (Some(name), Some(url)) = (name, url) else {
        writer.doubt(format!("`{name_key}` or `{url_key}` is missing, so there is no endpoint"));
        return None;
    };
    // The text is not repeated: it may hold a password.
    let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(mut url) = url.filter(Url::has_host) else {
        writer.doubt(format!("`{url_key}` is no URL, so there is no endpoint"));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        writer.doubt(format!("`{url_key}` has a user name or a password, which is left out here: write `headers: {{ Authorization: [Basic …] }}`"));
        // A URL with a host can be without both.
        url.set_username("").and_then(|()| url.set_password(None)).ok()?;
    }
    let mut lines = vec![
        format!("      - name: {}", quoted(&name)),
        format!("        url: {}", quoted(url.as_str())),
    ];
    if endpoint.flag("disabled", writer) == Some(true) {
        lines.push("        disabled: true".to_owned());
    }
    for (key, possible) in [("timeout", TIMEOUTS), ("backoff", BACKOFFS)] {
        lines.extend(span(endpoint, key, &possible, writer));
    }
    lines.extend(threshold(endpoint, writer));
    let headers = endpoint.section("headers", writer);
    let names: Vec<&str> = headers.keys().collect();
    if !names.is_empty() {
        let (key, names) = (endpoint.name("headers"), names.join(", "));
        writer.doubt(format!("`{key}` ({names}) is left out, since values of headers may be secrets: write them below the endpoint"));
    }
    lines.extend(ignore(endpoint, writer));
    endpoint.rest(writer);
    Some(lines)
}

fn ignore(endpoint: &mut Section<'_>, writer: &mut Writer) -> Vec<String> {
    let mut media_types = endpoint.list("ignoredmediatypes", writer);
    let mut ignore = endpoint.section("ignore", writer);
    media_types.append(&mut ignore.list("mediatypes", writer));
    let key = ignore.name("actions");
    let mut actions = ignore.list("actions", writer);
    ignore.rest(writer);
    actions.retain(|action| {
        let known = ["pull", "push", "mount", "delete"].contains(&action.as_str());
        if !known {
            writer.doubt(format!("`{key}` has {action}, which is no action"));
        }
        known
    });
    let list =
        |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let mut lines = Vec::new();
    if !media_types.is_empty() || !actions.is_empty() {
        lines.push("        ignore:".to_owned());
    }
    for (key, texts) in [("mediatypes", media_types), ("actions", actions)] {
        if !texts.is_empty() {
            lines.push(format!("          {key}: [{}]", list(&texts)));
        }
    }
    lines
}

/// In whole seconds, as they are counted here.
fn span(
    endpoint: &mut Section<'_>,
    key: &str,
    possible: &RangeInclusive<u64>,
    writer: &mut Writer,
) -> Option<String> {
    let name = endpoint.name(key);
    let text = endpoint.text(key, writer)?;
    let Some(duration) = go_duration(&text) else {
        writer.doubt(format!("`{name}` is {text}, which is no length of time; it is 1s here"));
        return None;
    };
    if duration.is_zero() {
        // distribution takes its default, which is ours.
        return None;
    }
    let up = u64::from(duration.subsec_nanos() > 0);
    let seconds = duration.as_secs().saturating_add(up);
    let seconds = seconds.clamp(*possible.start(), *possible.end());
    let span = Span(Duration::from_secs(seconds));
    if span.0 != duration {
        writer.doubt(format!("`{name}` is {text}; it is {span} here"));
    }
    Some(format!("        {key}: {span}"))
}

fn threshold(endpoint: &mut Section<'_>, writer: &mut Writer) -> Option<String> {
    let name = endpoint.name("threshold");
    let text = endpoint.text("threshold", writer)?;
    match text.parse::<i64>() {
        Ok(number @ 1..=1_000_000) => Some(format!("        threshold: {number}")),
        // distribution takes its default, which is ours.
        Ok(..=0) => None,
        Ok(_) | Err(_) => {
            writer.doubt(format!("`{name}` is {text}; it is 10 here"));
            None
        }
    }
}

/// A length of time as Go writes it (`1m30s`, `1.5h`, `500ms`), or a number of nanoseconds.
fn go_duration(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (number, behind) = rest.split_at(digits);
        let unit = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number: f64 = number.parse().ok()?;
        sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(sum)
}

const UNITS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// In seconds.
const TIMEOUTS: RangeInclusive<u64> = 1..=60;
const BACKOFFS: RangeInclusive<u64> = 1..=3600;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_go_does() {
        for (text, milliseconds) in
            [("1s", 1000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("500ms", 500), ("2000000", 2)]
        {
            assert_eq!(go_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "1", "1x", "-1s", "1s ", "1.2.3s", "99999999999999999999999h"] {
            let expected = (text == "1").then(|| Duration::from_nanos(1));
            assert_eq!(go_duration(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "[0-9.]{0,30}[a-zµ]{0,3}.{0,5}") {
            go_duration(&text);
        }

        #[test]
        fn seconds_come_back(seconds in 0_u32..100_000) {
            let text = format!("{}m{}s", seconds / 60, seconds % 60);
            prop_assert_eq!(go_duration(&text), Some(Duration::from_secs(seconds.into())));
        }
    }
}
