//! Answers that stop nobody, or that need more than one look.

use portpass_testkit::http::{challenge, reply};
use serde_json::json;

use super::scenario::{RegistryKind, Scenario, unnamed};
use crate::{Check, Finding, Report};

#[track_caller]
fn finding(report: &Report, check: Check, verdict: &str) -> Finding {
    let finding = report.finding(check).unwrap().clone();
    assert_eq!(finding.verdict.as_str(), verdict, "{finding:#?}");
    finding
}

#[tokio::test]
async fn what_is_left_is_listed_with_what_was_excluded_and_what_would_tell() {
    let mut scenario = Scenario::of(RegistryKind::Distribution2);
    scenario.issuer = "another".to_owned();
    let report = scenario.diagnose().await;
    let finding = finding(&report, Check::Key06, "fail");
    assert_eq!(finding.rows, ["F75", "F81", "F85", "F84"]);
    let evidence = finding.evidence.join("\n");
    for part in ["excluded: its form", "its audience", "possible: its issuer", "an old one"] {
        assert!(evidence.contains(part), "{part}: {evidence}");
    }
    let fix = finding.fix.unwrap();
    assert!(fix.contains("--issuer NAME and --bundle FILE or --jwks FILE"), "{fix}");
}

#[tokio::test]
async fn a_fault_that_is_certain_goes_before_a_guess_at_the_key_id() {
    let scenario = Scenario::of(RegistryKind::Distribution3);
    let id = scenario.signer.libtrust();
    let scenario = scenario.edited(move |header, claims| {
        header["kid"] = id.clone().into();
        claims["aud"] = "another".into();
    });
    let report = scenario.diagnose().await;
    assert_eq!(report.cause().unwrap().check, Check::Clm01);
    finding(&report, Check::Jwt05, "warn");
}

/// `docker_auth`'s way out of F82.
#[tokio::test]
async fn a_libtrust_id_is_fine_at_distribution_3_where_a_jwk_set_has_it() {
    let mut scenario = Scenario::of(RegistryKind::Distribution3);
    let id = scenario.signer.libtrust();
    scenario.jwks = Some(scenario.signer.jwks(&id));
    let report = scenario.header(move |header| header["kid"] = id.clone().into()).diagnose().await;
    assert!(report.cause().is_none(), "{:#?}", report.cause());
    finding(&report, Check::Jwt05, "pass");
}

#[tokio::test]
async fn the_two_distributions_are_told_apart() {
    for (kind, words) in [
        (RegistryKind::Distribution2, "distribution 2"),
        (RegistryKind::Distribution3, "distribution 3"),
    ] {
        let report = Scenario::of(kind).diagnose().await;
        assert!(finding(&report, Check::Use04, "pass").summary.contains(words));
    }
}

#[tokio::test]
async fn a_registry_whose_log_can_be_asked_is_said_to_be_asked() {
    let mut scenario = Scenario::of(RegistryKind::Portpass);
    scenario.issuer = "another".to_owned();
    let report = scenario.diagnose().await;
    let evidence = finding(&report, Check::Key06, "fail").evidence.join("\n");
    assert!(evidence.contains("portpass explain"), "{evidence}");
}

#[tokio::test]
async fn padding_is_a_warning_where_distribution_2_takes_it() {
    let report = Scenario::of(RegistryKind::Distribution2)
        .rewritten(|token| format!("{token}=="))
        .diagnose()
        .await;
    finding(&report, Check::Jwt02, "warn");
    assert!(report.cause().is_none());
}

#[tokio::test]
async fn long_tokens_are_warned_of_before_they_are_refused() {
    for (length, verdict) in [(100, "pass"), (5000, "warn"), (9000, "warn")] {
        let scenario = Scenario::of(RegistryKind::Distribution3);
        let report = scenario.claims(move |claims| claims["g"] = "g".repeat(length).into());
        finding(&report.diagnose().await, Check::Jwt08, verdict);
    }
}

#[tokio::test]
async fn an_audience_in_a_list_is_a_warning_where_it_is_read() {
    let scenario = Scenario::of(RegistryKind::Distribution3)
        .claims(|claims| claims["aud"] = json!([claims["aud"], "b"]));
    finding(&scenario.diagnose().await, Check::Clm01, "warn");
}

#[tokio::test]
async fn a_life_that_is_not_what_was_said_is_noticed() {
    for (more, verdict) in [(0_i64, "pass"), (-60, "warn"), (-200, "fail"), (600, "warn")] {
        let scenario = Scenario::of(RegistryKind::Distribution2);
        let longer = move |claims: &mut serde_json::Value| {
            claims["exp"] = (claims["exp"].as_i64().unwrap() + more).into();
        };
        let report = scenario.claims(longer).diagnose().await;
        finding(&report, Check::Clm04, verdict);
    }
}

