use portpass_testkit::http::{challenge, reply};
use serde_json::json;

use crate::{
    Check,
    token_endpoint::fixture::{
        Answer, REFRESH, ann, any, asked, at_desk, but, by_post, changed, healthy, identity,
        json_reply, jwt, refused, walk, walk_as,
    },
};

/// Tokens that live so long.
fn living(seconds: u64) -> Answer {
    changed(any, move |body| {
        let asked = "repository:team/app:pull".parse().unwrap();
        let token = jwt(seconds, "registry", Some("ann"), &asked);
        body["token"] = json!(token);
        body["access_token"] = json!(token);
        body["expires_in"] = json!(seconds.max(60));
    })
}

/// F63
#[tokio::test]
async fn short_lives_are_named() {
    for (seconds, verdict) in
        [(300, "pass"), (299, "warn"), (60, "warn"), (59, "fail"), (1, "fail")]
    {
        let walked = walk(living(seconds)).await;
        let found = walked.finding(Check::Exp01);
        assert_eq!(found.verdict.as_str(), verdict, "{seconds}: {found:?}");
        assert_eq!(found.rows.contains(&"F63"), verdict != "pass");
    }
}

#[tokio::test]
async fn an_opaque_token_lives_as_long_as_was_said() {
    let opaque = |life: u64| {
        changed(any, move |body| {
            *body = json!({"token": "opaque", "access_token": "opaque", "expires_in": life});
        })
    };
    assert_eq!(walk(opaque(600)).await.troubles(), Vec::<String>::new());
    let walked = walk(opaque(20)).await;
    assert_eq!(walked.report.cause().unwrap().check, Check::Resp05);
    assert!(walked.finding(Check::Exp01).failed());
}

/// F65, F66: with an identity token all that is left is to log in again.
#[tokio::test]
async fn a_kept_identity_token_that_is_refused_says_so() {
    for (answer, row) in [
        (Box::new(healthy) as Answer, "F66"),
        (but(by_post, |_| reply(404, "")), "F65"),
        (but(by_post, |_| json_reply(400, &json!({"error": "invalid_grant"}))), "F66"),
    ] {
        let walked = walk_as(answer, Some(identity("another")), "/team/app", |_| ()).await;
        let cause = walked.report.cause().unwrap();
        assert_eq!((cause.check, cause.rows[0]), (Check::Exp02, row));
        let sent = walked.seen.iter().filter(|seen| seen.one("refresh_token").is_some());
        assert_eq!(sent.count(), 1);
    }
}

/// A second use of a token that has been exchanged may lock its owner out.
#[tokio::test]
async fn a_kept_identity_token_that_is_exchanged_is_not_shown_twice() {
    let answer = changed(
        |seen| seen.one("grant_type") == Some("refresh_token"),
        |body| body["refresh_token"] = json!("the next one"),
    );
    let walked = walk_as(answer, Some(identity(REFRESH)), "/team/app", |_| ()).await;
    let found = walked.finding(Check::Exp02);
    assert_eq!((found.verdict.as_str(), found.rows.as_slice()), ("warn", &["F66"] as &[&str]));
}

#[tokio::test]
async fn a_refresh_token_stands_for_its_owner_with_all_rights() {
    let refreshes =
        |seen: &portpass_testkit::http::Seen| seen.one("grant_type") == Some("refresh_token");
    let walked = walk(changed(refreshes, |body| {
        let token = jwt(300, "registry", Some("ann"), &portpass_protocol::AccessSet::new());
        body["token"] = json!(token);
        body["access_token"] = json!(token);
    }))
    .await;
    assert_eq!(walked.troubles(), ["EXP-02 warn"]);
    let narrow = move |seen: &portpass_testkit::http::Seen| {
        refreshes(seen) && !asked(seen).to_string().contains("team/app")
    };
    let walked = walk(but(narrow, |_| json_reply(400, &json!({"error": "invalid_scope"})))).await;
    assert_eq!(walked.report.cause().unwrap().check, Check::Exp03);
}

#[tokio::test]
async fn no_refresh_token_is_no_trouble() {
    let walked =
        walk(changed(any, |body| drop(body.as_object_mut().unwrap().remove("refresh_token"))))
            .await;
    assert_eq!(walked.troubles(), Vec::<String>::new());
    assert_eq!(walked.finding(Check::Resp07).verdict.as_str(), "pass");
    assert_eq!(walked.finding(Check::Exp02).verdict.as_str(), "skip");
}

#[tokio::test]
async fn when_a_token_has_expired_a_new_one_comes_and_the_old_one_is_invalid() {
    let wait = |answer: Answer| {
        walk_as(answer, Some(ann()), "/team/app", |inputs| inputs.wait_expiry = true)
    };
    let walked = wait(Box::new(healthy)).await;
    assert_eq!(walked.finding(Check::Exp04).verdict.as_str(), "pass");
    assert_eq!(walked.troubles(), Vec::<String>::new());
    // F127
    let silent = wait(Box::new(|seen| {
        if at_desk(seen) {
            healthy(seen)
        } else {
            challenge(r#"Bearer realm="x",service="registry""#)
        }
    }))
    .await;
    assert_eq!(silent.finding(Check::Exp04).rows, ["F127"]);
    let lax =
        wait(Box::new(|seen| if at_desk(seen) { healthy(seen) } else { reply(200, "{}") })).await;
    assert!(lax.finding(Check::Exp04).failed());
    let long = wait(living(7200)).await;
    assert_eq!(long.finding(Check::Exp04).verdict.as_str(), "skip");
}

#[tokio::test]
async fn a_service_that_gives_a_token_once_is_named() {
    let scoped = std::sync::atomic::AtomicUsize::new(0);
    let answer = but(
        |seen| seen.basic().is_some() && seen.all("scope") == ["repository:team/app:pull"],
        move |seen| {
            let before = scoped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if before == 0 { healthy(seen) } else { refused() }
        },
    );
    let walked =
        walk_as(answer, Some(ann()), "/team/app", |inputs| inputs.wait_expiry = true).await;
    assert_eq!(walked.report.cause().unwrap().check, Check::Exp04);
}
