use std::{
    collections::BTreeSet,
    time::{Duration, UNIX_EPOCH},
};

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::challenge::KnownClient;

fn answer() -> TokenResponse {
    TokenResponse {
        token: "aaa.bbb.ccc".into(),
        expires_in: 300,
        issued_at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_987),
        scope: None,
        refresh_token: None,
        issued_token_type: None,
    }
}

/// T3 to T5, TG5
#[test]
fn an_answer_to_get_has_both_tokens_an_integer_and_a_time_that_go_reads() {
    assert_snapshot!(answer().to_json(), @r#"{"token":"aaa.bbb.ccc","access_token":"aaa.bbb.ccc","expires_in":300,"issued_at":"2023-11-14T22:13:20Z"}"#);
}

/// TP2
#[test]
fn an_answer_to_post_says_what_was_granted() {
    let with = TokenResponse {
        scope: Some(String::new()),
        refresh_token: Some("secret".into()),
        ..answer()
    };
    assert_snapshot!(with.to_json(), @r#"{"token":"aaa.bbb.ccc","access_token":"aaa.bbb.ccc","scope":"","expires_in":300,"issued_at":"2023-11-14T22:13:20Z","refresh_token":"secret"}"#);
    assert!(!format!("{with:?}").contains("secret") && !format!("{with:?}").contains("aaa"));
}

/// RFC 8693 §2.2.1
#[test]
fn an_answer_to_an_exchange_says_what_kind_of_token_it_is() {
    let access_token = Some("urn:ietf:params:oauth:token-type:access_token");
    let with = TokenResponse { issued_token_type: access_token, ..answer() };
    assert_snapshot!(with.to_json(), @r#"{"token":"aaa.bbb.ccc","access_token":"aaa.bbb.ccc","expires_in":300,"issued_at":"2023-11-14T22:13:20Z","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer"}"#);
}

/// What one row of the record shows: a body, and who got another token from it than we do.
struct Row {
    title: String,
    body: String,
    tokens: Vec<(String, Option<String>)>,
}

/// Reads the record of the clients' own decoders.
fn record() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in include_str!("answers.txt").lines() {
        if let Some(head) = line.strip_prefix("### ") {
            let (title, body) = head.split_once("  ").unwrap();
            rows.push(Row { title: title.to_owned(), body: body.to_owned(), tokens: Vec::new() });
            continue;
        }
        let (who, outcome) = line.trim().split_once(": tok=").unwrap();
        let (token, error) = outcome.split_once(" err=").unwrap();
        let token = (error == "<nil>").then(|| token.trim_matches('"').to_owned());
        let token = token.filter(|token| !token.is_empty());
        rows.last_mut().unwrap().tokens.push((who.trim().to_owned(), token));
    }
    rows
}

/// The peers of one line of the record. regclient's decoder was read, not run.
fn peers(who: &str) -> &'static [KnownClient] {
    match who {
        "POST(containerd,classic)" | "GET (containerd,classic)" => {
            &[KnownClient::Docker, KnownClient::Containerd]
        }
        "GET (containers/image)" => &[KnownClient::Podman],
        "ggcr" => &[KnownClient::Crane],
        "oras" => &[KnownClient::Oras],
        other => panic!("{other} is nobody"),
    }
}

#[test]
fn who_breaks_is_who_was_seen_to_get_no_token_or_another() {
    let rows = record();
    assert_eq!(rows.len(), 30);
    for row in rows {
        let Ok(read) = read(row.body.as_bytes()) else {
            // Nobody gets a token from an answer that we get none from.
            assert!(row.tokens.iter().all(|(_, token)| token.is_none()), "{}", row.title);
            continue;
        };
        let broken = row.tokens.iter().filter(|(_, token)| token.as_deref() != Some(&read.token));
        let mut broken: BTreeSet<KnownClient> =
            broken.flat_map(|(who, _)| peers(who)).copied().collect();
        let mut ours: BTreeSet<KnownClient> =
            read.oddities.iter().flat_map(TokenOddity::breaks).copied().collect();
        ours.remove(&KnownClient::Regclient);
        if read.oddities.contains(&TokenOddity::ExpiresInMissing) {
            // The token is taken; what is wrong is how long for (T4).
            broken.insert(KnownClient::Containerd);
        }
        if read.oddities.contains(&TokenOddity::OnlyToken) {
            // The record has oras' answer to GET; its POST reads `access_token` alone (T3).
            broken.insert(KnownClient::Oras);
        }
        assert_eq!(ours, broken, "{}: {read:?}", row.title);
    }
}

#[test]
fn every_answer_of_the_record_is_read_or_its_fault_is_named() {
    let mut said = Vec::new();
    for row in record() {
        let outcome = match read(row.body.as_bytes()) {
            Ok(read) => {
                let odd: Vec<String> = read.oddities.iter().map(ToString::to_string).collect();
                format!("{} for {:?}; odd: {}", read.token, read.expires_in, odd.join(", "))
            }
            Err(error) => error.to_string(),
        };
        said.push(format!("{}: {outcome}", row.title));
    }
    assert_snapshot!(said.join("\n"), @r#"
    token only: t for None; odd: no "access_token" beside "token", no "expires_in"
    access_token only: t for None; odd: no "token" beside "access_token", no "expires_in"
    both: t for None; odd: no "expires_in"
    empty object: the token service's response has no token; it is an empty object
    wrong key jwt: the token service's response has no token; its keys are "jwt"
    wrong case Token: t for None; odd: "Token" not in lower case, no "access_token" beside "token", no "expires_in"
    null token: t for None; odd: no "token" beside "access_token", no "expires_in"
    token empty: the token service's response has an empty "token"
    wrapped data: the token service's response has no token; its keys are "data"
    issued_at empty: t for None; odd: no "expires_in", "issued_at" is not RFC 3339
    issued_at null: t for None; odd: no "expires_in"
    issued_at unix int: t for None; odd: no "expires_in", "issued_at" is not RFC 3339
    issued_at no tz: t for None; odd: no "expires_in", "issued_at" is not RFC 3339
    issued_at space: t for None; odd: no "expires_in", "issued_at" is not RFC 3339
    issued_at +0000: t for None; odd: no "expires_in", "issued_at" is not RFC 3339
    issued_at +00:00: t for None; odd: no "expires_in"
    issued_at frac: t for None; odd: no "expires_in"
    issued_at lower z: t for None; odd: no "expires_in", "issued_at" is not RFC 3339
    expires_in string: t for Some(300); odd: "expires_in" is not an integer
    expires_in 300.0: t for Some(300); odd: "expires_in" is not an integer
    expires_in 300.5: t for Some(300); odd: "expires_in" is not an integer
    expires_in null: t for None; odd: no "expires_in"
    expires_in 3e2: t for Some(300); odd: "expires_in" is not an integer
    html: the token service's response is a page for browsers, not JSON
    array: the token service's response is a list, not an object with the key "token"
    bare string: the token service's response is a text, not an object with the key "token"
    raw jwt text: the token service's response is a bare token; it must be a JSON object with the key "token"
    BOM: t for None; odd: byte order mark before the object, no "expires_in"
    trailing garbage: t for None; odd: text after the object, no "expires_in"
    dup key: c for None; odd: "token" twice, "token" and "access_token" differ, no "expires_in"
    "#);
}

#[test]
fn other_answers_are_read_or_their_fault_is_named() {
    let table = [
        " ",
        "null",
        "404 page not found",
        "<html><title>Sign in</title></html>",
        "{\"token\":",
        "{\"token\":7}",
        "{\"token\":[\"t\"]}",
        "{\"token\":\"a b\"}",
        "{\"token\":\"a\\nb\"}",
        "{\"token\":\"\",\"access_token\":\"t\"}",
        "{\"token\":\"\",\"access_token\":\"\"}",
        "{\"status\":\"ok\",\"jwt\":\"t\"}",
        "{\"\\u001b[2J\":1}",
        "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":30}",
        "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":0}",
        "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":-1}",
        "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":\"soon\"}",
        "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":1e400}",
    ];
    let mut said = Vec::new();
    for body in table {
        let outcome = match read(body.as_bytes()) {
            Ok(read) => format!("{:?} {:?}", read.expires_in, read.oddities),
            Err(error) => error.to_string(),
        };
        said.push(format!("{body:?}\n  {outcome}"));
    }
    assert_snapshot!(said.join("\n"), @r#"
    " "
      the token service's response is empty, not JSON
    "null"
      the token service's response is null, not an object with the key "token"
    "404 page not found"
      the token service's response is text, not JSON
    "<html><title>Sign in</title></html>"
      the token service's response is a page for browsers, titled "Sign in", not JSON
    "{\"token\":"
      the token service's response is a broken object, not JSON
    "{\"token\":7}"
      the token service's response has a "token" that is a number, not text
    "{\"token\":[\"t\"]}"
      the token service's response has a "token" that is a list, not text
    "{\"token\":\"a b\"}"
      the token service's response has a "token" with characters that no header can carry
    "{\"token\":\"a\\nb\"}"
      the token service's response has a "token" with characters that no header can carry
    "{\"token\":\"\",\"access_token\":\"t\"}"
      None [EmptyToken("token"), OnlyAccessToken, ExpiresInMissing]
    "{\"token\":\"\",\"access_token\":\"\"}"
      the token service's response has an empty "token"
    "{\"status\":\"ok\",\"jwt\":\"t\"}"
      the token service's response has no token; its keys are "status", "jwt"
    "{\"\\u001b[2J\":1}"
      the token service's response has no token; its keys are "[2J"
    "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":30}"
      Some(30) [ExpiresInShort(30)]
    "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":0}"
      Some(0) [ExpiresInShort(0)]
    "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":-1}"
      None [ExpiresInNotInteger]
    "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":\"soon\"}"
      None [ExpiresInNotInteger]
    "{\"token\":\"t\",\"access_token\":\"t\",\"expires_in\":1e400}"
      None [ExpiresInNotInteger]
    "#);
}

