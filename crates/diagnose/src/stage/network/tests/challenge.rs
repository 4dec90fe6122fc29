//! Challenges that are wrong, and realms that lead nowhere good.

use portpass_protocol::challenge::KnownClient;
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};
use reqwest::header::WWW_AUTHENTICATE;

use super::fixture::{
    Authority, asking, bare, examine, found, noted_as, out_there, service, sound, tls, walk,
    with_version,
};
use crate::{Check, Inputs, Report};

const NAME: &str = "registry.invalid";
const TARGET: &str = "registry.invalid:5000";

/// A registry on loopback that always says this.
async fn says(answer: Reply) -> Report {
    let served = Served::always(with_version(answer)).await;
    examine(&served.address.to_string(), bare()).await
}

/// The registry's challenge, with a realm that is there.
async fn challenges(line: &str) -> Report {
    let service = service().await;
    says(challenge(line.replace("REALM", &service.url("/token")))).await
}

/// A registry out there with this realm.
async fn points_to(realm: &str) -> Report {
    let authority = Authority::new();
    let served = Served::start(asking(realm)).await;
    let address = tls(authority.issue(&[NAME]), served.address, None).await;
    examine(TARGET, out_there(&[(TARGET, address)], &authority).await).await
}

#[tokio::test]
async fn f01_a_realm_that_only_containers_know() {
    let served = Served::start(asking("https://docker-auth.invalid:5001/token")).await;
    found(&examine(&served.address.to_string(), bare()).await, "F01", Check::Chal05);
}

#[tokio::test]
async fn f02_a_realm_on_everybody_s_own_machine() {
    for realm in ["https://localhost:5001/token", "https://127.0.0.1/token", "https://[::1]/token"]
    {
        found(&points_to(realm).await, "F02", Check::Chal05);
    }
}

/// Nobody is misled where the registry is on loopback itself.
#[tokio::test]
async fn a_realm_on_loopback_is_right_for_a_registry_on_loopback() {
    let service = service().await;
    let served = Served::start(asking(&service.url("/token"))).await;
    sound(&examine(&served.address.to_string(), bare()).await);
}

#[tokio::test]
async fn f03_a_realm_that_has_lost_the_port() {
    let cause = found(&points_to("https://registry.invalid/token").await, "F03", Check::Chal06);
    assert!(cause.fix.unwrap().contains("$http_host"));
}

#[tokio::test]
async fn f04_a_realm_in_plain_http() {
    for realm in ["http://registry.invalid:5000/token", "http://auth.invalid/token"] {
        let cause = found(&points_to(realm).await, "F04", Check::Chal04);
        assert!(cause.breaks.contains(&KnownClient::Crane));
    }
}

#[tokio::test]
async fn f13_a_realm_without_brackets() {
    found(&points_to("https://fd00::1:5001/token").await, "F13", Check::Chal03);
}

