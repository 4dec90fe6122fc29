mod openapi;

use std::{
    future::IntoFuture as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use portpass_testkit::http::{Reply, Served, redirect, reply};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use super::*;
use crate::web::Redirects;

const PASSWORD: &str = "correct horse";

fn hook(address: SocketAddr, millis: u64, calls: usize) -> Hook {
    let web = WebSettings {
        authorities: Vec::new(),
        identity: None,
        timeout: Duration::from_millis(millis),
        redirects: Redirects::Refused,
    };
    Hook::new(HookSettings {
        url: format!("http://{address}/ask?key=hidden").parse().unwrap(),
        web,
        bearer: BearerToken::parse(&"s3cr3t".into()),
        calls: NonZeroUsize::new(calls).unwrap(),
    })
}

fn login(password: &SecretString) -> Question<'_> {
    let address = Some([192, 0, 2, 7].into());
    Question::Login { name: "ann", password, service: "registry", address }
}

/// What a service is asked that answers so, and what is made of the answer.
async fn ask(answer: Reply) -> (Served, Result<Answer, Fault>) {
    let served = Served::always(answer).await;
    let answered = hook(served.address, 5000, 1).ask(&login(&PASSWORD.into())).await;
    (served, answered)
}

#[tokio::test]
async fn a_login_is_asked_with_all_that_is_known_and_a_lookup_without_a_password() {
    let (served, answered) = ask(reply(200, r#"{"answer":"unknown"}"#)).await;
    assert_eq!(answered, Ok(Answer::Unknown));
    let seen = served.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/ask"));
    assert_eq!(seen.authorization.as_deref(), Some("Bearer s3cr3t"));
    assert_eq!(seen.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let asked = json!({
        "question": "login", "name": "ann", "password": PASSWORD, "service": "registry", "address": "192.0.2.7",
    });
    assert_eq!(body, asked);
    for (account, asked) in [
        (AccountKey::Name("ann"), json!({ "question": "lookup", "name": "ann" })),
        (AccountKey::Id("42"), json!({ "question": "lookup", "id": "42" })),
    ] {
        let body = Question::Lookup { account }.to_json();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), asked);
    }
}

#[tokio::test]
async fn an_empty_password_is_refused_before_the_wire() {
    let served = Served::always(reply(200, r#"{"answer":"yes"}"#)).await;
    let answered = hook(served.address, 5000, 1).ask(&login(&"".into())).await.unwrap();
    assert!(matches!(answered, Answer::No { .. }), "{answered:?}");
    assert!(served.seen().is_empty());
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart_and_holds_no_secret() {
    let long = format!(r#"{{"answer":"no","reason":"{}"}}"#, "x".repeat(MAX_ANSWER));
    for (answer, said) in [
        (
            redirect(307, "http://127.0.0.1:9/"),
            "answered 307 Temporary Redirect: redirects are not",
        ),
        (reply(401, ""), "answered 401 Unauthorized: it does not take the bearer token"),
        (reply(500, PASSWORD), "answered 500 Internal Server Error; an answer has the status 200"),
        (reply(204, ""), "answered 204 No Content"),
        (reply(200, long), "answered with more than 65536 bytes"),
        (reply(200, "<html>"), "answered what nobody can read: it is not one JSON object"),
        (reply(200, r#"{"answer":"yes","answer":"no"}"#), "says each thing once"),
        (
            reply(200, r#"{"answer":"yes","account":{"celing":{}}}"#),
            "the member `celing` in `account`",
        ),
        (
            reply(200, format!(r#"{{"answer":"no","{PASSWORD}":1}}"#)),
            "a member that does not belong",
        ),
    ] {
        let (served, answered) = ask(answer).await;
        let fault = answered.unwrap_err().to_string();
        assert!(
            fault.contains(&format!("http://{}/ask {said}", served.address))
                || fault.contains(said),
            "{fault}"
        );
        for secret in [PASSWORD, "hidden", "s3cr3t"] {
            assert!(!fault.contains(secret), "{fault}");
        }
        assert_eq!(served.seen().len(), 1, "asked once");
    }
}

#[tokio::test]
async fn a_reason_is_one_short_line_without_the_password() {
    for (reason, said) in [
        ("locked".to_owned(), "locked".to_owned()),
        ("a\nb\u{7}c".to_owned(), "a b c".to_owned()),
        ("x".repeat(300), format!("{}…", "x".repeat(200))),
        (
            format!("{PASSWORD} is wrong"),
            "its reason is not repeated, since the password is in it".to_owned(),
        ),
    ] {
        let answer = json!({ "answer": "no", "reason": reason }).to_string();
        let (_, answered) = ask(reply(200, answer)).await;
        assert_eq!(answered, Ok(Answer::No { reason: Some(said), account: None }));
    }
}

#[tokio::test]
async fn a_service_that_is_down_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fault = hook(address, 5000, 1).ask(&login(&PASSWORD.into())).await.unwrap_err();
    assert!(matches!(fault, Fault::Unreachable { .. }), "{fault:?}");
    assert!(fault.to_string().contains("cannot be reached"), "{fault}");
}

/// It accepts connections and never says a word.
#[tokio::test]
async fn a_service_that_hangs_is_given_up_in_time_and_so_is_the_line_before_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = hook(listener.local_addr().unwrap(), 300, 2);
    let password = PASSWORD.into();
    let question = login(&password);
    let ask = || hook.ask(&question);
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    let (one, two, three) = (one.unwrap_err(), two.unwrap_err(), three.unwrap_err());
    assert!(matches!(one, Fault::TimedOut { .. }), "{one:?}");
    assert!(matches!(two, Fault::TimedOut { .. }), "{two:?}");
    let said = three.to_string();
    assert!(said.contains("has 2 questions open and answered none within 300 ms"), "{said}");
}

#[tokio::test]
async fn no_more_questions_are_open_at_once_than_may_be() {
    let (open, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let counted = Arc::new((open, most, Notify::new()));
    let state = Arc::clone(&counted);
    let handler = move || {
        let state = Arc::clone(&state);
        async move {
            let (open, most, second) = &*state;
            let now = open.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            // The first waits for a second: two are let through.
            if now == 2 {
                second.notify_waiters();
            } else {
                let _ = tokio::time::timeout(Duration::from_millis(50), second.notified()).await;
            }
            open.fetch_sub(1, Ordering::SeqCst);
            r#"{"answer":"unknown"}"#
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = hook(listener.local_addr().unwrap(), 10_000, 2);
    let router = axum::Router::new().fallback(handler);
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let password = PASSWORD.into();
    let question = login(&password);
    let asked = futures_util::future::join_all((0..12).map(|_| hook.ask(&question))).await;
    assert!(asked.iter().all(|answer| *answer == Ok(Answer::Unknown)), "{asked:?}");
    assert_eq!(counted.1.load(Ordering::SeqCst), 2);
    server.abort();
}

#[test]
fn a_bearer_token_is_what_a_header_can_hold_and_is_not_printed() {
    let token = BearerToken::parse(&"abc.DEF-1_~+/=".into()).unwrap();
    assert!(!format!("{token:?}").contains("abc"));
    for text in ["", "a b", "a\n", "ä", "\"a\""] {
        assert!(BearerToken::parse(&text.into()).is_none(), "{text:?}");
    }
}