/// `issued_at` moves nobody's expiry but the clients' that trust it, so a bad one is only noted (T5).
#[test]
fn times_are_read_in_any_form_and_named_when_go_would_not() {
    let table = [
        ("\"2024-01-02T03:04:05Z\"", Some(1_704_164_645), true),
        ("\"2024-01-02T03:04:05.123456789Z\"", Some(1_704_164_645), true),
        ("\"2024-01-02T04:04:05+01:00\"", Some(1_704_164_645), true),
        ("\"2024-01-02T04:04:05+0100\"", Some(1_704_164_645), false),
        ("\"2024-01-02 03:04:05Z\"", Some(1_704_164_645), false),
        ("\"2024-01-02t03:04:05z\"", Some(1_704_164_645), false),
        ("1704164645", Some(1_704_164_645), false),
        ("\"2024-01-02T03:04:05\"", None, false),
        ("\"2024-01-02T03:04:05.Z\"", None, false),
        ("\"\"", None, false),
        ("null", None, true),
    ];
    for (literal, seconds, readable) in table {
        let body = format!("{{\"token\":\"t\",\"issued_at\":{literal}}}");
        let read = read(body.as_bytes()).unwrap();
        let whole = read.issued_at.map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(whole, seconds, "{literal}");
        assert_eq!(
            !read.oddities.contains(&TokenOddity::IssuedAtUnreadable),
            readable,
            "{literal}"
        );
    }
}

proptest! {
    #[test]
    fn what_we_write_is_read_back_and_nothing_about_it_is_odd(
        token in "[A-Za-z0-9._~+/-]{1,60}", expires_in in 60..100_000_u64, seconds in 0..4_000_000_000_u64,
        scope in prop::option::of("[a-z:/, ]{0,20}"), refresh_token in prop::option::of("[ -~]{1,20}"),
    ) {
        let issued_at = UNIX_EPOCH + Duration::from_secs(seconds);
        let issued_token_type = None;
        let written = TokenResponse {
            token, expires_in, issued_at, scope, refresh_token, issued_token_type,
        };
        let read = read(written.to_json().as_bytes()).unwrap();
        prop_assert_eq!(read.oddities, vec![]);
        prop_assert_eq!(read.token, written.token);
        prop_assert_eq!(read.expires_in, Some(written.expires_in));
        prop_assert_eq!(read.issued_at, Some(written.issued_at));
        prop_assert_eq!(read.scope, written.scope);
        prop_assert_eq!(read.refresh_token, written.refresh_token);
    }

    #[test]
    fn any_bytes_are_read_or_refused_in_one_line(body: Vec<u8>) {
        if let Err(error) = read(&body) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