#[tokio::test]
async fn f25_a_proxy_that_asks_for_a_password_of_its_own() {
    let service = service().await;
    let bearer = format!(r#"Bearer realm="{}",service="registry""#, service.url("/token"));
    let basic = r#"Basic realm="nginx""#;
    for (first, second) in [(basic, bearer.as_str()), (&bearer, basic)] {
        let report = says(challenge(first).with(WWW_AUTHENTICATE, second)).await;
        let cause = found(&report, "F25", Check::Chal01);
        assert!(cause.breaks.contains(&KnownClient::Docker), "{cause:#?}");
    }
    found(&says(challenge(format!("{basic}, {bearer}"))).await, "F25", Check::Chal01);
}

#[tokio::test]
async fn f26_a_scheme_that_clients_do_not_speak() {
    found(&says(challenge("Negotiate")).await, "F26", Check::Chal01);
    let service = service().await;
    let bearer = format!(r#"Bearer realm="{}",service="registry""#, service.url("/token"));
    let report = says(challenge("Negotiate").with(WWW_AUTHENTICATE, bearer)).await;
    sound(&report);
    noted_as(&report, "F26", Check::Chal01, "warn");
}

#[tokio::test]
async fn f27_a_challenge_that_clients_read_differently() {
    for line in [
        "Bearer realm=REALM,service=registry",
        r#"Bearer realm = "REALM", service = "registry""#,
        r#"Bearer realm="REALM" service="registry""#,
        r#"Bearer realm="REALM",service="",scope="registry:catalog:*""#,
        "Bearer realm='REALM',service='registry'",
        r#"Bearer realm="REALM,service=registry"#,
        r#"Bearer service="registry""#,
    ] {
        found(&challenges(line).await, "F27", Check::Chal02);
    }
    let report = challenges(r#"Bearer Realm="REALM",Service="registry""#).await;
    sound(&report);
    let finding = noted_as(&report, "F27", Check::Chal02, "warn");
    assert_eq!(finding.breaks, [KnownClient::Oras]);
}

#[tokio::test]
async fn f27_a_service_without_a_name() {
    for line in [r#"Bearer realm="REALM""#, r#"Bearer realm="REALM",service="""#] {
        let report = challenges(line).await;
        sound(&report);
        noted_as(&report, "F27", Check::Chal07, "warn");
    }
}

#[tokio::test]
async fn f28_a_realm_that_a_template_has_left() {
    for realm in [
        "%!s(<nil>)",
        "null://token",
        "://auth.example.com/token",
        "https://${AUTH_HOST}/token",
        "https://{{ .Host }}/token",
        "https://%5C/token",
        "https:///",
        "ftp://auth.example.com/token",
        "https://user:secret@auth.example.com/token",
    ] {
        let served = Served::start(asking(realm)).await;
        // The realm of one has a password in it, which is the registry's own to say.
        let report = walk(&served.address.to_string(), bare()).await;
        found(&report, "F28", Check::Chal03);
    }
}

#[tokio::test]
async fn f29_a_realm_that_is_a_path() {
    for realm in ["/token", "auth/token", "auth.example.com/token"] {
        let line = format!(r#"Bearer realm="{realm}",service="registry""#);
        found(&challenges(&line).await, "F29", Check::Chal03);
    }
}

#[tokio::test]
async fn f30_a_realm_in_a_network_that_the_registry_is_not_in() {
    for realm in ["https://10.0.0.5:5001/token", "https://169.254.169.254/token"] {
        let cause = found(&points_to(realm).await, "F30", Check::Chal05);
        assert_eq!(cause.breaks, [KnownClient::Crane, KnownClient::Regclient]);
    }
}

#[tokio::test]
async fn f31_v2_and_repositories_name_different_realms() {
    let (service, other) = (service().await, service().await);
    let (ping, rest) = (asking(&service.url("/token")), asking(&other.url("/token")));
    let served =
        Served::start(move |seen: &Seen| if seen.path == "/v2/" { ping(seen) } else { rest(seen) })
            .await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    found(&report, "F31", Check::Chal09);
}

#[tokio::test]
async fn a_token_service_may_have_a_path_for_each_repository() {
    let service = service().await;
    let (ping, rest) = (asking(&service.url("/null/token")), asking(&service.url("/team/token")));
    let served =
        Served::start(move |seen: &Seen| if seen.path == "/v2/" { ping(seen) } else { rest(seen) })
            .await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    sound(&report);
    noted_as(&report, "F31", Check::Chal09, "warn");
}

#[tokio::test]
async fn a_scope_for_another_name_is_told() {
    let service = service().await;
    let realm = service.url("/token");
    let scoped = |scope: &'static str| {
        let line = format!(r#"Bearer realm="{realm}",service="registry"{scope}"#);
        Served::always(with_version(challenge(line)))
    };
    let wrong = scoped(r#",scope="repository:host/team/app:pull""#).await;
    let report = examine(&format!("{}/team/app:v1", wrong.address), bare()).await;
    assert_eq!(report.cause().unwrap().check, Check::Chal08);
    let none = scoped("").await;
    let report = examine(&format!("{}/team/app:v1", none.address), bare()).await;
    sound(&report);
    assert_eq!(report.finding(Check::Chal08).unwrap().verdict.as_str(), "warn");
}

/// Gitea and Forgejo ask for `*`, ECR's public registry for `aws`, and Azure's to list tags for an action of its own.
#[tokio::test]
async fn a_scope_of_the_registry_s_own_is_no_fault() {
    let service = service().await;
    for scope in ["*", "aws", "repository:team/app:metadata_read"] {
        let realm = service.url("/token");
        let line = format!(r#"Bearer realm="{realm}",service="registry",scope="{scope}""#);
        let served = Served::always(with_version(challenge(line))).await;
        let report = examine(&format!("{}/team/app", served.address), bare()).await;
        sound(&report);
        assert_eq!(report.finding(Check::Chal08).unwrap().verdict.as_str(), "pass", "{scope}");
    }
}

/// Where a registry of plain HTTP points elsewhere in plain HTTP, it takes a word to go there.
#[tokio::test]
async fn nothing_is_sent_in_plain_to_another_machine() {
    let (service, authority) = (service().await, Authority::new());
    let served = Served::start(asking("http://auth.invalid/token")).await;
    let names = [("auth.invalid", service.address)];
    let inputs = || out_there(&names, &authority);
    let report = examine(&served.address.to_string(), inputs().await).await;
    sound(&report);
    assert_eq!(report.finding(Check::Chal04).unwrap().verdict.as_str(), "warn");
    assert_eq!(report.finding(Check::Net05).unwrap().verdict.as_str(), "pass");
    // A password would have to go there.
    let password = Some(("ann".to_owned(), "secret".into()));
    let inputs = Inputs { password, ..inputs().await };
    let report = examine(&served.address.to_string(), inputs).await;
    assert_eq!(report.cause().unwrap().check, Check::Chal04);
    assert!(service.seen().is_empty());
}

/// What a server says is cut and cannot write on a terminal.
#[tokio::test]
async fn hostile_challenges_end_in_a_finding() {
    let long = format!(r#"Bearer realm="https://{}.invalid/",service="a""#, "a".repeat(6000));
    for line in [long.as_str(), "Bearer", "\"", ",,,,", "Bearer realm=\"https://a\t.invalid\""] {
        let report = says(challenge(line)).await;
        assert!(report.cause().is_some(), "{line}");
    }
    let many = (0..90)
        .fold(reply(401, ""), |reply, n| reply.with(WWW_AUTHENTICATE, format!("Scheme{n} a=b")));
    assert_eq!(says(many).await.cause().unwrap().check, Check::Chal01);
}
