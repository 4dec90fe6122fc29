//! Each row of the failure catalogue, built and found again.

use super::*;
use crate::token_endpoint::fixture::walk_whole;

/// Row, the check that names it, and how.
pub(crate) const ROWS: &[(&str, Check, &str)] = &[
    ("F40", Check::Tok02, "fail"),
    ("F41", Check::Tok02, "fail"),
    ("F42", Check::Tok04, "fail"),
    ("F43", Check::Tok04, "fail"),
    ("F44", Check::Resp04, "fail"),
    ("F45", Check::Tok09, "fail"),
    ("F46", Check::Tok01, "fail"),
    ("F47", Check::Tok06, "fail"),
    ("F48", Check::Tok06, "fail"),
    ("F49", Check::Tok07, "warn"),
    ("F50", Check::Tok07, "warn"),
    ("F51", Check::Tok03, "fail"),
    ("F52", Check::Tok08, "fail"),
    ("F53", Check::Tok02, "fail"),
    ("F54", Check::Tok10, "fail"),
    ("F55", Check::Tok11, "fail"),
    ("F56", Check::Tok02, "fail"),
    ("F57", Check::Tok01, "fail"),
    ("F58", Check::Tok02, "fail"),
    ("F59", Check::Tok11, "fail"),
    ("F60", Check::Resp03, "fail"),
    ("F61", Check::Resp05, "fail"),
    ("F62", Check::Resp06, "fail"),
    ("F63", Check::Resp05, "fail"),
    ("F64", Check::Resp01, "fail"),
    ("F65", Check::Exp02, "fail"),
    ("F66", Check::Exp02, "fail"),
];

/// Several faults that are one row: each has to be found by the row's check.
fn faults(row: &str) -> Vec<Answer> {
    match row {
        "F40" | "F41" => vec![but(|seen| seen.basic().is_some(), |_| refused())],
        "F42" => vec![but(by_post, |_| reply(403, "")), but(by_post, |_| page(403))],
        "F43" => vec![but(by_post, |_| page(200)), but(by_post, |_| redirect(302, "/login"))],
        "F44" => vec![changed(by_post, |body| {
            drop(body.as_object_mut().unwrap().remove("access_token"));
        })],
        "F45" => vec![
            but(any, |_| page(200)),
            but(any, |_| redirect(302, "https://sso.example.com/login?next=/token")),
            but(by_get, |_| redirect(301, "/token/")),
        ],
        "F46" => vec![
            but(any, |_| reply(404, "404 page not found")),
            but(any, |_| page(404)),
            but(any, |_| json_reply(404, &json!({"message": "not found"}))),
            but(any, |_| {
                let why = "Missing form parameter: grant_type";
                json_reply(400, &json!({"error": "invalid_request", "error_description": why}))
            }),
        ],
        "F47" => {
            vec![
                but(repeats, |_| json_reply(400, &json!({"error": "duplicate field scope"}))),
                but(repeats, |seen| only(seen, seen.all("scope").first().unwrap())),
                but(repeats, |seen| only(seen, seen.all("scope").last().unwrap())),
            ]
        }
        "F48" => vec![
            but(joins, |_| json_reply(400, &json!({"error": "invalid scope"}))),
            but(joins, |seen| only(seen, seen.all("scope")[0].split(' ').next().unwrap())),
        ],
        "F49" => vec![but(
            |seen| seen.all("scope") == [""] && by_get(seen),
            |_| json_reply(400, &json!({})),
        )],
        "F50" => vec![but(
            |seen| seen.all("scope").iter().any(|scope| scope.starts_with("portpass:")),
            |_| json_reply(400, &json!({})),
        )],
        "F51" => vec![but(
            |seen| seen.all("scope").iter().any(|scope| scope.contains("team/app")),
            |_| json_reply(400, &json!({"error": "error parsing auth scope"})),
        )],
        "F52" => vec![
            but(foreign, |_| json_reply(401, &json!({"errors": [{"code": "DENIED"}]}))),
            but(foreign, |_| json_reply(403, &json!({}))),
        ],
        "F53" => [400, 401, 500]
            .into_iter()
            .map(|status| {
                let words = "Bad request: user and account are not the same";
                but(|seen| seen.one("account").is_some(), move |_| reply(status, words))
            })
            .collect(),
        "F54" => vec![but(wrong, |seen| {
            let token = crate::token_endpoint::fixture::jwt(300, "registry", None, &asked(seen));
            json_reply(200, &json!({"token": token, "access_token": token, "expires_in": 300}))
        })],
        "F55" => vec![
            but(any, |_| reply(429, "slow down").with(header::RETRY_AFTER, "60")),
            but(any, |_| reply(429, "")),
            but(any, |_| json_reply(403, &json!({"message": "API rate limit exceeded"}))),
        ],
        "F56" => vec![
            but(|seen| seen.one("offline_token").is_some(), |_| json_reply(500, &json!({}))),
            but(|seen| seen.one("offline_token").is_some(), |_| refused()),
        ],
        "F57" => vec![
            but(any, |_| reply(400, "Unable to handle service: registry")),
            but(any, |_| {
                let why = "service 'registry' is not one that this server issues tokens for";
                json_reply(400, &json!({"error": "invalid_request", "error_description": why}))
            }),
            but(any, |_| {
                let why = "Client specified by 'service' parameter does not exist";
                json_reply(400, &json!({"error": "invalid_client", "error_description": why}))
            }),
            but(any, |_| {
                json_reply(403, &json!({"errors": [{"message": "unknown service: registry"}]}))
            }),
            but(any, |_| json_reply(404, &json!({"message": "no such service"}))),
            // Without a word: it is what makes the difference.
            but(|seen| seen.one("service").is_some(), |_| reply(400, "")),
        ],
        "F58" => vec![
            but(of_docker, |_| json_reply(400, &json!({"error": "invalid_client"}))),
            but(of_docker, |_| json_reply(401, &json!({"message": "unknown client_id"}))),
        ],
        "F59" => vec![
            but(any, |_| page_of(503, "Scheduled maintenance")),
            but(any, |_| page_of(200, "We will be back soon!")),
            but(any, |_| json_reply(403, &json!({"message": "down for maintenance"}))),
        ],
        _ => later_faults(row),
    }
}

