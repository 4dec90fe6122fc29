use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;

fn read(members: &str) -> Result<Claims, String> {
    let json = format!(r#"{{"iss":"i","exp":100{members}}}"#);
    Claims::from_json(json.as_bytes()).map_err(|error| error.to_string())
}

fn full() -> Claims {
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    Claims {
        issuer: Issuer::new("https://auth.example.com"),
        subject: "ann".to_owned(),
        audience: Audience::one(ServiceName::new("registry")),
        expires: (now + Duration::from_mins(5)).into(),
        not_before: Some((now - Duration::from_mins(1)).into()),
        issued_at: Some(now.into()),
        id: Some("one".to_owned()),
        access: "repository:a/b:pull,push registry:catalog:*".parse().unwrap(),
    }
}

/// JW2, JW3: the order and form that every registry reads.
#[test]
fn claims_are_written_as_distribution_2_reads_them() {
    let json = String::from_utf8(full().to_json().unwrap()).unwrap();
    assert_eq!(
        json,
        r#"{"iss":"https://auth.example.com","sub":"ann","aud":"registry","exp":1800000300,"nbf":1799999940,"iat":1800000000,"jti":"one","access":[{"type":"repository","name":"a/b","actions":["pull","push"]},{"type":"registry","name":"catalog","actions":["*"]}]}"#
    );
}

#[test]
fn claims_read_back_as_they_were_written() {
    let services = ["a", "b"].map(ServiceName::new);
    let anonymous = Claims {
        subject: String::new(),
        audience: services.into_iter().collect(),
        not_before: None,
        issued_at: None,
        id: None,
        access: AccessSet::new(),
        ..full()
    };
    for claims in [full(), anonymous] {
        assert_eq!(Claims::from_json(&claims.to_json().unwrap()), Ok(claims));
    }
}

/// JW5, JW7
#[test]
fn what_may_be_missing_or_null_is_as_good_as_empty() {
    let least = read("").unwrap();
    assert_eq!(least.subject, "");
    assert_eq!(least.audience, Audience::default());
    assert_eq!((least.not_before, least.issued_at, least.id.clone()), (None, None, None));
    assert!(least.access.is_empty());
    let null = r#","sub":null,"aud":null,"nbf":null,"iat":null,"jti":null,"access":null"#;
    assert_eq!(read(null), Ok(least.clone()));
    // JW2: unknown claims, and other cases of known ones (JW8), say nothing.
    assert_eq!(read(r#","scope":"repository:a:pull","Access":5,"SUB":"ann""#), Ok(least));
}

/// JW3–JW5, JW7, JW8, CVE-2026-25537: each refusal names the claim and what is wrong with it.
#[test]
fn a_claim_of_another_type_is_an_error() {
    let table = [
        (r#","sub":5"#, "claim `sub` is a number, expected a string"),
        (r#","jti":["a"]"#, "claim `jti` is a list, expected a string"),
        (r#","nbf":{}"#, "claim `nbf` is an object, expected whole seconds since 1970"),
        (r#","nbf":"soon""#, "claim `nbf` is a string, expected whole seconds since 1970"),
        (r#","nbf":1.5"#, "claim `nbf` is \"1.5\", expected whole seconds since 1970"),
        (r#","nbf":100.0"#, "claim `nbf` is \"100.0\", expected whole seconds"),
        (r#","iat":"2026-11-22T00:00:00Z""#, "claim `iat` is a string, expected whole seconds"),
        (r#","iat":1e3"#, "claim `iat` is \"1000.0\", expected whole seconds"),
        (r#","iat":1e99"#, "claim `iat` is \"1e+99\", expected whole seconds"),
        (r#","nbf":1e19"#, "claim `nbf` is \"1e+19\", expected"),
        (r#","nbf":253402300800"#, "claim `nbf` is \"253402300800\", expected"),
        (r#","aud":5"#, "claim `aud` is a number, expected a string or a list of strings"),
        (r#","aud":["a",5]"#, "claim `aud[1]` is a number, expected a string"),
        (r#","access":{}"#, "claim `access` is an object, expected a list"),
        (r#","access":[5]"#, "claim `access[0]` is a number, expected an object"),
        (r#","access":[["repository","a",["pull"]]]"#, "claim `access[0]` is a list, expected an"),
        (
            r#","access":[{"type":"repository","name":"a","actions":"pull"}]"#,
            "claim `access[0].actions` is a string, expected a list of strings",
        ),
        (
            r#","access":[{"type":"repository","name":"a","actions":["pull",5]}]"#,
            "claim `access[0].actions[1]` is a number, expected a string",
        ),
        (r#","access":[{"type":5}]"#, "claim `access[0].type` is a number, expected a string"),
        (r#","access":[{},{"name":[]}]"#, "claim `access[1].name` is a list, expected a string"),
        (r#","access":[{"class":5}]"#, "claim `access[0].class` is a number, expected a string"),
        (r#","iss":"j""#, "not a JSON object as expected: the key \"iss\" appears twice"),
        (r#","more":[{"a":1,"a":1}]"#, "the key \"a\" appears twice"),
    ];
    for (members, words) in table {
        let refusal = read(members).unwrap_err();
        assert!(refusal.contains(words), "{members}: {refusal}");
    }
    let refusal = |json: &str| Claims::from_json(json.as_bytes()).unwrap_err().to_string();
    assert_eq!(refusal(r#"{"exp":100}"#), "the token has no claim `iss`");
    assert_eq!(refusal(r#"{"iss":null,"exp":100}"#), "the token has no claim `iss`");
    assert_eq!(refusal(r#"{"iss":"i"}"#), "the token has no claim `exp`");
    assert!(refusal(r#"["i",100]"#).ends_with("it is a list, expected an object"));
    assert!(refusal("Payload").contains("not a JSON object as expected"));
}

/// SC5–SC7, JW7
#[test]
fn access_is_read_entry_by_entry() {
    let access = |json: &str| read(&format!(r#","access":{json}"#)).unwrap().access.to_string();
    assert_eq!(
        access(
            r#"[{"type":"repository","name":"a","actions":["pull"]},{"type":"repository","class":"image","name":"a","actions":["push"]}]"#
        ),
        "repository:a:pull,push"
    );
    assert_eq!(access(r#"[{"type":"repository","name":"a","actions":null}]"#), "repository:a:");
    assert_eq!(access(r#"[{"type":"repository","name":"a"}]"#), "repository:a:");
    // An entry of nothing in particular grants nothing.
    assert_eq!(access(r#"[{"actions":["*"]},{"name":"a"},{"type":"repository"}]"#), "");
    let one_word =
        read(r#","access":[{"type":"repository","name":"a","actions":["pull,push","PULL"]}]"#);
    let needed: AccessSet = "repository:a:pull".parse().unwrap();
    let granted = one_word.unwrap().access;
    assert!(needed.iter().all(|access| !granted.covers(access)), "{granted}");
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(
        members in "(,\"(aud|nbf|access|sub)\":(5|\"a\"|null|\\[(5|\\{\\}|\"a\")?\\]|\\{\\}|-1e5)){0,3}",
    ) {
        let _ = read(&members);
    }

    #[test]
    fn any_claims_read_back(
        subject in "\\PC{0,20}",
        audience in proptest::collection::vec("[ -~]{0,10}", 0..3),
        expires in -1_000_i64..=NumericDate::LAST.0,
        name in "[a-z/:.]{1,20}",
    ) {
        let mut claims = full();
        claims.subject = subject;
        claims.audience = audience.into_iter().map(ServiceName::new).collect();
        claims.expires = NumericDate(expires);
        claims.access = [portpass_protocol::Access::repository(&name, [])].into_iter().collect();
        prop_assert_eq!(Claims::from_json(&claims.to_json().unwrap()), Ok(claims));
    }
}
