//! What a server says back of what it was sent: nothing secret of it is in any form of the report.

use std::sync::Arc;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use portpass_client::SystemClock;
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};

use crate::{Detail, Inputs, LocalInputs, Report, diagnose};

const NAME: &str = "ann";
const PASSWORD: &str = "secretPW+12/34";

fn inputs() -> Inputs {
    let command = ["portpass", "diagnose", "-u", "ann:secretPW+12/34", "host"];
    Inputs {
        password: Some((NAME.to_owned(), PASSWORD.into())),
        command: command.map(str::to_owned).to_vec(),
        ..Inputs::none(LocalInputs::default())
    }
}

/// A registry whose realm is this, looked at with a login.
async fn with_realm(realm: &str) -> Report {
    let realm = realm.to_owned();
    let registry = Served::start(move |_| {
        challenge(format!(r#"Bearer realm="{realm}",service="registry""#))
            .with("docker-distribution-api-version".parse().unwrap(), "registry/2.0")
    })
    .await;
    let target = format!("{}/team/app", registry.address);
    diagnose(target.parse().unwrap(), inputs(), Arc::new(SystemClock)).await
}

async fn with_service(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Report {
    let service = Served::start(answer).await;
    let report = with_realm(&service.url("/token")).await;
    let sent = service.seen().iter().any(|seen| seen.basic().is_some());
    assert!(sent, "the password was sent, so that it could come back");
    report
}

/// Everything in which a report is told.
fn describe(report: &Report) -> [(&'static str, String); 5] {
    let text = |detail| report.text(detail, |_, text| text.to_owned());
    [
        ("short text", text(Detail::Short)),
        ("text", text(Detail::Full)),
        ("trace", report.trace()),
        ("JSON", report.json(true).to_string()),
        ("HTML", report.html()),
    ]
}

#[track_caller]
fn tells_nothing_of(report: &Report, secrets: &[&str]) {
    for (form, said) in describe(report) {
        for secret in secrets {
            assert!(!said.contains(secret), "{secret} is in the {form}: {said}");
        }
    }
}

/// The password, in the forms in which it can come back.
#[track_caller]
fn tells_no_password(report: &Report) {
    let pair = STANDARD.encode(format!("{NAME}:{PASSWORD}"));
    let bare = URL_SAFE_NO_PAD.encode(PASSWORD);
    // Beginnings too: what is cut off after them has told enough.
    tells_nothing_of(report, &["secretPW", "secretP", &pair[..12], &bare[..12], "12%2F34"]);
}

/// All that was sent, line by line, as a service for trying out clients does.
fn echo(seen: &Seen) -> String {
    let headers = seen
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or_default()));
    let form = seen.form.iter().map(|(name, value)| format!("{name}: {value}\n"));
    headers.chain(form).collect::<Vec<_>>().concat() + &String::from_utf8_lossy(&seen.body)
}

#[tokio::test]
async fn a_service_that_says_back_what_it_was_sent() {
    for status in [200, 400, 401, 500] {
        let report = with_service(move |seen| {
            reply(status, echo(seen)).with("content-type".parse().unwrap(), "text/plain")
        })
        .await;
        tells_no_password(&report);
    }
}

type Words = fn(&str) -> String;

#[tokio::test]
async fn a_password_in_the_words_of_a_refusal() {
    // What a login comes to in the service's words.
    let words: &[Words] = &[
        |pair| format!("user ann with '{}' was not found", pair.split_once(':').unwrap().1),
        |pair| format!("Unauthorized: Basic {}", STANDARD.encode(pair)),
        |pair| format!("no such user: {}", STANDARD.encode(pair)),
        |pair| format!("{pair:?} is nobody"),
        |pair| {
            format!(
                "?u={}",
                url::form_urlencoded::byte_serialize(pair.as_bytes()).collect::<String>()
            )
        },
        |pair| format!("{}{pair}", "x".repeat(35) + &" y".repeat(125)),
        |pair| serde_json::json!({"errors": [{"code": "DENIED", "message": pair}]}).to_string(),
        |pair| format!("<html>{}</html>", pair.replace('+', "&#43;")),
    ];
    for word in words {
        let report = with_service(|seen| match seen.basic() {
            Some(pair) => reply(401, word(&pair))
                .with("x-debug".parse().unwrap(), format!("Basic {}", STANDARD.encode(&pair)))
                .with("x-user".parse().unwrap(), pair),
            None => reply(401, r#"{"errors":[]}"#),
        })
        .await;
        tells_no_password(&report);
    }
}

#[tokio::test]
async fn a_login_of_others_in_a_realm_is_hidden_too() {
    let service = Served::always(reply(401, r#"{"errors":[]}"#)).await;
    let address = service.address;
    for realm in [
        format!("http://user:hushpw@{address}/token"),
        format!("http://user:hushpw@{address}/{}", "long/".repeat(200)),
        format!("http://{address}/token?refresh_token=hushpw"),
        format!("http://{address}/token?sig=hushpw"),
    ] {
        let report = with_realm(&realm).await;
        tells_nothing_of(&report, &["hushpw"]);
        tells_no_password(&report);
    }
}

/// A token is short and says nothing of being one; the registry says it back.
#[tokio::test]
async fn a_token_that_a_registry_says_back() {
    let service = Served::always(reply(200, r#"{"token":"hush+tok","expires_in":300}"#)).await;
    let realm = service.url("/token");
    let registry = Served::start(move |seen| {
        let shown = seen.authorization.clone().unwrap_or_default();
        let ask = format!(r#"Bearer realm="{realm}",service="registry""#);
        let asked = challenge(ask).with("x-seen".parse().unwrap(), shown.clone());
        if shown.is_empty() { asked } else { reply(403, format!("what is {shown}?")) }
    })
    .await;
    let target = format!("{}/team/app", registry.address);
    let report = diagnose(target.parse().unwrap(), inputs(), Arc::new(SystemClock)).await;
    assert!(
        registry
            .seen()
            .iter()
            .any(|seen| { seen.authorization.as_deref() == Some("Bearer hush+tok") })
    );
    tells_nothing_of(&report, &["hush"]);
    tells_no_password(&report);
}
