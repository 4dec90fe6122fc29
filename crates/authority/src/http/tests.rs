use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::Router;
use base64::prelude::*;
use futures_util::FutureExt;
use http::{HeaderValue, Request};
use portpass_password::{LimitSettings, Limits, QueueClass};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::{
    fixture::{Fixture, NOW, Settings},
    policy::{Policy, explain},
};

mod introspection;
mod machines;
mod paths;
mod rates;
mod refresh;
mod shadowed;
mod shared;
mod told;

/// An answer as a client sees it.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
    handled: Option<RequestOutcome>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["token"].as_str().unwrap().to_owned()
    }

    fn refresh_token(&self) -> Option<String> {
        self.json()["refresh_token"].as_str().map(str::to_owned)
    }

    /// Status, the headers that matter, and the body with what differs from run to run cut out.
    fn picture(&self) -> String {
        let shown =
            ["allow", "cache-control", "content-type", "pragma", "retry-after", "www-authenticate"];
        let shown = shown.iter().filter(|name| self.headers.contains_key(**name));
        let headers: Vec<String> =
            shown.map(|name| format!("\n{name}: {}", self.header(name))).collect();
        let mut body = self.body.clone();
        if self.status == 200 && body.contains("token") {
            body = body.replace(&self.token(), "TOKEN");
            if let Some(refresh) = self.refresh_token() {
                body = body.replace(&refresh, "REFRESH");
            }
        }
        format!("{}{}\n\n{body}", self.status, headers.concat())
    }
}

async fn send(fixture: &Fixture, request: Request<Body>) -> Answer {
    let router = router(Arc::clone(&fixture.service), &TokenPath::default(), None);
    answer(router, request).await
}

async fn answer(router: Router, request: Request<Body>) -> Answer {
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        handled: head.extensions.get::<RequestOutcome>().cloned(),
    }
}

fn request(method: &str, query: &str) -> Request<Body> {
    let uri = if query.is_empty() { "/token".to_owned() } else { format!("/token?{query}") };
    Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

fn with_basic(mut request: Request<Body>, pair: &str) -> Request<Body> {
    let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
    request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
    request
}

fn with_form(mut request: Request<Body>, form: &str) -> Request<Body> {
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, form_type);
    *request.body_mut() = Body::from(form.to_owned());
    request
}

async fn get(fixture: &Fixture, query: &str) -> Answer {
    send(fixture, request("GET", query)).await
}

async fn get_as(fixture: &Fixture, pair: &str, query: &str) -> Answer {
    send(fixture, with_basic(request("GET", query), pair)).await
}

async fn post(fixture: &Fixture, form: &str) -> Answer {
    send(fixture, with_form(request("POST", ""), form)).await
}

async fn post_refresh(fixture: &Fixture, secret: &str, more: &str) -> Answer {
    post(fixture, &format!("grant_type=refresh_token&refresh_token={secret}&{more}")).await
}

/// `ann:secret` logs in as docker does, and keeps what docker keeps.
async fn log_in(fixture: &Fixture) -> String {
    let query = "account=ann&client_id=docker&offline_token=true&service=registry";
    get_as(fixture, "ann:secret", query).await.refresh_token().unwrap()
}

/// What the token grants, as the registry reads it.
fn granted(fixture: &Fixture, answer: &Answer) -> String {
    fixture.verify(&answer.token(), "registry").access.to_string()
}