#[tokio::test]
async fn a_token_that_begins_at_once_is_warned_of() {
    let scenario = Scenario::of(RegistryKind::Distribution2)
        .claims(|claims| claims["nbf"] = claims["iat"].clone());
    finding(&scenario.diagnose().await, Check::Clm03, "warn");
}

#[tokio::test]
async fn a_token_of_somebody_else_is_warned_of() {
    for (subject, access, verdict) in
        [("bob", json!([]), "warn"), ("", json!([]), "warn"), ("5f1c-id", json!(null), "pass")]
    {
        let scenario = Scenario::of(RegistryKind::Distribution2).claims(move |claims| {
            claims["sub"] = subject.into();
            if access.is_array() {
                claims["access"] = access.clone();
            }
        });
        finding(&scenario.diagnose().await, Check::Clm05, verdict);
    }
}

#[tokio::test]
async fn what_was_not_asked_for_is_noticed() {
    let more = json!([{ "type": "repository", "name": "team/app", "actions": ["pull", "push"] }]);
    let scenario = Scenario::of(RegistryKind::Distribution2)
        .claims(move |claims| claims["access"] = more.clone());
    let finding = finding(&scenario.diagnose().await, Check::Acc05, "warn");
    assert!(finding.summary.contains("repository:team/app:push"), "{}", finding.summary);
}

/// R6, R7
#[tokio::test]
async fn answers_to_too_small_a_token_are_weighed() {
    let scope = "scope=\"repository:team/app:pull\"";
    let table = [
        (challenge(format!("Bearer realm=\"r\",{scope},error=\"insufficient_scope\"")), "pass"),
        (challenge("Bearer realm=\"r\",error=\"insufficient_scope\""), "warn"),
        (challenge(format!("Bearer realm=\"r\",{scope}")), "warn"),
        (reply(403, "{}"), "warn"),
        (reply(200, "{}"), "pass"),
        (reply(500, "{}"), "fail"),
    ];
    for (answer, verdict) in table {
        let scenario = Scenario::of(RegistryKind::Distribution2);
        let token = scenario.token("repository:team/app:pull");
        let (_, claims) = token.split_once('.').unwrap();
        let claims = claims.split('.').next().unwrap().to_owned();
        let scenario = scenario.behind(move |seen| {
            let shown = seen.authorization.as_deref()?;
            let small = shown.contains("eyJ") && !shown.contains(&claims);
            (small && seen.path != "/v2/").then(|| answer.clone())
        });
        let report = scenario.diagnose().await;
        finding(&report, Check::Use05, verdict);
        finding(&report, Check::Use03, "pass");
    }
}

#[tokio::test]
async fn a_token_that_was_kept_too_long_is_said_to_be_that() {
    for kind in [RegistryKind::Distribution2, RegistryKind::Distribution3] {
        let mut scenario = Scenario::of(kind);
        let old = Scenario::with(kind, scenario.signer.again()).claims(|claims| {
            claims["exp"] = (claims["exp"].as_u64().unwrap() - 5000).into();
        });
        scenario.inputs.token = Some(old.token("repository:team/app:pull").into());
        let report = scenario.diagnose().await;
        assert_eq!(report.cause().unwrap().check, Check::Clm04);
        assert!(report.cause().unwrap().fix.as_ref().unwrap().contains("leave out --token"));
        finding(&report, Check::Use06, "pass");
    }
}

#[tokio::test]
async fn a_signature_in_der_is_recognised() {
    let scenario = Scenario::of(RegistryKind::Distribution2).rewritten(|token| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let (head, _) = token.rsplit_once('.').unwrap();
        let mut der = vec![0x30, 0x45, 2, 0x21];
        der.resize(71, 7);
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(der))
    });
    let report = scenario.diagnose().await;
    let finding = finding(&report, Check::Jwt01, "fail");
    assert!(finding.summary.contains("DER"), "{}", finding.summary);
}

#[tokio::test]
async fn a_registry_without_a_real_token_is_not_accused_of_losing_the_header() {
    let mut scenario = Scenario::of(RegistryKind::Distribution2)
        .behind(|seen| (seen.path != "/token").then(|| unnamed(seen)));
    scenario.inputs.token = Some("\u{1}".into());
    let report = scenario.diagnose().await;
    finding(&report, Check::Use01, "warn");
}
