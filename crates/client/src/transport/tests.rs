use insta::assert_snapshot;
use portpass_testkit::http::{Seen, Served, redirect, reply};
use tokio::net::TcpListener;

use super::*;

mod trust;

fn call(url: &str) -> BufferedRequest {
    BufferedRequest::get(url.parse().unwrap(), NetworkZone::Loopback)
}

fn with_secret(url: &str) -> BufferedRequest {
    BufferedRequest { authorization: Some("Bearer secret".into()), ..call(url) }
}

#[tokio::test]
async fn within_an_origin_redirects_are_followed_with_everything() {
    let server = Served::start(|seen: &Seen| match seen.path.as_str() {
        "/one" => redirect(307, "/two/"),
        _ => reply(200, "there"),
    })
    .await;
    let answer = Transport::default().send(with_secret(&server.url("/one"))).await.unwrap();
    assert_eq!((answer.body.as_slice(), answer.url.path()), (b"there".as_slice(), "/two/"));
    assert_eq!(server.seen()[1].authorization.as_deref(), Some("Bearer secret"));
}

#[tokio::test]
async fn a_form_is_not_posted_again_where_a_redirect_would_make_it_a_get() {
    let server =
        Served::start(
            |seen: &Seen| if seen.path == "/one" { redirect(302, "/two") } else { reply(200, "") },
        )
        .await;
    let form = BufferedRequest {
        method: Method::POST,
        form: Some("a=b".into()),
        ..call(&server.url("/one"))
    };
    assert!(matches!(Transport::default().send(form).await, Err(TransportError::Redirect { .. })));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn redirects_end() {
    let server = Served::always(redirect(302, "/again")).await;
    let error = Transport::default().send(call(&server.url("/"))).await.unwrap_err();
    assert!(matches!(error, TransportError::TooManyRedirects { .. }), "{error}");
    assert_eq!(server.seen().len(), MAX_REDIRECTS + 1);
}

/// A redirect leads no nearer than the realm was allowed to be.
#[tokio::test]
async fn redirects_lead_nowhere_near() {
    let server = Served::always(redirect(302, "http://169.254.169.254/latest/meta-data")).await;
    let limited = BufferedRequest::get(server.url("/").parse().unwrap(), NetworkZone::Private);
    let error = Transport::default().send(limited).await.unwrap_err();
    assert!(matches!(error, TransportError::Redirect { .. }), "{error}");
    for elsewhere in ["file:///etc/passwd", "ftp://example.com/"] {
        let server = Served::always(redirect(302, elsewhere)).await;
        let error = Transport::default().send(call(&server.url("/"))).await.unwrap_err();
        assert!(matches!(error, TransportError::Redirect { .. }), "{error}");
    }
}

#[tokio::test]
async fn no_more_than_the_cap_is_read() {
    for (length, truncated) in [(MAX_BODY, false), (MAX_BODY + 1, true), (10 * MAX_BODY, true)] {
        let server = Served::always(reply(200, "a".repeat(length))).await;
        let answer = Transport::default().send(call(&server.url("/"))).await.unwrap();
        assert_eq!((answer.body.len(), answer.truncated), (MAX_BODY, truncated));
    }
}

#[tokio::test]
async fn a_secret_that_no_header_carries_is_not_sent() {
    let server = Served::always(reply(200, "")).await;
    let broken = BufferedRequest {
        authorization: Some("Bearer a\nb".into()),
        ..call(&server.url("/token?a=b"))
    };
    let error = Transport::default().send(broken).await.unwrap_err();
    assert!(
        matches!(&error, TransportError::Unsendable { url } if *url == server.url("/token")),
        "{error}"
    );
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn what_went_wrong_on_the_way_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    let said = |error: TransportError| error.to_string().replace(&address, "HOST");
    let plain = Served::always(reply(200, "")).await;
    let not_tls =
        Transport::default().send(call(&format!("https://{}/", plain.address))).await.unwrap_err();
    assert_eq!(not_tls, TransportError::NotTls { host: plain.address.to_string() });
    assert_eq!(not_tls.hints().len(), 1);
    drop(free);
    let refused = Transport::default().send(call(&format!("http://{address}/"))).await.unwrap_err();
    assert_snapshot!(said(refused), @"HOST cannot be reached: Connection refused (os error 111)");
}
