//! `/v2/` and those who answer in its place.

use std::sync::atomic::{AtomicUsize, Ordering};

use portpass_testkit::http::{Seen, Served, challenge, redirect, reply};
use reqwest::{Method, header};

use super::fixture::{asking, bare, examine, found, noted_as, service, sound, with_version};
use crate::Check;

/// A page for people.
fn page(status: u16) -> portpass_testkit::http::Reply {
    reply(status, "<html>welcome</html>").with(header::CONTENT_TYPE, "text/html")
}

#[tokio::test]
async fn f20_a_redirect_of_v2() {
    let served = Served::start(|seen: &Seen| match seen.path.as_str() {
        "/v2/" => redirect(301, "/v2"),
        _ => challenge(r#"Bearer realm="http://127.0.0.1/token",service="registry""#),
    })
    .await;
    let cause = found(&examine(&served.address.to_string(), bare()).await, "F20", Check::Ping02);
    assert!(cause.summary.contains("301"), "{cause:#?}");
}

/// What a redirect leads to may hold secrets in its query, and nobody goes there.
#[tokio::test]
async fn f20_a_redirect_to_a_login_page() {
    let other = Served::always(reply(200, "")).await;
    let to = other.url("/login?session=secret");
    let served = Served::always(redirect(302, to)).await;
    found(&examine(&format!("{}/team/app", served.address), bare()).await, "F20", Check::Ping02);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn f21_a_registry_below_a_path() {
    for (target, prefix) in [("", "registry"), ("/tools/app", "tools")] {
        let inner = format!("/{prefix}/v2/");
        let served = Served::start(move |seen: &Seen| {
            if seen.path == inner { with_version(reply(200, "{}")) } else { page(404) }
        })
        .await;
        let report = examine(&format!("{}{target}", served.address), bare()).await;
        let cause = found(&report, "F21", Check::Ping03);
        assert!(cause.summary.contains(&format!("/{prefix}/v2/")), "{cause:#?}");
    }
}

#[tokio::test]
async fn f22_a_page_for_people() {
    for status in [200, 404] {
        let served = Served::always(page(status)).await;
        let report = examine(&format!("{}/team/app", served.address), bare()).await;
        let cause = found(&report, "F22", Check::Ping03);
        assert_eq!(cause.rows[0], "F22");
    }
}

#[tokio::test]
async fn f23_v2_is_open_and_repositories_are_not() {
    let service = service().await;
    let asks = asking(&service.url("/token"));
    let served = Served::start(move |seen: &Seen| {
        if seen.path == "/v2/" { with_version(reply(200, "{}")) } else { asks(seen) }
    })
    .await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    found(&report, "F23", Check::Ping01);
    // Without a repository nobody can tell.
    let report = examine(&served.address.to_string(), bare()).await;
    sound(&report);
    noted_as(&report, "F23", Check::Ping01, "warn");
}

#[tokio::test]
async fn f24_a_401_that_does_not_say_how_to_come_back() {
    let served = Served::always(reply(401, "Unauthorized")).await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    found(&report, "F24", Check::Ping04);
}

#[tokio::test]
async fn f24_a_401_that_says_it_to_get_alone() {
    let service = service().await;
    let asks = asking(&service.url("/token"));
    let served =
        Served::start(
            move |seen: &Seen| {
                if seen.method == Method::HEAD { reply(401, "") } else { asks(seen) }
            },
        )
        .await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    sound(&report);
    noted_as(&report, "F24", Check::Ping04, "warn");
    noted_as(&report, "F24", Check::Chal08, "warn");
}

#[tokio::test]
async fn f31_machines_that_say_different_things() {
    let service = service().await;
    let realm = service.url("/token");
    let count = AtomicUsize::new(0);
    let served = Served::start(move |_: &Seen| {
        let name = if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            "old"
        } else {
            "registry"
        };
        with_version(challenge(format!(r#"Bearer realm="{realm}",service="{name}""#)))
    })
    .await;
    let cause = found(&examine(&served.address.to_string(), bare()).await, "F31", Check::Ping05);
    assert_eq!(cause.evidence.len(), 4, "{cause:#?}");
}

#[tokio::test]
async fn an_error_of_a_proxy_is_named_by_its_status() {
    let served = Served::always(reply(502, "<html>Bad Gateway</html>")).await;
    let report = examine(&format!("{}/team/app", served.address), bare()).await;
    let cause = report.cause().unwrap();
    assert_eq!(cause.check, Check::Ping03);
    assert!(cause.summary.contains("502"), "{cause:#?}");
}

/// A server that takes the connection and closes it again.
#[tokio::test]
async fn nothing_at_all_for_an_answer_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let report = examine(&address.to_string(), bare()).await;
    let cause = report.cause().unwrap();
    assert_eq!(cause.check, Check::Ping03, "{cause:#?}");
    assert_eq!(report.findings.iter().filter(|finding| finding.failed()).count(), 1);
}