/// T1, T3, T4, T5, TG5, TP2
#[tokio::test]
async fn answers_have_what_every_client_reads() {
    let fixture = Fixture::new().await;
    let mut pictures = BTreeMap::new();
    let scope = "scope=repository:ann/app:pull,push&scope=repository:bob/app:pull";
    pictures.insert("1 anonymous", get(&fixture, "service=registry").await);
    pictures.insert(
        "2 get",
        get_as(&fixture, "ann:secret", &format!("service=registry&{scope}")).await,
    );
    pictures.insert("3 docker login", {
        let query = "account=ann&client_id=docker&offline_token=true&service=registry";
        get_as(&fixture, "ann:secret", query).await
    });
    let form = "grant_type=password&username=ann&password=secret&client_id=ctr";
    pictures.insert("4 post", post(&fixture, &format!("{form}&{scope}")).await);
    pictures.insert("5 post offline", post(&fixture, &format!("{form}&access_type=offline")).await);
    let text: Vec<String> =
        pictures.iter().map(|(name, answer)| format!("== {name}\n{}", answer.picture())).collect();
    insta::assert_snapshot!(text.join("\n\n"));
    for answer in pictures.values() {
        let body = answer.json();
        assert_eq!(body["token"], body["access_token"]);
        assert!(body["expires_in"].is_u64());
        assert!(!answer.body.ends_with('\n'), "podman and ggcr refuse what follows the object");
    }
}

/// JW2, JW3, TG11, T4, T11: read by the registry's own verifier.
#[tokio::test]
async fn a_token_says_who_for_whom_until_when_and_what() {
    let fixture = Fixture::new().await;
    let query = "service=other&scope=repository:ann/app:pull&scope=repository:bob/app:pull";
    let answer = get_as(&fixture, "ann:secret", query).await;
    let claims = fixture.verify(&answer.token(), "other");
    let payload: Value = serde_json::from_slice(&claims.to_json().unwrap()).unwrap();
    assert_eq!(payload["iss"], "dtest");
    assert_eq!(payload["sub"], "ann");
    assert_eq!(payload["aud"], "other");
    assert_eq!(payload["iat"], NOW);
    assert_eq!(payload["nbf"], NOW - 60);
    assert_eq!(payload["exp"], NOW + 300);
    assert_eq!(answer.json()["expires_in"], 300);
    assert_eq!(answer.json()["issued_at"], "2026-01-02T03:04:05Z");
    // What is denied stays, with no actions (TG4).
    assert_eq!(
        payload["access"],
        json!([
            { "type": "repository", "name": "ann/app", "actions": ["pull"] },
            { "type": "repository", "name": "bob/app", "actions": [] },
        ])
    );
    fixture.clock.advance(1);
    let later = get_as(&fixture, "ann:secret", query).await;
    assert_ne!(fixture.verify(&later.token(), "other").id, claims.id);
    let anonymous = fixture.verify(&get(&fixture, "").await.token(), "registry");
    assert_eq!((anonymous.subject.as_str(), anonymous.access.len()), ("", 0)); // JW2, SC9
    assert!(answer.token().len() < 1024); // T12
}

/// T7, TG4: never an error.
#[tokio::test]
async fn what_the_rules_do_not_allow_is_left_out_of_the_token() {
    let fixture = Fixture::new().await;
    let table = [
        ("", "repository:public/a:pull,push", "repository:public/a:pull"),
        ("", "repository:ann/a:pull", "repository:ann/a:"),
        ("ann:secret", "repository:ann/a:push,pull", "repository:ann/a:push,pull"),
        ("ann:secret", "repository:ann/a:*", "repository:ann/a:pull,push"),
        ("ann:secret", "repository:team/a:delete,pull", "repository:team/a:delete,pull"),
        ("ann:secret", "registry:catalog:*", "registry:catalog:"),
        ("admin:secret", "registry:catalog:*", "registry:catalog:*"),
        ("admin:secret", "repository:any/thing:*", "repository:any/thing:*"),
        ("ci:secret", "repository:ci/app:pull,push", "repository:ci/app:pull"), // its ceiling
        ("ci:secret", "repository:ci/other:pull", "repository:ci/other:"),
        ("ann:secret", "model:x:use", "model:x:"),
        ("ann:secret", "nonsense", ""),
    ];
    for (who, scope, expected) in table {
        let query = format!("service=registry&scope={scope}");
        let answer = match who {
            "" => get(&fixture, &query).await,
            pair => get_as(&fixture, pair, &query).await,
        };
        assert_eq!(granted(&fixture, &answer), expected, "{who} asks {scope}");
    }
}

