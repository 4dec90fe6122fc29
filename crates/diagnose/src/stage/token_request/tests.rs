//! Healthy token services, and every row of the failure catalogue that is the token service's.

use portpass_client::credentials::Credential;
use portpass_testkit::http::{Reply, Seen, redirect, reply};

use crate::{
    Check,
    token_endpoint::fixture::{
        Answer, Finished, PASSWORD, REFRESH, ann, any, asked, body, body_for, but, by_get, by_post,
        changed, healthy, identity, json_reply, logging_in, refused, walk, walk_as,
    },
};
use axum::http::header;
use portpass_protocol::challenge::KnownClient;
use serde_json::json;

pub(crate) mod rows;

fn page(status: u16) -> Reply {
    reply(status, "<html><title>Sign in</title></html>").with(header::CONTENT_TYPE, "text/html")
}

#[tokio::test]
async fn a_healthy_token_service_has_no_trouble_and_is_asked_little() {
    let walked = walk(Box::new(healthy)).await;
    assert_eq!(walked.troubles(), Vec::<String>::new());
    for check in Check::ALL {
        let ours = ["TOK", "RESP", "EXP"].iter().any(|group| check.id().starts_with(group));
        let optional = matches!(check, Check::Tok10 | Check::Exp04);
        let verdict = walked.finding(*check).verdict.as_str();
        if ours {
            assert_eq!(
                verdict,
                if optional { "skip" } else { "pass" },
                "{:?}",
                walked.finding(*check)
            );
        }
    }
    assert!(walked.seen.len() <= 18, "{}", walked.seen.len());
    assert!(walked.token.is_some());
}

#[tokio::test]
async fn requests_have_the_shapes_of_real_clients() {
    let walked = walk(Box::new(healthy)).await;
    let names = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join("&")
    };
    let shapes: Vec<String> = walked
        .seen
        .iter()
        .map(|seen| {
            let caller = if seen.authorization.is_some() { " Basic" } else { "" };
            format!("{}{caller} {}{}", seen.method, names(&seen.query), names(&seen.form))
        })
        .collect();
    insta::assert_snapshot!(shapes.join("\n"), @"
    GET scope&service
    GET Basic account&client_id&offline_token&service
    GET Basic scope&service
    POST client_id&grant_type&password&username&scope&service
    POST client_id&grant_type&service
    GET scope&service
    GET portpass&scope&service
    GET Basic scope&scope&scope&service
    GET Basic scope&service
    GET service
    POST client_id&grant_type&refresh_token&scope&service
    POST client_id&grant_type&refresh_token&scope&service
    POST client_id&grant_type&refresh_token&scope&service
    ");
    let login = walked.seen.iter().find(|seen| logging_in(seen)).unwrap();
    assert_eq!(login.one("account"), Some("ann"));
    assert_eq!(login.one("offline_token"), Some("true"));
    let post = walked.seen.iter().find(|seen| seen.one("grant_type") == Some("password")).unwrap();
    assert_eq!(post.one("client_id"), Some("containerd-client"));
    assert_eq!(post.one("password"), Some(PASSWORD));
    // Without leave to write no push is asked for: some services create what it names.
    assert!(walked.seen.iter().all(|seen| !asked(seen).to_string().contains("push")));
}

#[tokio::test]
async fn without_credentials_what_needs_them_says_so() {
    let walked = walk_as(Box::new(healthy), None, "/team/app", |_| ()).await;
    assert_eq!(walked.troubles(), Vec::<String>::new());
    for check in [Check::Tok02, Check::Tok03, Check::Tok04, Check::Exp02] {
        let summary = &walked.finding(check).summary;
        assert!(summary.contains("--username"), "{summary}");
    }
    assert_eq!(walked.finding(Check::Tok06).verdict.as_str(), "pass");
    // Where nobody is served without, the rest needs them too.
    let closed = but(|seen| by_get(seen) && seen.basic().is_none(), |_| refused());
    let walked = walk_as(closed, None, "", |_| ()).await;
    assert_eq!(walked.troubles(), Vec::<String>::new());
    for check in [Check::Tok06, Check::Resp03, Check::Tok12] {
        let summary = &walked.finding(check).summary;
        assert!(summary.contains("--username"), "{summary}");
    }
}

