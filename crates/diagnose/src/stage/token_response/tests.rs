use axum::http::header;
use portpass_protocol::challenge::KnownClient;
use portpass_testkit::http::reply;
use serde_json::{Value, json};

use crate::{
    Check, Finding,
    token_endpoint::fixture::{
        Answer, Finished, ann, any, body, but, by_get, by_post, changed, json_reply, logging_in,
        walk, walk_as,
    },
};

/// What a person reads, with the kernel's choice of ports left out.
fn shown(finding: &Finding) -> String {
    let mut lines = vec![
        format!("{} {}: {}", finding.check, finding.verdict.as_str(), finding.summary),
        format!(
            "breaks {}",
            finding.breaks.iter().map(|peer| peer.as_str()).collect::<Vec<_>>().join(", ")
        ),
    ];
    lines.extend(finding.evidence.iter().map(|line| format!("- {line}")));
    lines.extend(finding.fix.iter().map(|fix| format!("fix: {fix}")));
    lines.join("\n")
}

fn with_field(key: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |body| body[key] = value.clone()
}

fn without(key: &'static str) -> impl Fn(&mut Value) {
    move |body| drop(body.as_object_mut().unwrap().remove(key))
}

/// F60: "authorization server did not include a token in the response", and the registry logs
/// "authorization token required".
#[tokio::test]
async fn the_origin_story_is_told_whole() {
    let walked = walk(changed(any, |body| {
        let token = body["token"].clone();
        *body = json!({"status": "ok", "data": {"jwt": token}, "expires_in": 300});
    }))
    .await;
    let cause = walked.report.cause().unwrap();
    insta::assert_snapshot!(shown(cause), @r#"
    RESP-03 fail: the token service's response has no token; its keys are "data", "expires_in", "status"
    breaks docker, containerd, podman, crane, oras, regclient
    - GET as docker login: 200 OK, the keys data, expires_in, status
    - GET with the scope: 200 OK, the keys data, expires_in, status
    - GET without credentials: 200 OK, the keys data, expires_in, status
    - POST with a password: 200 OK, the keys data, expires_in, status
    - the token seems to be under "data.jwt"
    - docker and containerd say: authorization server did not include a token in the response
    - crane says: no token in bearer response; oras and helm say: empty token returned
    - podman and regclient continue with an empty token, and say: unauthorized: authentication required
    - the registry's log line "authorization token required" is not about this: every login starts with an unauthenticated request, which logs it
    fix: the token service must respond with {"token": "…", "access_token": "…", "expires_in": 300}, with the same token under both names, to GET and to POST
    "#);
    assert_eq!(walked.troubles(), ["RESP-03 fail"]);
}

#[tokio::test]
async fn look_alikes_are_named_by_where_they_stand() {
    let jwt = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    for (body, path) in [
        (json!({"jwt": "opaque"}), "\"jwt\""),
        (json!({"id_token": "opaque", "note": "x"}), "\"id_token\""),
        (json!({"data": {"token": "opaque"}}), "\"data.token\""),
        (json!({"a": {"b": {"c": jwt}}}), "\"a.b.c\""),
        (json!({"jwt": "opaque", "other": jwt}), "\"other\""),
    ] {
        let walked = walk(changed(any, move |answer| *answer = body.clone())).await;
        let evidence = walked.finding(Check::Resp03).evidence.join("\n");
        assert!(evidence.contains(&format!("to be under {path}")), "{path}: {evidence}");
    }
    let walked = walk(changed(any, |answer| *answer = json!({"error": "none"}))).await;
    assert!(!walked.finding(Check::Resp03).evidence.join("\n").contains("to be under"));
}

/// A server writes nothing on the terminal, and does not make the report long.
#[tokio::test]
async fn a_hostile_object_is_a_short_line() {
    let walked = walk(changed(any, |answer| {
        let mut fields = serde_json::Map::new();
        for n in 0..5000 {
            fields.insert(format!("\u{1b}[2J{n}{}", "x".repeat(50)), json!(n));
        }
        *answer = Value::Object(fields);
    }))
    .await;
    assert_eq!(walked.report.cause().unwrap().check, Check::Resp02);
    let evidence = &walked.finding(Check::Resp03).evidence;
    assert!(evidence.iter().all(|line| line.len() < 5000), "{evidence:?}");
}

async fn trouble(answer: Answer) -> (Vec<String>, Finished) {
    let walked = walk(answer).await;
    (walked.troubles(), walked)
}

#[tokio::test]
async fn each_oddity_is_named_once_with_whom_it_breaks() {
    let table: Vec<(Answer, &str, &[KnownClient])> = vec![
        (changed(any, without("expires_in")), "RESP-05 warn", &[KnownClient::Containerd]),
        (changed(any, without("token")), "RESP-04 warn", &[]),
        (changed(any, with_field("token", json!("other"))), "RESP-04 warn", &[KnownClient::Podman]),
        (changed(any, with_field("token", json!(""))), "RESP-04 warn", &[]),
        (
            changed(any, with_field("issued_at", json!("2020-01-01T00:00:00Z"))),
            "RESP-06 warn",
            &[KnownClient::Docker, KnownClient::Podman, KnownClient::Regclient],
        ),
        (changed(any, with_field("expires_in", json!(100))), "RESP-05 warn", &[]),
        (
            changed(any, |body| {
                let token = body["token"].clone();
                *body = json!({"Token": token, "expires_in": 300});
            }),
            "RESP-03 warn",
            &[],
        ),
        (
            changed(
                |seen| seen.basic().is_none() && by_get(seen),
                with_field("refresh_token", json!("x")),
            ),
            "RESP-07 warn",
            &[],
        ),
        (
            but(any, |seen| match body(seen) {
                Ok(body) => reply(200, body.to_string()),
                Err(refused) => refused,
            }),
            "RESP-01 warn",
            &[],
        ),
        (
            but(by_get, |seen| match body(seen) {
                Ok(body) => reply(200, body.to_string()).with(header::CONTENT_TYPE, "text/html"),
                Err(refused) => refused,
            }),
            "RESP-01 warn",
            &[],
        ),
        (
            but(logging_in, |seen| match body(seen) {
                Ok(body) => json_reply(201, &body),
                Err(refused) => refused,
            }),
            "RESP-01 fail",
            &[KnownClient::Podman, KnownClient::Crane, KnownClient::Oras, KnownClient::Regclient],
        ),
    ];
    for (answer, expected, breaks) in table {
        let (troubles, walked) = trouble(answer).await;
        // With `Token` alone, POST has no `access_token` either.
        let troubles: Vec<&str> = troubles
            .iter()
            .map(String::as_str)
            .filter(|trouble| *trouble != "RESP-04 fail")
            .collect();
        assert_eq!(troubles, [expected]);
        let check = expected.split(' ').next().unwrap();
        let check = *Check::ALL.iter().find(|known| known.id() == check).unwrap();
        assert_eq!(walked.finding(check).breaks, breaks, "{expected}");
    }
}

/// By GET every client reads `token` alone, and most public registries answer so.
#[tokio::test]
async fn a_token_service_with_get_and_token_alone_is_healthy() {
    let service: Answer = Box::new(|seen| {
        let get_only = but(by_post, |_| json_reply(405, &json!({"error": "method"})));
        if by_get(seen) {
            changed(any, |body| {
                drop(body.as_object_mut().unwrap().remove("access_token"));
                drop(body.as_object_mut().unwrap().remove("refresh_token"));
            })(seen)
        } else {
            get_only(seen)
        }
    });
    assert_eq!(walk(service).await.troubles(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_kept_for_those_who_look_into_it() {
    let walked = walk(changed(any, |body| {
        let token = format!("{}\n", body["token"].as_str().unwrap());
        body["token"] = json!(token);
        body["access_token"] = json!(token);
    }))
    .await;
    assert!(!walked.finding(Check::Resp03).failed());
    assert!(walked.token.unwrap().ends_with('\n'));
}

#[tokio::test]
async fn long_answers_are_measured_and_cut() {
    for (length, breaks) in [
        (70 * 1024, &[KnownClient::Crane] as &[KnownClient]),
        (200 * 1024, &[KnownClient::Crane, KnownClient::Oras]),
        (3 * 1024 * 1024, &KnownClient::ALL),
    ] {
        let walked = walk(changed(any, with_field("padding", json!("x".repeat(length))))).await;
        let cause = walked.report.cause().unwrap();
        assert_eq!((cause.check, cause.breaks.as_slice()), (Check::Resp02, breaks));
    }
}

#[tokio::test]
async fn a_token_without_get_answers_is_looked_for_where_there_is_one() {
    let walked = walk(changed(by_post, |body| *body = json!({"jwt": "x"}))).await;
    let cause = walked.report.cause().unwrap();
    assert_eq!((cause.check, cause.rows.as_slice()), (Check::Resp03, &["F60"] as &[&str]));
    assert_eq!(cause.breaks, [KnownClient::Docker, KnownClient::Containerd, KnownClient::Oras]);
    let walked = walk_as(changed(any, without("refresh_token")), Some(ann()), "", |_| ()).await;
    assert_eq!(walked.troubles(), Vec::<String>::new());
    let summary = &walked.finding(Check::Tok03).summary;
    assert!(summary.contains("HOST/REPOSITORY"), "{summary}");
}
