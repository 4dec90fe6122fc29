//! Registries with nothing wrong.

use portpass_testkit::http::{Seen, Served, challenge, reply};

use super::fixture::{
    Authority, asking, bare, examine, out_there, service, sound, tls, with_version,
};
use crate::{Check, Inputs, Report};

/// No check of these stages says more than it has to.
#[track_caller]
fn quiet(report: &Report, warned: &[Check]) {
    sound(report);
    for finding in &report.findings {
        let expected = warned.contains(&finding.check);
        assert_eq!(finding.verdict.as_str() == "warn", expected, "{finding:#?}");
    }
}

#[tokio::test]
async fn a_registry_with_a_token_service_on_loopback() {
    let service = service().await;
    let served = Served::start(asking(&service.url("/token"))).await;
    for target in ["", "/team/app", "/team/app:v1"] {
        let report = examine(&format!("{}{target}", served.address), bare()).await;
        quiet(&report, &[]);
        assert!(report.exchanges.len() <= 8, "{:#?}", report.exchanges);
    }
    let by_name = format!("localhost:{}/team/app", served.address.port());
    quiet(&examine(&by_name, bare()).await, &[]);
    assert!(service.seen().is_empty(), "these stages ask the token service nothing");
}

#[tokio::test]
async fn a_registry_out_there_over_tls() {
    let authority = Authority::new();
    let service = service().await;
    let served = Served::start(asking("https://auth.invalid/token")).await;
    let registry =
        tls(authority.issue(&["registry.invalid"]), served.address, Some(served.address)).await;
    let realm = tls(authority.issue(&["auth.invalid"]), service.address, None).await;
    let names = [("registry.invalid:443", registry), ("auth.invalid:443", realm)];
    let inputs = out_there(&names, &authority).await;
    let report = examine("registry.invalid/team/app", inputs).await;
    // The way there is a proxy, which is worth a word.
    quiet(&report, &[Check::Cfg04]);
    assert_eq!(report.finding(Check::Net05).unwrap().verdict.as_str(), "pass");
}

#[tokio::test]
async fn a_registry_in_plain_http_for_those_who_ask_for_it() {
    let authority = Authority::new();
    let served = Served::start(asking("http://registry.invalid:5000/token")).await;
    let names = [("registry.invalid:5000", served.address)];
    let inputs = Inputs { plain_http: true, ..out_there(&names, &authority).await };
    quiet(&examine("registry.invalid:5000/team/app", inputs).await, &[Check::Cfg04]);
}

#[tokio::test]
async fn a_registry_with_a_password_file() {
    let served = Served::always(with_version(challenge(r#"Basic realm="Registry Realm""#))).await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    quiet(&report, &[]);
    assert_eq!(report.finding(Check::Chal01).unwrap().verdict.as_str(), "pass");
}

#[tokio::test]
async fn a_registry_that_is_open_to_everybody() {
    let served = Served::always(with_version(reply(200, "{}"))).await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    quiet(&report, &[Check::Ping01]);
}

/// As with the public ones: who asks for `/v2/` has to log in, and much may be pulled without.
#[tokio::test]
async fn a_registry_with_public_repositories() {
    let service = service().await;
    let asks = asking(&service.url("/token"));
    let served = Served::start(move |seen: &Seen| {
        if seen.path == "/v2/" { asks(seen) } else { with_version(reply(200, "{}")) }
    })
    .await;
    quiet(&examine(&format!("{}/team/app", served.address), bare()).await, &[]);
}