#[tokio::test]
async fn an_identity_token_goes_by_post_alone() {
    let walked = walk_as(Box::new(healthy), Some(identity(REFRESH)), "/team/app", |_| ()).await;
    assert_eq!(walked.troubles(), Vec::<String>::new());
    for check in [Check::Tok04, Check::Tok06, Check::Tok08, Check::Resp03, Check::Exp02] {
        assert_eq!(walked.finding(check).verdict.as_str(), "pass", "{:?}", walked.finding(check));
    }
    let skipped = &walked.finding(Check::Tok02).summary;
    assert!(skipped.contains("identity token is stored"), "{skipped}");
    assert!(walked.seen.iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn a_refused_password_is_sent_once() {
    let wrong = || Credential::Password { username: "ann".into(), password: "wrong pass".into() };
    for answer in [
        Box::new(healthy) as Answer,
        but(|seen| seen.basic().is_some(), |_| json_reply(403, &json!({"message": "locked"}))),
    ] {
        let walked =
            walk_as(answer, Some(wrong()), "/team/app", |inputs| inputs.wrong_password = true)
                .await;
        let sent = walked
            .seen
            .iter()
            .filter(|seen| seen.authorization.is_some() || seen.one("password").is_some());
        assert_eq!(sent.count(), 1);
        let cause = walked.report.cause().unwrap();
        assert_eq!(cause.check, Check::Tok02);
        assert_eq!(walked.finding(Check::Tok10).verdict.as_str(), "pass");
        assert!(cause.evidence.iter().any(|line| line.contains("shells and URLs")), "{cause:?}");
        assert!(cause.evidence.iter().any(|line| line.contains("gives a token")), "{cause:?}");
    }
}

#[tokio::test]
async fn nothing_secret_is_sent_to_a_page_and_nothing_to_a_redirect() {
    let elsewhere = portpass_testkit::http::Served::always(reply(200, "{}")).await;
    let to = elsewhere.url("/login");
    let walked = walk(but(any, move |_| redirect(302, to.clone()))).await;
    assert_eq!(walked.report.cause().unwrap().check, Check::Tok09);
    assert_eq!(elsewhere.seen().len(), 0);
    let walked = walk(but(any, |_| page(404))).await;
    assert!(walked.seen.iter().all(|seen| seen.authorization.is_none()));
    assert_eq!(walked.seen.len(), 1);
}

#[tokio::test]
async fn after_429_nothing_more_is_asked() {
    let limited = || reply(429, "slow down").with(header::RETRY_AFTER, "60");
    let walked = walk(but(any, move |_| limited())).await;
    assert_eq!(walked.seen.len(), 1);
    // A limit that only a diagnosis reaches is no fault.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let walked = walk(Box::new(move |seen| {
        let before = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if before < 4 { healthy(seen) } else { limited() }
    }))
    .await;
    assert_eq!(walked.troubles(), ["TOK-11 warn"]);
    assert_eq!(walked.seen.len(), 5);
}