/// TP3
#[tokio::test]
async fn what_was_granted_is_told_with_spaces_between() {
    let fixture = Fixture::new().await;
    let form = "grant_type=password&username=ann&password=secret";
    let asked =
        "scope=repository:ann/a:pull,push&scope=repository:bob/a:pull+repository:public/a:pull";
    let answer = post(&fixture, &format!("{form}&{asked}")).await;
    let granted = "repository:ann/a:pull,push repository:public/a:pull";
    assert_eq!(answer.json()["scope"], granted);
}

/// T1, T10
#[tokio::test]
async fn parameters_may_be_missing_empty_or_unknown() {
    let fixture = Fixture::new().await;
    for query in ["", "service=", "scope=", "service=registry&foo=bar&account=&client_id="] {
        assert_eq!(get(&fixture, query).await.status, 200, "{query}");
        assert_eq!(get_as(&fixture, "ann:secret", query).await.status, 200, "{query}");
    }
    let form = "grant_type=password&username=ann&password=secret";
    for more in ["", "&scope=", "&scope=&service=&client_id=", "&audience=x"] {
        assert_eq!(post(&fixture, &format!("{form}{more}")).await.status, 200, "{more}");
    }
}

/// T2, T8, TG2, TG9, TP6, TP7: the exact bodies.
#[tokio::test]
async fn refusals_are_what_every_client_can_read() {
    let fixture = Fixture::new().await;
    let wrong = "grant_type=password&username=ann&password=wrong";
    let answers = [
        ("wrong password, GET", get_as(&fixture, "ann:wrong", "").await),
        ("wrong password, POST", post(&fixture, wrong).await),
        ("unknown user", get_as(&fixture, "nobody:wrong", "").await),
        ("bad refresh token", post_refresh(&fixture, "ppr_x", "").await),
        ("Bearer on the token path", {
            let mut bearer = request("GET", "");
            bearer.headers_mut().insert(header::AUTHORIZATION, "Bearer eyJ".parse().unwrap());
            send(&fixture, bearer).await
        }),
        ("empty user name", get_as(&fixture, ":secret", "").await),
        ("unknown service, GET", get(&fixture, "service=%C3%A9vil%22x").await),
        ("unknown service, POST", post(&fixture, &format!("{wrong}&service=evil")).await),
        ("account mismatch", get_as(&fixture, "ann:secret", "account=bob").await),
        ("empty POST", send(&fixture, request("POST", "")).await),
        ("no grant type", post(&fixture, "service=registry").await),
        ("unknown grant", post(&fixture, "grant_type=client_credentials").await),
        ("HEAD", send(&fixture, request("HEAD", "")).await),
        ("PUT", send(&fixture, request("PUT", "")).await),
    ];
    let text: Vec<String> =
        answers.iter().map(|(name, answer)| format!("== {name}\n{}", answer.picture())).collect();
    insta::assert_snapshot!(text.join("\n\n"));
    for (name, answer) in &answers {
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        assert_eq!(answer.status == 401, answer.headers.contains_key("www-authenticate"), "{name}");
    }
}

/// Harbor's CVE-2019-19030 and CVE-2020-13794: nobody learns who has an account.
#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_told_apart_by_nothing() {
    let fixture = Fixture::new().await;
    fixture.accounts.change("bob", |bob| bob.enabled = false);
    let wrong = get_as(&fixture, "ann:wrong", "").await.picture();
    assert_eq!(get_as(&fixture, "nobody:wrong", "").await.picture(), wrong);
    assert_eq!(get_as(&fixture, "bob:secret", "").await.picture(), wrong);
}

#[tokio::test]
async fn without_anonymous_callers_credentials_are_asked_for() {
    let settings = Settings { anonymous: false, ..Settings::default() };
    let fixture = Fixture::with(settings).await;
    let answer = get(&fixture, "service=registry&scope=repository:public/a:pull").await;
    insta::assert_snapshot!(answer.picture());
    assert_eq!(get_as(&fixture, "ann:secret", "").await.status, 200);
}

