//! Walks that end before their end: what ended them is named, and what lies behind is looked at as far as it may be.

use std::sync::Arc;

use portpass_client::{SystemClock, transport::danger::Verification};
use portpass_protocol::AccessSet;
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};

use super::fixture::{Authority, asking, bare, free_port, out_there, tls, with_version};
use crate::{
    Check, Detail, Inputs, Needs, Report, Verdict, diagnose, token_endpoint::fixture::jwt,
};

const NAME: &str = "registry.invalid";
const TARGET: &str = "registry.invalid:5000";

/// The whole walk.
async fn walked(target: &str, inputs: Inputs) -> Report {
    diagnose(target.parse().unwrap(), inputs, Arc::new(SystemClock)).await
}

/// That it is no success, for this reason, and says what it did not come to.
#[track_caller]
fn ends_at(report: &Report, check: Check, unreached: &[&str]) {
    assert_eq!(report.verdict(), "fail");
    assert_eq!(report.cause().map(|cause| cause.check), Some(check), "{:#?}", report.cause());
    assert!(report.cause().unwrap().fix.is_some());
    let json = report.json(false);
    let text = report.text(Detail::Short, |_, text| text.to_owned());
    if unreached.is_empty() {
        assert!(json["not_reached"].is_null(), "{}", json["not_reached"]);
        assert!(!text.contains("Not checked: "), "{text}");
        return;
    }
    assert_eq!(json["not_reached"]["stages"], serde_json::json!(unreached));
    assert!(text.contains(&format!("Not checked: {} (", unreached.join(", "))), "{text}");
    assert!(!text.contains("Nothing is wrong"), "{text}");
}

fn with_a_login(inputs: Inputs) -> Inputs {
    Inputs { password: Some(("ann".to_owned(), "a secret of ann's".into())), ..inputs }
}

