use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use insta::assert_snapshot;

use super::*;

const NOW: u64 = 1_700_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn token(header: &str, claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(header), part(claims), part("signature"))
}

fn claims(access: &str) -> String {
    format!(
        r#"{{"iss":"dtest","sub":"ann","aud":"token-service","exp":{},"nbf":{},"iat":{NOW},"jti":"x","access":{access}}}"#,
        NOW + 290,
        NOW - 60
    )
}

const X5C: &str = r#"{"alg":"ES256","typ":"JWT","x5c":["AAAA"]}"#;

fn notes(header: &str, claims: &str) -> Vec<String> {
    Inspection::of(&token(header, claims), now()).unwrap().notes
}

#[test]
fn claims_are_shown_as_people_read_them() {
    let access = r#"[{"type":"repository","name":"a/b","actions":["pull"]}]"#;
    let inspection = Inspection::of(&token(X5C, &claims(access)), now()).unwrap();
    let rows = inspection.claim_rows(now());
    let rows: Vec<String> = rows.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_snapshot!(rows.join("\n"), @r#"
    aud: token-service
    exp: 2023-11-14T22:18:10Z (in 4 min 50 s)
    iat: 2023-11-14T22:13:20Z (now)
    iss: dtest
    jti: x
    nbf: 2023-11-14T22:12:20Z (1 min ago)
    sub: ann
    "#);
    assert_eq!(inspection.access().unwrap().to_string(), "repository:a/b:pull");
}

#[test]
fn a_token_is_found_in_what_people_paste() {
    for text in [
        "a.b.c",
        " a.b.c\n",
        "Bearer a.b.c",
        r#"{"token":"a.b.c"}"#,
        r#"{"access_token":"a.b.c","expires_in":300}"#,
    ] {
        assert_eq!(token_in(text).as_deref(), Ok("a.b.c"), "{text}");
    }
    assert_snapshot!(token_in(r#"{"jwt":"a.b.c"}"#).unwrap_err(), @r#"the token service's answer has no token: it has the keys "jwt""#);
}

/// The second story: what it turned out to be.
#[test]
fn what_is_no_jwt_is_said_to_be_none() {
    let refused = |token: &str| Inspection::of(token, now()).unwrap_err().to_string();
    assert_snapshot!(refused("0123456789abcdef"), @"token has 1 part, expected 3: it is not a JWT");
    assert_snapshot!(refused("a.b"), @"token has 2 parts, expected 3: it is not a JWT");
    assert_snapshot!(refused(""), @"token has 1 part, expected 3: it is not a JWT");
}

#[test]
fn what_some_registry_refuses_is_noted() {
    let pull = r#"[{"type":"repository","name":"a","actions":["pull"]}]"#;
    let good = claims(pull);
    let kid = |id: &str| format!(r#"{{"alg":"ES256","kid":"{id}"}}"#);
    let libtrust = "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6";
    let table = [
        (kid(libtrust), good.clone(), "known to distribution 2 alone"),
        (
            kid("8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8"),
            good.clone(),
            "known to distribution 3 alone",
        ),
        (kid("mine"), good.clone(), "JWKS"),
        (r#"{"alg":"ES256"}"#.to_owned(), good.clone(), "names no key"),
        (r#"{"alg":"none","kid":"mine"}"#.to_owned(), good.clone(), "none"),
        (kid("mine"), good.replace("\"token-service\"", "[\"token-service\"]"), "no list"),
        (
            kid("mine"),
            good.replace(&(NOW + 290).to_string(), &(NOW - 75).to_string()),
            "it expired 1 min 15 s ago",
        ),
        (
            kid("mine"),
            good.replace(&(NOW + 290).to_string(), &(NOW - 20).to_string()),
            "registries forgive",
        ),
        (
            kid("mine"),
            good.replace(&(NOW - 60).to_string(), &(NOW + 100).to_string()),
            "it holds only in 1 min 40 s",
        ),
        (
            kid("mine"),
            good.replace(&(NOW + 290).to_string(), &(NOW - 30).to_string()),
            "less than 60 s",
        ),
        (kid("mine"), good.replace(&(NOW + 290).to_string(), "\"soon\""), "`exp`"),
        (kid("mine"), claims("[]"), "grants nothing"),
        (
            kid("mine"),
            claims(r#"[{"type":"repository","name":"a","actions":[]}]"#),
            "repository:a was asked for",
        ),
        (kid(&"m".repeat(4000)), good.clone(), "bytes"),
    ];
    for (header, claims, expected) in table {
        let notes = notes(&header, &claims);
        assert!(
            notes.iter().any(|note| note.contains(expected)),
            "{header}: {notes:?}, not {expected:?}"
        );
    }
}

#[test]
fn the_key_is_the_one_that_registries_look_at_first() {
    let key = |header: &str| Inspection::of(&token(header, &claims("[]")), now()).unwrap().key;
    assert_eq!(key(r#"{"alg":"ES256","kid":"mine"}"#), "mine, a name of the issuer's own");
    assert_eq!(
        key(r#"{"alg":"ES256","kid":"mine","jwk":{"kid":"its"}}"#),
        "its, a name of the issuer's own, in an embedded key"
    );
    assert_eq!(key(r#"{"alg":"ES256","jwk":{}}"#), "an embedded key without an id");
    assert_eq!(
        key(r#"{"alg":"ES256","kid":"mine","x5c":["AAAA","AAAA"]}"#),
        "a chain of 2 certificates"
    );
    assert_eq!(key(r#"{"alg":"ES256"}"#), "none");
}

#[test]
fn a_token_is_checked_as_its_registry_does() {
    use portpass_jose::{Algorithm, KeyIdForm, SigningKey};
    use portpass_token::{Audience, Minter, NumericDate};
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let claims = Claims {
        issuer: Issuer::new("dtest"),
        subject: "ann".to_owned(),
        audience: Audience::one(ServiceName::new("token-service")),
        expires: NumericDate(i64::try_from(NOW).unwrap() + 300),
        not_before: None,
        issued_at: None,
        id: None,
        access: AccessSet::new(),
    };
    let token = Minter::mint(&key, KeyIdForm::Rfc7638, &claims).unwrap();
    let mut keys = KeySet::new();
    keys.insert(key.public().clone());
    let inspection = Inspection::of(&token, now()).unwrap();
    let against = || Against { jwks: Some(keys.to_jwks()), ..Against::default() };
    let said = |against: &Against| inspection.verify(&token, against, now()).unwrap_err();
    assert_eq!(inspection.verify(&token, &against(), now()), Ok(()));
    assert_snapshot!(said(&Against { issuer: Some("other".into()), ..against() }), @r#"issuer "dtest" is not "other""#);
    assert_snapshot!(said(&Against { service: Some("other".into()), ..against() }), @r#"audience "token-service" is not "other""#);
    assert!(said(&Against::default()).contains("no trusted key"));
    assert!(
        said(&Against { bundle: Some("nothing".into()), ..Against::default() })
            .contains("certificate")
    );
}

#[test]
fn spans_are_told_in_their_two_largest_units() {
    for (seconds, told) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (75, "1 min 15 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
    ] {
        assert_eq!(span(Duration::from_secs(seconds)), told);
    }
}