#[tokio::test]
async fn what_most_clients_live_with_is_a_warning() {
    let closed =
        |reply: fn() -> Reply| but(|seen| by_get(seen) && seen.basic().is_none(), move |_| reply());
    let table: Vec<(&str, Answer)> = vec![
        ("TOK-01 warn", closed(|| reply(401, "Auth failed."))),
        ("TOK-01 warn", closed(|| json_reply(403, &json!({"message": "no"})))),
        ("TOK-01 warn", closed(|| json_reply(400, &json!({"message": "no"})))),
        ("TOK-09 warn", closed(|| page(200))),
        ("TOK-05 warn", but(|seen| grant(seen) == Some("portpass_diagnose"), |_| page(400))),
        ("TOK-05 warn", but(|seen| grant(seen) == Some("portpass_diagnose"), |_| reply(500, ""))),
        (
            "TOK-05 warn",
            but(|seen| grant(seen) == Some("portpass_diagnose"), |_| json_reply(200, &json!({}))),
        ),
        (
            "TOK-05 warn",
            but(|seen| grant(seen) == Some("portpass_diagnose"), |_| reply(400, "what?")),
        ),
        ("RESP-03 warn", closed(|| json_reply(200, &json!({"token": ""})))),
        (
            "TOK-12 warn",
            but(
                |seen| seen.one("service") != Some("registry") && by_get(seen),
                |seen| {
                    json_reply(
                        200,
                        &json!({
                            "token": crate::token_endpoint::fixture::jwt(300, "registry", None, &asked(seen)),
                        }),
                    )
                },
            ),
        ),
    ];
    for (trouble, answer) in table {
        assert_eq!(walk(answer).await.troubles(), [trouble]);
    }
}

/// As GitLab answers.
#[tokio::test]
async fn a_page_that_says_there_is_no_post_is_as_good_as_any() {
    let walked = walk(but(by_post, |_| page(404))).await;
    let troubles: Vec<String> = walked.troubles();
    assert!(!troubles.iter().any(|trouble| trouble.starts_with("TOK")), "{troubles:?}");
}

/// Nobody sends what only a diagnosis does.
#[tokio::test]
async fn a_bad_post_alone_is_no_fault_of_a_login() {
    for answer in [|| reply(403, ""), || reply(422, "{}"), || page(200)] {
        let walked = walk_as(but(by_post, move |_| answer()), None, "/team/app", |_| ()).await;
        assert_eq!(walked.troubles(), ["TOK-05 warn"]);
    }
}

#[tokio::test]
async fn containerd_falls_back_from_four_statuses_and_no_other() {
    for status in [400, 401, 404, 405] {
        let walked = walk(but(
            |seen| grant(seen) == Some("password"),
            move |_| json_reply(status, &json!({"error": "unsupported_grant_type"})),
        ))
        .await;
        assert_eq!(walked.troubles(), Vec::<String>::new(), "{status}");
    }
    for status in [403, 415, 422, 500, 503] {
        let walked =
            walk(but(|seen| grant(seen) == Some("password"), move |_| reply(status, ""))).await;
        assert_eq!(walked.troubles()[0], "TOK-04 fail", "{status}");
        assert_eq!(walked.finding(Check::Tok04).breaks, [KnownClient::Containerd]);
    }
}

#[tokio::test]
async fn a_wrong_password_is_sent_only_if_it_may_be() {
    let count = |walked: &Finished| {
        let sent = walked.seen.iter().filter(|seen| seen.basic().is_some());
        sent.filter(|seen| seen.basic().unwrap() != format!("ann:{PASSWORD}")).count()
    };
    assert_eq!(count(&walk(Box::new(healthy)).await), 0);
    let walked =
        walk_as(Box::new(healthy), Some(ann()), "/team/app", |inputs| inputs.wrong_password = true)
            .await;
    assert_eq!(count(&walked), 1);
    assert_eq!(walked.finding(Check::Tok10).verdict.as_str(), "pass");
}

#[tokio::test]
async fn a_token_service_that_breaks_off_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let at = format!("http://127.0.0.1:{port}/token");
    let case_of = |url: &str| url.parse::<reqwest::Url>().unwrap();
    let mut run = crate::run::Run::new(
        format!("127.0.0.1:{port}").parse().unwrap(),
        crate::Inputs::none(crate::LocalInputs::default()),
        std::sync::Arc::new(crate::token_endpoint::fixture::InstantTimer::default()),
    );
    run.observed.realm = Some(case_of(&at));
    run.observed.required_auth =
        Some(crate::observations::RequiredAuth::Bearer { realm: at, service: None, scope: None });
    super::check(&mut run).await;
    task.abort();
    assert_eq!(run.into_report().cause().unwrap().check, Check::Tok01);
}

fn grant(seen: &Seen) -> Option<&str> {
    seen.one("grant_type")
}