/// A token service that would serve anybody, and says of whom it is asked.
async fn generous() -> Served {
    Served::always(reply(200, r#"{"token":"opaque","expires_in":300}"#)).await
}

#[track_caller]
fn asked_without_credentials(service: &Served) {
    let seen = service.seen();
    assert!(!seen.is_empty(), "it was looked at");
    for seen in seen {
        let words = format!("{seen:?}");
        assert_eq!(seen.method, "GET", "{words}");
        assert!(!seen.headers.contains_key("authorization"), "{words}");
        for secret in ["ann", "secret"] {
            assert!(!words.contains(secret), "{words}");
        }
    }
}

/// A registry out there with this realm; its token service is what `http://auth.invalid` leads to.
async fn with_realm(realm: &str, scheme: &str, service: &Served, login: bool) -> Report {
    let authority = Authority::new();
    let served = Served::start(asking(realm)).await;
    let registry = match scheme {
        "https" => tls(authority.issue(&[NAME]), served.address, None).await,
        _ => served.address,
    };
    let names = [(TARGET, registry), ("auth.invalid", service.address)];
    let inputs = out_there(&names, &authority).await;
    let inputs = if login { with_a_login(inputs) } else { inputs };
    walked(&format!("{TARGET}/team/app"), inputs).await
}

#[tokio::test]
async fn a_registry_that_is_nobody_s_is_not_called_sound() {
    let report = walked("nobody.invalid/team/app", bare()).await;
    ends_at(&report, Check::Net01, &["challenge", "token service", "token", "registry"]);
}

#[tokio::test]
async fn a_registry_that_has_had_enough_is_not_called_sound() {
    let served = Served::always(with_version(reply(429, ""))).await;
    let report = walked(&format!("{}/team/app", served.address), bare()).await;
    ends_at(&report, Check::Ping03, &["token service", "token", "registry"]);
}

/// F04: what a downgrade keeps back is the password, not the look.
#[tokio::test]
async fn a_plain_realm_behind_tls_is_looked_at_without_credentials() {
    for login in [true, false] {
        let service = generous().await;
        let report = with_realm("http://auth.invalid/token", "https", &service, login).await;
        ends_at(&report, Check::Chal04, &[]);
        asked_without_credentials(&service);
        assert_eq!(report.finding(Check::Tok01).unwrap().verdict.as_str(), "pass");
    }
}

/// As docker would go there, it takes a word; without a login, what nobody gets is seen to its end.
#[tokio::test]
async fn a_plain_realm_on_another_machine_is_a_warning_only_for_those_who_get_through() {
    let private = Served::always(reply(401, r#"{"errors":[]}"#)).await;
    let authority = Authority::new();
    let inputs =
        async |service: &Served| out_there(&[("auth.invalid", service.address)], &authority).await;
    let ask = asking("http://auth.invalid/token");
    let registry = Served::start(move |seen: &Seen| match &seen.authorization {
        Some(shown) if shown == "Bearer opaque" => with_version(reply(200, "{}")),
        _ => ask(seen),
    })
    .await;
    let target = format!("{}/team/app", registry.address);
    let report = walked(&target, with_a_login(inputs(&private).await)).await;
    ends_at(&report, Check::Chal04, &["token"]);
    asked_without_credentials(&private);
    // Nobody is logged in, and nobody would be kept from going there.
    let report = walked(&target, inputs(&private).await).await;
    ends_at(&report, Check::Cfg02, &["token"]);
    let open = generous().await;
    let report = walked(&target, inputs(&open).await).await;
    assert_eq!(report.finding(Check::Use02).unwrap().verdict.as_str(), "pass");
    assert_eq!(report.finding(Check::Chal04).unwrap().verdict.as_str(), "warn");
    assert!(report.finding(Check::Net05).unwrap().verdict.as_str() == "pass");
}

/// F02, F30: this machine's own port, and the realm that was meant may be beside the registry.
#[tokio::test]
async fn a_realm_on_this_machine_is_looked_at_without_credentials() {
    let service = generous().await;
    let realm = format!("https://127.0.0.1:{}/token", service.address.port());
    let report = with_realm(&realm, "https", &service, true).await;
    ends_at(&report, Check::Chal05, &["token service", "token"]);
    // It does not speak TLS, which is seen.
    let way = report.finding(Check::Net05).unwrap();
    assert!(way.failed() && way.follows_from == Some(Check::Chal05), "{way:#?}");

    let authority = Authority::new();
    let secure = tls(authority.issue(&["127.0.0.1"]), service.address, None).await;
    let served = Served::start(asking(&format!("https://{secure}/token"))).await;
    let registry = tls(authority.issue(&[NAME]), served.address, None).await;
    let inputs = with_a_login(out_there(&[(TARGET, registry)], &authority).await);
    let report = walked(&format!("{TARGET}/team/app"), inputs).await;
    ends_at(&report, Check::Chal05, &[]);
    asked_without_credentials(&service);
}

/// Clouds keep their machines' secrets there, and a report is passed on.
#[tokio::test]
async fn nothing_is_asked_of_a_link_local_address() {
    let service = generous().await;
    let report = with_realm("https://169.254.169.254/latest", "https", &service, true).await;
    ends_at(&report, Check::Chal05, &["token service", "token"]);
    let asked = report.exchanges.iter().flat_map(|exchange| &exchange.request);
    assert!(asked.into_iter().all(|line| !line.contains("//169.254")));
}

/// As for every other command: the walk goes on over what is not trusted, and says so.
#[tokio::test]
async fn what_is_not_trusted_is_gone_on_over_for_those_who_say_so() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let service = generous().await;
    let served = Served::start(asking("https://auth.invalid/token")).await;
    let registry = tls(stranger.issue(&[NAME]), served.address, None).await;
    let realm = tls(stranger.issue(&["other.invalid"]), service.address, None).await;
    let names = [(TARGET, registry), ("auth.invalid:443", realm)];
    let inputs = || out_there(&names, &authority);
    let report = walked(TARGET, inputs().await).await;
    ends_at(&report, Check::Net04, &["challenge", "token service", "token", "registry"]);
    let inputs = Inputs { verification: Verification::None, ..inputs().await };
    let report = walked(TARGET, inputs).await;
    for check in [Check::Net04, Check::Net05] {
        let finding = report.finding(check).unwrap();
        assert_eq!(finding.verdict.as_str(), "warn", "{finding:#?}");
        let said = |line: &String| line.contains("--tls-verify=false");
        assert!(finding.evidence.iter().any(said), "{finding:#?}");
    }
    assert_eq!(report.finding(Check::Tok01).unwrap().verdict.as_str(), "pass");
    assert!(!service.seen().is_empty());
}

/// `https://` means TLS, on loopback too.
#[tokio::test]
async fn whoever_types_https_is_not_answered_in_plain() {
    let served = Served::start(asking("/token")).await;
    let report = walked(&format!("https://{}/", served.address), bare()).await;
    ends_at(&report, Check::Net03, &["challenge", "token service", "token", "registry"]);
}

/// F01, F03, F05: a realm that leads nowhere, and its path is served by the registry's own host.
#[tokio::test]
async fn what_a_realm_that_leads_nowhere_may_have_meant_is_found() {
    let closed = free_port().await;
    for (realm, check) in [
        ("https://docker-auth.invalid:5001/token".to_owned(), Check::Chal05),
        (format!("http://127.0.0.1:{closed}/token"), Check::Net05),
    ] {
        let registry = asking(&realm);
        let served = Served::start(move |seen: &Seen| match seen.path.as_str() {
            "/token" => reply(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
            _ => registry(seen),
        })
        .await;
        let target = format!("{}/team/app", served.address);
        let report = walked(&target, with_a_login(bare())).await;
        ends_at(&report, check, &["token"]);
        let cause = report.cause().unwrap();
        let shown = format!("http://{}/token?service=registry responds with 401", served.address);
        assert!(cause.evidence.iter().any(|line| line.contains(&shown)), "{cause:#?}");
        let to_the_token_service = served.seen().into_iter().filter(|seen| seen.path == "/token");
        for seen in to_the_token_service {
            assert!(!seen.headers.contains_key("authorization"), "{seen:?}");
        }
    }
}

/// A token that everybody gets says nothing of the account whose password was refused or kept back.
#[tokio::test]
async fn a_token_of_nobody_is_not_held_against_a_login() {
    let nobodys = || {
        let token = jwt(300, "registry", None, &AccessSet::new());
        reply(200, format!(r#"{{"token":"{token}","expires_in":300}}"#))
    };
    let wrong = Served::start(move |seen: &Seen| match (seen.basic(), seen.method.as_str()) {
        (None, "GET") => nobodys(),
        _ => reply(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
    })
    .await;
    let kept_back = with_realm("http://auth.invalid/token", "https", &wrong, true).await;
    let served = Served::start(asking(&wrong.url("/token"))).await;
    let target = format!("{}/team/app", served.address);
    let refused = walked(&target, with_a_login(bare())).await;
    for (report, cause) in [(kept_back, Check::Chal04), (refused, Check::Tok02)] {
        assert_eq!(report.cause().map(|cause| cause.check), Some(cause), "{:#?}", report.cause());
        for check in [Check::Clm05, Check::Acc01, Check::Resp07] {
            let finding = report.finding(check).unwrap();
            assert_eq!(finding.verdict, Verdict::Skip(Needs::Check(cause)), "{finding:#?}");
        }
        // What is there to see in it is seen.
        assert_eq!(report.finding(Check::Clm01).unwrap().verdict, Verdict::Pass);
    }
}

/// A registry without a login has no tokens: none is at fault, and none is missing.
#[tokio::test]
async fn an_open_registry_that_does_not_serve_its_repository() {
    for status in [500, 403, 429] {
        let served = Served::start(move |seen: &Seen| match seen.path.as_str() {
            "/v2/" => with_version(reply(200, "{}")),
            _ => with_version(reply(status, r#"{"errors":[{"message":"out of order"}]}"#)),
        })
        .await;
        let report = walked(&format!("{}/team/app", served.address), bare()).await;
        ends_at(&report, Check::Use03, &[]);
        let cause = report.cause().unwrap();
        let told = format!("{} {}", cause.summary, cause.evidence.join(" "));
        assert!(told.contains(&format!("responds with {status} ")), "{told}");
        assert!(told.contains("out of order") && !told.contains("token"), "{told}");
    }
}

#[tokio::test]
async fn of_an_open_registry_no_token_is_missed() {
    let served = Served::always(with_version(reply(200, r#"{"tags":[]}"#))).await;
    for target in [format!("{}", served.address), format!("{}/team/app", served.address)] {
        let report = walked(&target, bare()).await;
        let text = report.text(Detail::Full, |_, text| text.to_owned());
        assert!(!text.contains("Not checked: ") && !text.contains("--bundle"), "{text}");
        assert!(report.json(false)["not_reached"].is_null());
        assert!(!report.html().contains("--bundle"));
    }
}

/// Nobody is told that nothing is wrong who could not pull.
#[tokio::test]
async fn without_a_login_what_is_private_is_not_called_sound() {
    let service = Served::always(reply(401, r#"{"errors":[]}"#)).await;
    let served = Served::start(asking(&service.url("/token"))).await;
    let report = walked(&format!("{}/team/app", served.address), bare()).await;
    ends_at(&report, Check::Cfg02, &["token"]);

    let by_password: Reply = with_version(challenge(r#"Basic realm="r""#));
    let served = Served::always(by_password).await;
    let report = walked(&format!("{}/team/app", served.address), bare()).await;
    ends_at(&report, Check::Cfg02, &["registry"]);
    // Without a repository there is nothing to pull: only the login was not checked.
    let report = walked(&served.address.to_string(), bare()).await;
    assert_eq!(report.verdict(), "warn");
    assert!(report.finding(Check::Cfg02).unwrap().summary.contains("no login was checked"));
}
