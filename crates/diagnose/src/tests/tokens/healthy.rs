//! What works is not called a fault.

use axum::http::header::WWW_AUTHENTICATE;
use portpass_testkit::http::{challenge, reply};

use super::scenario::{RegistryKind, Scenario, every_second, given};
use crate::{Check, Detail, Report, observations::RequiredAuth};

const ALL: [RegistryKind; 3] =
    [RegistryKind::Distribution2, RegistryKind::Distribution3, RegistryKind::Portpass];

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
    for kind in ALL {
        let report = Scenario::of(kind).with_its_files().diagnose().await;
        nothing_fails(&report);
        verdicts(&report, "pass", &checks);
    }
}

#[tokio::test]
async fn what_was_not_given_is_said_to_be_missing() {
    let report = Scenario::of(RegistryKind::Distribution2).diagnose().await;
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
    for kind in ALL {
        let scenario = Scenario::of(kind).with_its_files();
        let chain = scenario.signer.x5c();
        let scenario = scenario.header(move |header| {
            header["x5c"] = chain.clone();
            header.as_object_mut().unwrap().remove("kid");
        });
        let report = scenario.diagnose().await;
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
    let mut scenario = Scenario::of(RegistryKind::Distribution3);
    scenario.repository = false;
    let report = scenario.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "pass", &[Check::Acc01, Check::Use02]);
}

#[tokio::test]
async fn an_open_registry_is_not_asked_about_tokens() {
    let mut scenario = Scenario::of(RegistryKind::Distribution3).behind(|_| Some(reply(200, "{}")));
    scenario.required_auth = Some(RequiredAuth::Nothing);
    nothing_fails(&scenario.diagnose().await);
}

/// ghcr.io and the like: tokens of their own make, and answers of their own.
#[tokio::test]
async fn an_opaque_token_is_fine_where_it_is_taken() {
    for rewrite in [
        (|_| "djE6c29tZWJvZHk6MTIzNDU2".to_owned()) as fn(String) -> String,
        |_| "DockerToken.djE6-1f3870be".to_owned(),
        |_| "ya29.djE6.a0AfB".to_owned(),
    ] {
        let scenario = Scenario::of(RegistryKind::Distribution3).rewritten(rewrite);
        let scenario = scenario.behind(|seen| {
            let shown = seen.authorization.as_deref()?;
            let answer =
                || if shown.contains("djE6") { reply(200, "{}") } else { reply(403, "denied") };
            (seen.path != "/token").then(answer)
        });
        let report = scenario.diagnose().await;
        nothing_fails(&report);
        verdicts(&report, "skip", &[Check::Jwt01, Check::Clm01, Check::Key06, Check::Acc01]);
        verdicts(&report, "pass", &[Check::Use01, Check::Use02, Check::Use03]);
    }
}

#[tokio::test]
async fn a_file_that_was_given_and_is_none_is_told_of() {
    let scenario = Scenario::of(RegistryKind::Distribution3);
    let report = scenario
        .given(|inputs| inputs.registry_config = Some(given("config.yml", "a: [")))
        .diagnose();
    let report = report.await;
    nothing_fails(&report);
    verdicts(&report, "warn", &[Check::Clm02]);
}

/// Gitea and Forgejo: two challenges, a scope of their own, and tokens that only they can read.
fn gitea(takes_passwords: bool) -> Scenario {
    Scenario::of(RegistryKind::Distribution3)
        .header(|header| header["alg"] = "HS256".into())
        .claims(|claims| {
            claims.as_object_mut().unwrap().remove("access");
        })
        .behind(move |seen| {
            if seen.path == "/token" {
                return None;
            }
            let shown = seen.authorization.as_deref().unwrap_or_default();
            if shown.contains(" eyJ")
                || (takes_passwords && seen.basic().is_some_and(|pair| pair == "ann:secret"))
            {
                return Some(reply(200, "{}"));
            }
            let realm = format!("http://{}/token", seen.host);
            let bearer =
                format!("Bearer realm=\"{realm}\",service=\"container_registry\",scope=\"*\"");
            Some(
                challenge(bearer)
                    .with(WWW_AUTHENTICATE, "Basic realm=\"Gitea Container Registry\""),
            )
        })
}

