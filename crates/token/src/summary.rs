//! The unverified summary of a token that was refused.

use portpass_jose::{
    json::{Map, Value},
    unverified::Unverified,
};
use portpass_protocol::{TokenSummary, printable::on_one_line};

/// Reads a token without verifying it; `None` for what is no JWT at all.
///
/// Neither the token nor its signature is in what this gives, and no claim that is not listed in
/// [`TokenSummary`].
pub fn unverified_summary(token: &str) -> Option<TokenSummary> {
    let opened = Unverified::parse(token).ok()?;
    let claims = opened.claims().unwrap_or_default();
    let text = |from: &Map<String, Value>, name| from.get(name)?.as_str().map(short);
    let seconds = |name| claims.get(name)?.as_i64();
    Some(TokenSummary {
        issuer: text(&claims, "iss"),
        audience: audience(claims.get("aud")),
        subject: text(&claims, "sub"),
        expires: seconds("exp"),
        not_before: seconds("nbf"),
        issued_at: seconds("iat"),
        algorithm: text(opened.header(), "alg"),
        key: short(&opened.key().to_string()),
    })
}

/// One text, or a list of texts.
fn audience(claim: Option<&Value>) -> Vec<String> {
    let list = match claim {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    list.iter().take(AUDIENCES).filter_map(Value::as_str).map(short).collect()
}

/// No longer than anybody would read.
fn short(text: &str) -> String {
    on_one_line(text, LENGTH)
}

const AUDIENCES: usize = 8;
const LENGTH: usize = 200;

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part(claims), part("signature"))
    }

    #[test]
    fn a_token_that_nobody_believes_still_says_who_made_it_and_for_whom() {
        let header = r#"{"alg":"ES256","kid":"one"}"#;
        let claims =
            r#"{"iss":"a","aud":["b",5,"c"],"sub":"ann","exp":10,"nbf":"x","jti":"secret"}"#;
        let words = unverified_summary(&token(header, claims)).unwrap();
        let expected = TokenSummary {
            issuer: Some("a".into()),
            audience: vec!["b".into(), "c".into()],
            subject: Some("ann".into()),
            expires: Some(10),
            not_before: None,
            issued_at: None,
            algorithm: Some("ES256".into()),
            key: "one, the issuer's own name".into(),
        };
        assert_eq!(words, expected);
        assert_eq!(unverified_summary(&token(header, "[]")).unwrap().issuer, None);
        assert_eq!(unverified_summary("hunter2"), None);
    }

    #[test]
    fn words_are_short_and_on_one_line() {
        let kid = format!("{}\n{}", "k".repeat(150), "l".repeat(150));
        let header = serde_json::json!({ "alg": "ES256", "kid": kid }).to_string();
        let list: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let claims = serde_json::json!({ "aud": list }).to_string();
        let words = unverified_summary(&token(&header, &claims)).unwrap();
        assert_eq!(words.key.chars().count(), LENGTH + 1);
        assert!(!words.key.contains('\n'), "{}", words.key);
        assert_eq!(words.audience.len(), AUDIENCES);
    }
}