fn later_faults(row: &str) -> Vec<Answer> {
    match row {
        "F60" => vec![
            instead(json!({"jwt": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"})),
            instead(json!({"data": {"token": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"}})),
            instead(json!({"id_token": "x"})),
            instead(json!({"refresh_token": "x"})),
            instead(json!({"token": ""})),
            instead(json!({"token": 7})),
            instead(json!({})),
        ],
        "F61" => vec![
            changed(any, |body| body["expires_in"] = json!("300")),
            changed(any, |body| body["expires_in"] = json!(300.5)),
        ],
        "F62" => ["", "2024-01-02T03:04:05", "2024-01-02T03:04:05+0000"]
            .into_iter()
            .map(|text| changed(any, move |body| body["issued_at"] = json!(text)))
            .chain([changed(any, |body| body["issued_at"] = json!(1_700_000_000))])
            .collect(),
        "F63" => vec![
            changed(any, |body| body["expires_in"] = json!(30)),
            changed(any, |body| body["expires_in"] = json!(3600)),
        ],
        "F64" => vec![
            around("\u{feff}", ""),
            around("", "\n<!-- cached -->"),
            around("[", "]"),
            but(any, |seen| {
                body(seen).map_or_else(
                    |refused| refused,
                    |body| reply(200, body["token"].as_str().unwrap().to_owned()),
                )
            }),
        ],
        "F65" => vec![
            but(refreshes, |_| refused()),
            but(by_post, |_| reply(405, "")),
            but(refreshes, |_| json_reply(400, &json!({"error": "unsupported_grant_type"}))),
        ],
        "F66" => {
            let used = std::sync::atomic::AtomicBool::new(false);
            vec![but(refreshes, move |seen| {
                if used.swap(true, std::sync::atomic::Ordering::Relaxed) {
                    refused()
                } else {
                    healthy(seen)
                }
            })]
        }
        other => panic!("{other} has no fault"),
    }
}

#[tokio::test]
async fn every_row_is_found_by_its_check_and_nothing_stands_beside_it() {
    for (row, check, verdict) in ROWS {
        for (index, answer) in faults(row).into_iter().enumerate() {
            let walked = walk_as(answer, Some(ann()), "/team/app", |inputs| {
                inputs.wrong_password = *row == "F54";
            })
            .await;
            let at = format!("{row}, fault {index}: {:#?}", walked.troubles());
            let found = walked.finding(*check);
            assert_eq!(found.verdict.as_str(), *verdict, "{at}");
            assert!(found.rows.contains(row), "{at} {found:?}");
            assert!(found.fix.is_some(), "{at}");
            assert!(!found.evidence.is_empty() || *check >= Check::Resp01, "{at}");
            for other in walked.report.findings.iter().filter(|other| other.failed()) {
                assert!(other.check == *check || other.follows_from == Some(*check), "{at}");
            }
            if *verdict == "fail" {
                assert_eq!(walked.report.cause().unwrap().check, *check, "{at}");
            }
            assert!(walked.seen.len() <= 18, "{at}");
        }
    }
}

/// The same in the whole flow, where other stages see the fault too.
#[tokio::test]
async fn every_row_is_the_cause_of_all_that_fails_in_the_whole_flow() {
    let walked = walk_whole(Box::new(healthy), |_| ()).await;
    assert_eq!(walked.troubles(), Vec::<String>::new());
    for (row, check, verdict) in ROWS {
        for (index, answer) in faults(row).into_iter().enumerate() {
            let walked = walk_whole(answer, |inputs| inputs.wrong_password = *row == "F54").await;
            let at = format!("{row}, fault {index}: {:#?}", walked.troubles());
            assert_eq!(walked.finding(*check).verdict.as_str(), *verdict, "{at}");
            let cause = walked.report.cause().map(|cause| cause.check);
            assert_eq!(cause, (*verdict == "fail").then_some(*check), "{at}");
            for other in walked.report.findings.iter().filter(|other| other.failed()) {
                assert!(other.check == *check || other.follows_from == Some(*check), "{at}");
            }
            assert!(walked.seen.len() <= 60, "{at}");
        }
    }
}

/// Only when two rows cannot be told apart are both named.
#[tokio::test]
async fn what_can_be_told_apart_is() {
    let first = |row: &'static str| async move {
        let walked = walk(faults(row).remove(0)).await;
        walked.report.cause().unwrap().rows.clone()
    };
    assert_eq!(first("F53").await, ["F53"]);
    assert_eq!(first("F56").await, ["F56"]);
    assert_eq!(first("F47").await, ["F47"]);
    assert_eq!(first("F48").await, ["F48"]);
    assert_eq!(first("F52").await, ["F52"]);
    assert_eq!(first("F65").await, ["F65"]);
    assert_eq!(first("F66").await, ["F66"]);
    assert_eq!(first("F40").await, ["F40", "F41", "F56"]);
    assert_eq!(first("F57").await, ["F57"]);
    assert_eq!(first("F58").await, ["F58"]);
}

/// An answer is read for what it names before a scope, a password or a refresh token is blamed.
#[tokio::test]
async fn a_named_fault_is_the_fault_wherever_it_is_answered() {
    let says = |status: u16, why: &'static str| {
        move |_: &Seen| json_reply(status, &json!({ "error_description": why }))
    };
    let scoped =
        |seen: &Seen| by_get(seen) && seen.basic().is_some() && seen.one("scope").is_some();
    let table: Vec<(Answer, Check, &str)> = vec![
        (but(scoped, says(403, "client_id is missing")), Check::Tok03, "F58"),
        (but(scoped, says(403, "not your repository")), Check::Tok03, "F104"),
        (but(by_post, says(403, "the client_id is not allowed")), Check::Tok04, "F58"),
        (but(by_post, says(403, "forbidden")), Check::Tok04, "F42"),
        (but(logging_in, says(403, "the account is locked")), Check::Tok02, "F40"),
        (but(refreshes, says(400, "the client_id is unknown")), Check::Exp02, "F58"),
        (but(refreshes, says(400, "no such grant_type")), Check::Exp02, "F65"),
        (but(any, says(418, "what?")), Check::Tok01, "F49"),
    ];
    for (answer, check, row) in table {
        let walked = walk(answer).await;
        let cause = walked.report.cause().unwrap();
        assert_eq!((cause.check, cause.rows[0]), (check, row), "{cause:#?}");
    }
}

/// Neither another password nor another attempt helps, whatever the status.
#[tokio::test]
async fn a_locked_account_has_to_be_unlocked() {
    for status in [400, 401, 403, 423] {
        let locked = move |_: &Seen| {
            json_reply(status, &json!({"details": "the account is locked for 30 minutes"}))
        };
        let walked = walk(but(logging_in, locked)).await;
        let cause = walked.report.cause().unwrap();
        assert_eq!((cause.check, &*cause.rows), (Check::Tok02, &["F40"][..]), "{cause:#?}");
        let fix = cause.fix.as_deref().unwrap();
        assert!(fix.contains("unlock the account"), "{fix}");
        assert!(!fix.contains("log in again"), "{fix}");
    }
}

fn repeats(seen: &Seen) -> bool {
    seen.all("scope").len() > 1
}

fn joins(seen: &Seen) -> bool {
    seen.all("scope").iter().any(|scope| scope.contains(' '))
}

fn foreign(seen: &Seen) -> bool {
    seen.all("scope").iter().any(|scope| scope.contains("portpass-diagnose/"))
}

fn of_docker(seen: &Seen) -> bool {
    by_get(seen) && seen.one("client_id").is_some()
}

fn page_of(status: u16, words: &str) -> Reply {
    let page = format!("<html><body><h1>{words}</h1></body></html>");
    reply(status, page).with(header::CONTENT_TYPE, "text/html")
}

fn wrong(seen: &Seen) -> bool {
    seen.basic().is_some_and(|pair| pair != format!("ann:{PASSWORD}"))
}

fn refreshes(seen: &Seen) -> bool {
    seen.one("grant_type") == Some("refresh_token")
}

fn only(seen: &Seen, scope: &str) -> Reply {
    match body_for(seen, &scope.parse().unwrap()) {
        Ok(body) => json_reply(200, &body),
        Err(refused) => refused,
    }
}

fn instead(body: serde_json::Value) -> Answer {
    changed(any, move |answer| *answer = body.clone())
}

fn around(before: &'static str, after: &'static str) -> Answer {
    but(any, move |seen| match body(seen) {
        Ok(body) => reply(200, format!("{before}{body}{after}"))
            .with(header::CONTENT_TYPE, "application/json"),
        Err(refused) => refused,
    })
}