/// Unavailable is not a no (T2 wants no 5xx for a *request*; this is no answer about it).
#[tokio::test]
async fn a_source_that_does_not_answer_is_503_and_neither_a_no_nor_a_pass() {
    let fixture = Fixture::new().await;
    fixture.accounts.break_down("connection refused to ldap.internal:389");
    let answer = get_as(&fixture, "ann:secret", "").await;
    insta::assert_snapshot!(answer.picture());
    assert!(!answer.body.contains("ldap"), "{}", answer.body);
    let handled = answer.handled.unwrap().refusal.unwrap();
    assert_eq!(handled.id, "accounts-unavailable");
    assert!(handled.text.contains("ldap.internal"), "the log has the reason: {}", handled.text);
    // Nobody's account is needed for this one.
    assert_eq!(get(&fixture, "").await.status, 200);
}

/// TP1: skopeo's POST is chunked, without a `Content-Length`.
#[tokio::test]
async fn a_chunked_form_is_read_and_an_endless_one_is_not() {
    let fixture = Fixture::new().await;
    let chunked = |parts: Vec<Bytes>| {
        let parts = parts.into_iter().map(Ok::<_, std::io::Error>);
        let mut request = with_form(request("POST", ""), "");
        *request.body_mut() = Body::from_stream(futures_util::stream::iter(parts));
        request
    };
    let parts = ["grant_type=pass", "word&username=ann&", "password=secret"].map(Bytes::from);
    assert_eq!(send(&fixture, chunked(parts.to_vec())).await.status, 200);
    let endless = vec![Bytes::from(vec![b'a'; 16 * 1024]); 5];
    let answer = send(&fixture, chunked(endless)).await;
    insta::assert_snapshot!(answer.picture());
}

#[tokio::test]
async fn a_form_that_never_ends_is_not_waited_for() {
    let fixture = Fixture::new().await;
    tokio::time::pause();
    let mut request = with_form(request("POST", ""), "");
    *request.body_mut() =
        Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = send(&fixture, request).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.handled.unwrap().refusal.unwrap().id, "form-broken");
}

#[tokio::test]
async fn a_request_has_256_resources_at_most() {
    let fixture = Fixture::new().await;
    let query = |count: usize| {
        let scopes: Vec<String> =
            (0..count).map(|n| format!("scope=repository:ann/r{n}:pull")).collect();
        scopes.join("&")
    };
    let answer = get_as(&fixture, "ann:secret", &query(256)).await;
    assert_eq!(fixture.verify(&answer.token(), "registry").access.len(), 256);
    assert!(answer.body.len() < 64 * 1024, "T3");
    insta::assert_snapshot!(get_as(&fixture, "ann:secret", &query(257)).await.picture());
    let long = "x".repeat(200);
    let scopes: Vec<String> =
        (0..200).map(|n| format!("scope=repository:ann/{long}{n}:pull")).collect();
    let answer = get_as(&fixture, "ann:secret", &scopes.join("&")).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_scope")));
}

