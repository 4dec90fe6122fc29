//! What works is not called a fault.

use super::world::{Like, World, given};
use crate::diagnose::{Check, Report, facts::Demand};
use crate::served::{challenge, reply};

const ALL: [Like; 3] = [Like::Two, Like::Three, Like::Portpass];

#[track_caller]
fn nothing_fails(report: &Report) {
    let failed: Vec<_> = report.findings.iter().filter(|finding| finding.failed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[track_caller]
fn verdicts(report: &Report, verdict: &str, checks: &[Check]) {
    for check in checks {
        let finding = report.finding(*check).unwrap();
        assert_eq!(finding.verdict.as_str(), verdict, "{finding:#?}");
    }
}

#[tokio::test]
async fn healthy_registries_pass_every_check_of_the_token() {
    let checks: Vec<Check> = Check::ALL
        .iter()
        .copied()
        .filter(|check| (Check::Jwt01..=Check::Use05).contains(check))
        .filter(|check| ![Check::Jwt06, Check::Key04, Check::Key05].contains(check))
        .collect();
    for like in ALL {
        let report = World::of(like).with_its_files().diagnose().await;
        nothing_fails(&report);
        verdicts(&report, "pass", &checks);
    }
}

#[tokio::test]
async fn what_was_not_given_is_said_to_be_missing() {
    let report = World::of(Like::Two).diagnose().await;
    nothing_fails(&report);
    verdicts(
        &report,
        "skip",
        &[Check::Clm02, Check::Key01, Check::Key02, Check::Key05, Check::Use06],
    );
    verdicts(&report, "pass", &[Check::Key06, Check::Acc01, Check::Use02, Check::Use03]);
}

#[tokio::test]
async fn a_token_with_its_certificate_passes_everywhere() {
    for like in ALL {
        let world = World::of(like).with_its_files();
        let chain = world.signer.x5c();
        let world = world.header(move |header| {
            header["x5c"] = chain.clone();
            header.as_object_mut().unwrap().remove("kid");
        });
        let report = world.diagnose().await;
        nothing_fails(&report);
        verdicts(
            &report,
            "pass",
            &[Check::Jwt04, Check::Jwt05, Check::Jwt06, Check::Key02, Check::Key03],
        );
    }
}

#[tokio::test]
async fn a_login_without_a_repository_needs_no_grant() {
    let mut world = World::of(Like::Three);
    world.repository = false;
    let report = world.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "pass", &[Check::Acc01, Check::Use02]);
}

#[tokio::test]
async fn an_open_registry_is_not_asked_about_tokens() {
    let mut world = World::of(Like::Three).behind(|_| Some(reply(200, "{}")));
    world.demand = Some(Demand::Nothing);
    nothing_fails(&world.diagnose().await);
}

/// ghcr.io and the like: tokens of their own make, and answers of their own.
#[tokio::test]
async fn an_opaque_token_is_fine_where_it_is_taken() {
    let world = World::of(Like::Three).rewritten(|_| "djE6c29tZWJvZHk6MTIzNDU2".to_owned());
    let world = world.behind(|seen| {
        let shown = seen.authorization.as_deref()?;
        let good = shown.contains("djE6");
        (seen.path != "/token").then(|| if good { reply(200, "{}") } else { reply(403, "denied") })
    });
    let report = world.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "skip", &[Check::Jwt01, Check::Clm01, Check::Key06, Check::Acc01]);
    verdicts(&report, "pass", &[Check::Use01, Check::Use02, Check::Use03]);
}

/// A registry that is content knows better than rules made for others.
#[tokio::test]
async fn what_the_registry_takes_is_no_failure() {
    let world = World::of(Like::Three)
        .claims(|claims| {
            claims["aud"] = "another".into();
            claims["exp"] = "soon".into();
            claims["access"] = serde_json::Value::Null;
        })
        .header(|header| header["kid"] = "x".into())
        .behind(|seen| {
            let shown = seen.authorization.as_deref()?;
            (seen.path != "/token" && shown.contains("eyJ")).then(|| reply(200, "{}"))
        });
    let report = world.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "warn", &[Check::Jwt07, Check::Clm01]);
}

#[tokio::test]
async fn a_password_is_shown_where_the_registry_wants_it() {
    let mut world = World::of(Like::Two).behind(|seen| match seen.basic() {
        Some(basic) if basic == "ann:secret" => Some(reply(200, "{}")),
        _ => Some(challenge("Basic realm=\"the file\"")),
    });
    world.demand = Some(Demand::Basic);
    let report = world.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "pass", &[Check::Use02, Check::Use03]);
    verdicts(&report, "skip", &[Check::Use01, Check::Jwt01, Check::Acc01, Check::Key06]);
}

#[tokio::test]
async fn an_expired_token_is_waited_for_and_called_invalid() {
    let mut world = World::of(Like::Three);
    world.inputs.wait_expiry = true;
    let report = world.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "pass", &[Check::Use06]);
}

#[tokio::test]
async fn nothing_of_the_token_or_the_key_is_shown() {
    let mut world = World::of(Like::Two).with_its_files();
    world.issuer = "another".to_owned();
    let token = world.token("repository:team/app:pull");
    world.inputs.token = Some(token.clone().into());
    world.inputs.token_key =
        Some(given("key.pem", "-----BEGIN PRIVATE KEY-----\nsecret\n-----END"));
    let report = format!("{:?}", world.diagnose().await);
    for piece in token.split('.') {
        assert!(!report.contains(piece), "{piece} in {report}");
    }
    assert!(!report.contains("-----BEGIN PRIVATE"));
}
