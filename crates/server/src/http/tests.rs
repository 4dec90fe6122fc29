//! A listener over real sockets, with handlers of the tests' own behind it.

mod frames;
mod idle;
mod rapid_reset;
mod refused;
mod resting;
mod shared;
mod stalled;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Extension, Request},
    routing::{any, get},
};
use http::{HeaderMap, Response};
use portpass_authority::http::TokenPath;
use portpass_config::TrustedProxies;
use portpass_protocol::{ClientAddress, Origin, RequestId, RequestOutcome};
use portpass_token::{Random, SystemClock};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};

use super::{
    listener::{Connections, Listener},
    listener_router::{ListenerRouter, TokenRoutes},
    listener_service::ListenerService,
    origin::OriginResolver,
    proxies::ChallengeRealm,
    tls::{CertificateReload, Tls},
};
use crate::{
    metrics::Metrics,
    refusals::ring::RefusalLog,
    request::id::RequestIds,
    testing::{CapturedLog, Certified},
};

/// A listener with a handler at `/token`, and the end of it.
struct Fixture {
    address: SocketAddr,
    connections: Connections,
    metrics: Arc<Metrics>,
    service: Arc<ListenerService>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Zeros;

impl Random for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn routes(router: Router, trusted: &[&str], headers: HeaderMap) -> Arc<ListenerRouter> {
    let tokens = TokenRoutes { path: TokenPath::default(), optional: Vec::new(), router };
    let origins = OriginResolver::new(
        None,
        trusted.iter().map(|network| network.parse().unwrap()).collect(),
        ChallengeRealm::FromRequest,
    );
    Arc::new(ListenerRouter::new(origins, headers).with_tokens(Some(tokens)))
}

impl Fixture {
    async fn with(router: Arc<ListenerRouter>, tls: Option<Arc<Tls>>, limit: usize) -> Self {
        let metrics = Arc::new(Metrics::new());
        let ids = Arc::new(RequestIds::new(&Zeros));
        let refusals = Arc::new(RefusalLog::new(ids.clone(), Arc::new(SystemClock)));
        let service =
            Arc::new(ListenerService::new("test", router, ids, metrics.clone(), refusals));
        let loopback = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind("test", loopback, tls, service.clone()).await.unwrap();
        let address = listener.address();
        let connections = Connections::new(limit);
        let accepting = tokio::spawn(listener.accept(connections.clone()));
        Self { address, connections, metrics, service, accepting }
    }

    async fn serving(router: Router) -> Self {
        Self::with(routes(router, &[], HeaderMap::new()), None, 100).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads to the connection's end.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest_of(&mut stream).await
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }

    /// Resolves when nothing is accepted any more and all connections have ended.
    async fn end(self) -> usize {
        let cut_off = self.connections.drain(Duration::from_hours(1), std::future::pending()).await;
        self.accepting.await.unwrap();
        cut_off
    }
}

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset says the same as an end here.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// The answer so far, up to and with its body's end mark.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.contains(end) {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the connection ended after {answer:?}");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    answer
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let lines = answer.split("\r\n").take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[tokio::test]
async fn every_answer_carries_the_id_that_the_handler_saw() {
    let id = |Extension(RequestId(id)): Extension<RequestId>| async move { id };
    let server = Fixture::serving(Router::new().route("/token", get(id))).await;
    let answer = server.get("/token", "").await;
    let id = header(&answer, "x-request-id").unwrap();
    assert!(answer.ends_with(&format!("\r\n\r\n{id}")), "{answer}");
    for (path, status) in [("/nowhere", "404"), ("/", "200"), ("/v2/", "404")] {
        let answer = server.get(path, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(header(&answer, "x-request-id").is_some_and(|other| other != id), "{answer}");
    }
}

#[tokio::test]
async fn an_id_is_taken_over_from_a_trusted_proxy_only() {
    let router = Router::new().route("/token", get(|| async {}));
    for (trusted, own) in [(&[][..], true), (&["127.0.0.1/32"][..], false)] {
        let server =
            Fixture::with(routes(router.clone(), trusted, HeaderMap::new()), None, 100).await;
        let answer = server.get("/token", "X-Request-Id: from-the-proxy\r\n").await;
        assert_eq!(header(&answer, "x-request-id") != Some("from-the-proxy"), own, "{answer}");
    }
}

#[tokio::test]
async fn the_handler_sees_the_origin_and_the_client() {
    let seen = |Extension(origin): Extension<Origin>,
                Extension(ClientAddress(client)): Extension<ClientAddress>| async move {
        format!("{origin} {client}")
    };
    let router = Router::new().route("/token", get(seen));
    let server = Fixture::with(routes(router, &["127.0.0.0/8"], HeaderMap::new()), None, 100).await;
    assert!(server.get("/token", "").await.ends_with("\r\n\r\nhttp://h 127.0.0.1"));
    let forwarded =
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: r.example\r\nX-Forwarded-For: 192.0.2.7\r\n";
    assert!(server.get("/token", forwarded).await.ends_with("\r\n\r\nhttps://r.example 192.0.2.7"));
}

/// CH13
#[tokio::test]
async fn a_host_that_no_challenge_may_echo_is_a_bad_request() {
    let server = Fixture::serving(Router::new().route("/token", get(|| async { "served" }))).await;
    let answer =
        server.exchange("GET /token HTTP/1.1\r\nHost: a\"b\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    assert!(!answer.contains("served"));
    assert!(
        server.metrics.text().unwrap().contains(r#"portpass_refusals_total{reason="bad-host"} 1"#)
    );
}

#[tokio::test]
async fn a_panic_is_an_answer_that_says_nothing_of_it() {
    async fn panics() -> &'static str {
        panic!("the password was hunter2");
    }
    let server = Fixture::serving(Router::new().route("/token", get(panics))).await;
    let answer = server.get("/token", "").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(
        answer.ends_with("{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"internal error\"}]}\n"),
        "{answer}"
    );
    assert!(header(&answer, "x-request-id").is_some());
    assert!(server.metrics.text().unwrap().contains("portpass_panics_total 1"));
    assert!(server.get("/", "").await.starts_with("HTTP/1.1 200"), "the server goes on");
}

#[tokio::test]
async fn configured_headers_are_added_and_never_replace_an_answers_own() {
    let own = || async { ([("x-frame-options", "own")], "body") };
    let mut headers = HeaderMap::new();
    headers.append("x-frame-options", "configured".parse().unwrap());
    headers.append("x-a", "1".parse().unwrap());
    headers.append("x-a", "2".parse().unwrap());
    let server =
        Fixture::with(routes(Router::new().route("/token", get(own)), &[], headers), None, 100)
            .await;
    let answer = server.get("/token", "").await;
    assert_eq!(header(&answer, "x-frame-options"), Some("own"));
    assert!(answer.contains("x-a: 1\r\nx-a: 2\r\n"), "{answer}");
}

#[tokio::test]
async fn headers_larger_than_32_kib_are_refused() {
    let server = Fixture::serving(Router::new().route("/token", get(|| async { "served" }))).await;
    let fits = server.get("/token", &format!("X-A: {}\r\n", "a".repeat(31 * 1024))).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
    let large = server.get("/token", &format!("X-A: {}\r\n", "a".repeat(33 * 1024))).await;
    assert!(large.starts_with("HTTP/1.1 431"), "{large}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_its_headers_is_left() {
    let server = Fixture::serving(Router::new()).await;
    for begun in ["", "GET / HTTP/1.1\r\nHost: h\r\nX-"] {
        let mut stream = server.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        // Time goes on by itself when nothing else does.
        assert_eq!(rest_of(&mut stream).await, "", "after {begun:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_sending_its_body_is_left() {
    let read = |body: Body| async move {
        match axum::body::to_bytes(body, 1024).await {
            Ok(_) => "all of it".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    };
    let server = Fixture::serving(Router::new().route("/token", axum::routing::post(read))).await;
    let mut stream = server.connect().await;
    let head = "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest_of(&mut stream).await;
    assert!(answer.contains("Stalled"), "{answer}");
    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest_of(&mut stream).await;
    assert!(answer.contains("ConnectionClosed"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_taking_its_answer_is_left() {
    let endless = || async {
        Body::from_stream(futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(vec![0; 64 * 1024])
        }))
    };
    let server = Fixture::serving(Router::new().route("/token", get(endless))).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 16]).await.unwrap();
    // The client stays, and reads no more.
    assert_eq!(server.end().await, 0, "the connection ended by itself");
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_requests_end_and_leaves_idle_connections() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (entered, leave) = (entered.clone(), leave.clone());
        move || async move {
            entered.notify_one();
            leave.notified().await;
            "done"
        }
    };
    let server = Fixture::serving(Router::new().route("/token", get(slow))).await;
    let address = server.address;
    let mut silent = server.connect().await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    read_until(&mut idle, "portpass\n").await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    entered.notified().await;

    let ending = tokio::spawn(server.end());
    assert_eq!(rest_of(&mut idle).await, "", "nothing is under way on it");
    assert_eq!(rest_of(&mut silent).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "nothing new is taken");
    assert!(!ending.is_finished());
    leave.notify_one();
    assert!(rest_of(&mut busy).await.ends_with("done"));
    assert_eq!(ending.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_cut_off() {
    let server =
        Fixture::serving(Router::new().route("/token", get(std::future::pending::<&'static str>)))
            .await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    while !server.metrics.text().unwrap().contains("connections_open{listener=\"test\"} 1") {
        tokio::task::yield_now().await;
    }
    let cut_off = server.connections.drain(Duration::from_secs(30), std::future::pending()).await;
    assert_eq!(cut_off, 1);
    assert_eq!(rest_of(&mut busy).await, "");
}

#[tokio::test]
async fn what_is_served_can_be_replaced_under_open_connections() {
    let server = Fixture::serving(Router::new().route("/token", get(|| async { "old." }))).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    read_until(&mut stream, "old.").await;
    let router = Router::new().route("/token", get(|| async { "new." }));
    server.service.replace(routes(router, &[], HeaderMap::new()));
    stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    read_until(&mut stream, "new.").await;
}

/// One line per request: who, what, how it ended and why.
#[tokio::test]
async fn the_access_log_names_subject_and_refusal_and_no_secret() {
    let log = CapturedLog::start();
    let refuse = || async {
        let mut response = Response::new(Body::from("no"));
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        let subject = Some("ann".to_owned());
        response.extensions_mut().insert(RequestOutcome::refused(
            subject,
            "token-expired",
            "expired 75 s ago",
        ));
        response
    };
    let server = Fixture::serving(Router::new().route("/token", get(refuse))).await;
    server
        .get(
            "/token?password=hunter2",
            "Authorization: Basic aHVudGVyMg==\r\nUser-Agent: docker/29\r\n",
        )
        .await;
    server.end().await;
    let lines = log.lines_of("access");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    for (key, value) in [
        ("method", "GET"),
        ("path", "/token"),
        ("subject", "ann"),
        ("refusal", "token-expired"),
        ("reason", "expired 75 s ago"),
        ("client", "127.0.0.1"),
        ("agent", "docker/29"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["status"], 401);
    assert_eq!(line["bytes"], 2);
    assert!(line["ms"].is_number());
    assert!(line["request_id"].is_string());
    assert!(
        !line.to_string().contains("hunter2") && !line.to_string().contains("aHVudGVyMg"),
        "{line}"
    );
}

/// A client that is gone before the answer is out leaves a line that says so.
#[tokio::test]
async fn a_broken_answer_is_marked_in_the_log() {
    let log = CapturedLog::start();
    let large = || async {
        Body::from_stream(futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(vec![0; 64 * 1024])
        }))
    };
    let server = Fixture::serving(
        Router::new().route("/token", get(large)).route("/x", any(|_: Request| async {})),
    )
    .await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 16]).await.unwrap();
    // A reset, as of a client that is killed.
    stream.set_zero_linger().unwrap();
    drop(stream);
    server.end().await;
    let lines = log.lines_of("access");
    assert_eq!(lines[0]["broken"], true, "{lines:?}");
}

/// Nobody asks a body of announced length for its end.
#[tokio::test]
async fn an_answer_of_announced_length_is_whole_once_that_much_was_sent() {
    let log = CapturedLog::start();
    let streamed = || async {
        let pieces = [Ok::<_, std::io::Error>("abc"), Ok("def")];
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        ([(http::header::CONTENT_LENGTH, "6")], body)
    };
    let server = Fixture::serving(
        Router::new().route("/token", get(streamed)).route("/x", any(|_: Request| async {})),
    )
    .await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("abcdef"), "{answer}");
    server.end().await;
    let lines = log.lines_of("access");
    assert_eq!((&lines[0]["bytes"], lines[0].get("broken")), (&6.into(), None), "{lines:?}");
}

fn tls(certified: &Certified) -> Arc<Tls> {
    Arc::new(Tls::new(certified.files()).unwrap())
}

/// Trusts that certificate alone.
fn client(certificate: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).build().unwrap()
}

#[tokio::test]
async fn http_2_is_spoken_where_alpn_agrees_on_it() {
    let certified = Certified::new();
    let seen = |Extension(origin): Extension<Origin>| async move { origin.to_string() };
    let router = Router::new().route("/token", get(seen));
    let server =
        Fixture::with(routes(router, &[], HeaderMap::new()), Some(tls(&certified)), 100).await;
    let url = format!("https://127.0.0.1:{}/token", server.address.port());
    let answer = client(&certified.certificate()).get(&url).send().await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert!(answer.headers().contains_key("x-request-id"));
    let origin = answer.text().await.unwrap();
    assert_eq!(format!("{origin}/token"), url, "the scheme is the connection's own");
    server.end().await;
}

#[tokio::test]
async fn a_changed_certificate_is_served_to_new_connections() {
    let certified = Certified::new();
    let tls = tls(&certified);
    let server =
        Fixture::with(routes(Router::new(), &[], HeaderMap::new()), Some(tls.clone()), 100).await;
    let url = format!("https://127.0.0.1:{}/", server.address.port());
    let old = certified.certificate();
    assert!(client(&old).get(&url).send().await.is_ok());
    assert_eq!(tls.reload_if_changed(), CertificateReload::Unchanged);

    certified.write_certificate("no certificate");
    assert!(matches!(tls.reload_if_changed(), CertificateReload::Rejected(_)));
    assert!(client(&old).get(&url).send().await.is_ok(), "the last good pair is served");

    let new = certified.renew();
    assert_eq!(tls.reload_if_changed(), CertificateReload::Replaced);
    assert!(client(&new).get(&url).send().await.is_ok());
    assert!(client(&old).get(&url).send().await.is_err());
    assert_eq!(tls.reload_if_changed(), CertificateReload::Unchanged);
}

#[tokio::test]
async fn plain_http_to_a_tls_port_harms_nobody() {
    let certified = Certified::new();
    let server =
        Fixture::with(routes(Router::new(), &[], HeaderMap::new()), Some(tls(&certified)), 100)
            .await;
    let answer = server.get("/", "").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    let url = format!("https://127.0.0.1:{}/", server.address.port());
    assert!(client(&certified.certificate()).get(&url).send().await.is_ok());
    assert!(server.metrics.text().unwrap().contains("portpass_tls_handshakes_failed_total 1"));
}