/// Access tokens need no database: anonymous callers and cached passwords work without it.
#[tokio::test]
async fn anonymous_requests_do_no_sql() {
    let fixture = Fixture::new().await;
    let secret = log_in(&fixture).await;
    fixture.db.close().await;
    let query = "service=registry&scope=repository:public/a:pull";
    assert_eq!(get(&fixture, query).await.status, 200);
    assert_eq!(get_as(&fixture, "ann:secret", query).await.status, 200);
    // What needs the database says that it is away, and is neither a no nor a pass.
    let answer = post_refresh(&fixture, &secret, "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert_eq!(get_as(&fixture, "ann:secret", "offline_token=true").await.status, 503);
}

#[tokio::test]
async fn who_asked_and_why_not_is_handed_to_the_log() {
    let fixture = Fixture::new().await;
    let served = get_as(&fixture, "ann:secret", "").await.handled.unwrap();
    assert_eq!(served, RequestOutcome::served("ann"));
    assert_eq!(get(&fixture, "").await.handled.unwrap(), RequestOutcome::served(""));
    let refused = get_as(&fixture, "ann:wrong-horse", "").await.handled.unwrap();
    let refusal = refused.refusal.unwrap();
    assert_eq!((refused.subject.as_deref(), refusal.id), (Some("ann"), "wrong-password"));
    assert!(!refusal.text.contains("horse"));
    let unread_scopes = get(&fixture, "service=evil").await.handled.unwrap().refusal.unwrap();
    assert_eq!(unread_scopes.id, "service-unknown");
}

async fn with_limits() -> Fixture {
    let limits = Limits::new(LimitSettings::default(), [1; 32]);
    Fixture::with(Settings { limits, ..Settings::default() }).await
}

/// `ann` from an address.
async fn attempt(fixture: &Fixture, password: impl fmt::Display) -> Answer {
    let mut request = with_basic(request("GET", ""), &format!("ann:{password}"));
    request.extensions_mut().insert(ClientAddress([192, 0, 2, 1].into()));
    send(fixture, request).await
}

#[tokio::test]
async fn too_many_failures_are_429_with_a_time_to_come_back() {
    let fixture = with_limits().await;
    let attempt = |password: String| attempt(&fixture, password);
    let mut last = attempt("wrong".into()).await;
    for n in 0..200 {
        if last.status == 429 {
            break;
        }
        last = attempt(format!("wrong-{n}")).await;
    }
    assert_eq!(last.status, 429, "{}", last.body);
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(last.json()["errors"][0]["code"], "TOOMANYREQUESTS");
    assert_eq!(last.header("cache-control"), "no-store");
}

/// Else whoever logs in stands behind all who guess.
#[tokio::test]
async fn who_has_logged_in_before_is_known_to_the_source_that_is_asked() {
    let fixture = with_limits().await;
    let seen = async |password: &str| {
        let status = attempt(&fixture, password).await.status;
        (status, fixture.accounts.last_queue_class().unwrap())
    };
    assert_eq!(seen("wrong").await, (401, QueueClass::Unproved));
    assert_eq!(seen("secret").await, (200, QueueClass::Unproved));
    assert_eq!(seen("wrong again").await, (401, QueueClass::Proved));
    assert_eq!(seen("secret").await, (200, QueueClass::Proved));
}

/// The pool serves in order: when the last of these is answered, the others have been counted.
#[tokio::test]
async fn who_hangs_up_before_the_answer_escapes_no_limit() {
    let fixture = with_limits().await;
    let attempt = |password: String| attempt(&fixture, password);
    for n in 0..30 {
        assert!(attempt(format!("guess-{n}")).now_or_never().is_none());
    }
    assert!([401, 429].contains(&attempt("wrong".into()).await.status));
    assert_eq!(attempt("secret".into()).await.status, 429);
}

/// The token and the explanation agree, seen from outside: every pair of a generated table.
#[tokio::test]
async fn tokens_and_explanations_agree_on_a_table_of_200_pairs() {
    let fixture = Fixture::new().await;
    let (policy, service) = crate::fixture::policy_and_service();
    let actions = ["pull", "push", "delete", "*", "pull,push", "pull,push,delete", "sign", ""];
    let names = ["public/a", "ann/a", "bob/a/b", "team/x", "elsewhere"];
    let mut pairs = 0;
    for who in ["", "admin", "ann", "bob", "ci"] {
        for scope in names.iter().flat_map(|n| actions.map(|a| format!("repository:{n}:{a}"))) {
            let query = format!("service=registry&scope={scope}");
            let (answer, account) = match who {
                "" => (get(&fixture, &query).await, None),
                name => {
                    let answer = get_as(&fixture, &format!("{name}:secret"), &query).await;
                    (answer, Some(fixture.account(name).await))
                }
            };
            let subject = account.map_or(crate::subject::Subject::Anonymous, Into::into);
            let requested = scope.parse::<portpass_protocol::AccessSet>().unwrap();
            let (subject, now) = (&subject, fixture.service.now());
            let request = crate::policy::Request { subject, service: &service, address: None, now };
            let explained =
                explain(&policy as &dyn Policy, &request, requested.iter().next().unwrap());
            let explained = format!("{}:{}", explained.resource, explained.granted.join(","));
            assert_eq!(granted(&fixture, &answer), explained, "{who:?} asks {scope}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 200);
}