#[tokio::test]
async fn a_password_in_the_token_s_place_is_fine_where_it_is_taken() {
    let report = gitea(true).diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "warn", &[Check::Chal01, Check::Jwt03]);
    verdicts(&report, "pass", &[Check::Chal08, Check::Use02, Check::Use03]);
    let report = gitea(false).diagnose().await;
    assert_eq!(report.cause().unwrap().check, Check::Chal01);
}

/// A limit that a diagnosis comes to is no fault of the token. Whether a client gets through is not known then.
#[tokio::test]
async fn a_registry_that_has_had_enough_says_nothing_of_the_token() {
    let report = Scenario::of(RegistryKind::Distribution3)
        .behind(|seen| {
            let shown = seen.authorization.as_deref()?;
            (seen.path != "/token" && shown.contains("eyJ")).then(|| reply(429, "slow down"))
        })
        .diagnose()
        .await;
    let cause = report.cause().unwrap();
    assert_eq!(cause.check, Check::Use02);
    assert!(cause.summary.contains("429") && cause.fix.as_ref().unwrap().contains("Retry-After"));
    verdicts(&report, "warn", &[Check::Use03]);
    assert_eq!(report.findings.iter().filter(|finding| finding.failed()).count(), 1);
    // Nor is it one node of several that has other keys.
    let is_second = every_second();
    let limited = Scenario::of(RegistryKind::Distribution3);
    let report =
        limited.behind(move |seen| is_second(seen).then(|| reply(503, "busy"))).diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "pass", &[Check::Use02]);
}

/// A registry that is content knows better than rules made for others.
#[tokio::test]
async fn what_the_registry_takes_is_no_failure() {
    let scenario = Scenario::of(RegistryKind::Distribution3)
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
    let report = scenario.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "warn", &[Check::Jwt07, Check::Clm01]);
}

#[tokio::test]
async fn a_password_is_shown_where_the_registry_wants_it() {
    let mut scenario =
        Scenario::of(RegistryKind::Distribution2).behind(|seen| match seen.basic() {
            Some(basic) if basic == "ann:secret" => Some(reply(200, "{}")),
            _ => Some(challenge("Basic realm=\"the file\"")),
        });
    scenario.required_auth = Some(RequiredAuth::Basic);
    let report = scenario.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "pass", &[Check::Use02, Check::Use03]);
    verdicts(&report, "skip", &[Check::Use01, Check::Jwt01, Check::Acc01, Check::Key06]);
    assert_eq!(report.finding(Check::Tok01).unwrap().verdict.as_str(), "skip");
    // It is called what it is, and asked for nobody's keys.
    let text = report.text(Detail::Short, |_, text| text.to_owned());
    assert!(text.contains("asks for name and password themselves"), "{text}");
    assert!(text.contains("`auth: htpasswd`") && !text.contains("--bundle"), "{text}");
}

#[tokio::test]
async fn an_expired_token_is_waited_for_and_called_invalid() {
    let mut scenario = Scenario::of(RegistryKind::Distribution3);
    scenario.inputs.wait_expiry = true;
    let report = scenario.diagnose().await;
    nothing_fails(&report);
    verdicts(&report, "pass", &[Check::Use06]);
}

#[tokio::test]
async fn nothing_of_the_token_or_the_key_is_shown() {
    let mut scenario = Scenario::of(RegistryKind::Distribution2).with_its_files();
    scenario.issuer = "another".to_owned();
    let token = scenario.token("repository:team/app:pull");
    scenario.inputs.token = Some(token.clone().into());
    scenario.inputs.token_key =
        Some(given("key.pem", "-----BEGIN PRIVATE KEY-----\nsecret\n-----END"));
    let report = format!("{:?}", scenario.diagnose().await);
    for piece in token.split('.') {
        assert!(!report.contains(piece), "{piece} in {report}");
    }
    assert!(!report.contains("-----BEGIN PRIVATE"));
}
