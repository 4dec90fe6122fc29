//! Connections on which nothing is asked.

use axum::{
    Router,
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, pause, sleep, timeout};

use super::{frames::*, *};

/// A connection that has had an answer.
async fn used(server: &Fixture) -> TcpStream {
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    stream
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    read_until(stream, "portpass\n").await;
}

/// A request that a load balancer sends while we end the connection is lost; so it has to be the one who ends it. Google's
/// keep theirs for 600 s.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_those_of_load_balancers() {
    let server = Fixture::serving(Router::new()).await;
    let mut stream = used(&server).await;
    for _ in 0..2 {
        let ended = timeout(Duration::from_secs(610), stream.readable()).await;
        assert!(ended.is_err(), "it is there for whoever comes back");
        ask(&mut stream).await;
    }
    let before = Instant::now();
    assert_eq!(rest_of(&mut stream).await, "");
    let idle = before.elapsed().as_secs();
    assert!((620..=621).contains(&idle), "{idle} s");
}

#[tokio::test(start_paused = true)]
async fn how_long_a_connection_may_be_idle_is_configured() {
    let idle_timeout = Duration::from_secs(7);
    let origins = OriginResolver::new(None, TrustedProxies::default(), ChallengeRealm::Fixed);
    let router = ListenerRouter::new(origins, HeaderMap::new()).with_idle_timeout(idle_timeout);
    let server = Fixture::with(Arc::new(router), None, 100).await;
    let mut stream = used(&server).await;
    let before = Instant::now();
    assert_eq!(rest_of(&mut stream).await, "");
    assert!((7..=8).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}

/// Silence may last; a request that has begun may not.
#[tokio::test(start_paused = true)]
async fn headers_that_have_begun_end_within_a_minute() {
    let server = Fixture::serving(Router::new()).await;
    let mut stream = used(&server).await;
    sleep(Duration::from_mins(5)).await;
    let before = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX-").await.unwrap();
    // However steadily they drip.
    let (mut reading, mut writing) = stream.into_split();
    let drip = tokio::spawn(async move {
        while writing.write_all(b"a").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let _ = reading.read_to_end(&mut Vec::new()).await;
    assert!((60..=62).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
    drip.await.unwrap();
}

/// Of a refused push the answer is out before the body is.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_refused_body_is_no_beginning_of_the_next_request() {
    let router = Router::new().route("/token", post(async || (StatusCode::UNAUTHORIZED, "no.")));
    let server = Fixture::serving(router).await;
    let mut stream = server.connect().await;
    let head = b"POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nhalf";
    stream.write_all(head).await.unwrap();
    read_until(&mut stream, "no.").await;
    stream.write_all(b"rest").await.unwrap();
    let before = Instant::now();
    assert_eq!(rest_of(&mut stream).await, "");
    let idle = before.elapsed().as_secs();
    assert!((620..=625).contains(&idle), "{idle} s");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_long_is_no_idleness() {
    let slow = || async {
        sleep(Duration::from_hours(1)).await;
        "done."
    };
    let server = Fixture::serving(Router::new().route("/token", get(slow))).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    read_until(&mut stream, "done.").await;
    let ended = timeout(Duration::from_secs(610), stream.readable()).await;
    assert!(ended.is_err(), "the time begins with the answer's end");
}

/// RFC 9113 §6.8: the peer is told, and loses nothing.
#[tokio::test]
async fn an_idle_connection_of_http_2_is_ended_though_it_answers_pings() {
    let certified = Certified::new();
    let router = Router::new().route("/token", get(|| async { "token" }));
    let server =
        Fixture::with(routes(router, &[], HeaderMap::new()), Some(tls(&certified)), 100).await;
    let mut stream = http2(&server, &certified.certificate()).await;
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST);
    let before = Instant::now();
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &request].concat();
    stream.write_all(&opening).await.unwrap();
    loop {
        match next(&mut stream).await {
            (HEADERS, _) => pause(),
            (PING, payload) => {
                assert!(before.elapsed() < Duration::from_hours(1), "it is never ended");
                stream.write_all(&frame(PING, ACK, 0, &payload)).await.unwrap();
            }
            (GO_AWAY, payload) => {
                assert_eq!(payload[4..8], [0; 4], "NO_ERROR");
                break;
            }
            _ => {}
        }
    }
    assert!(before.elapsed() >= Duration::from_secs(620), "{:?}", before.elapsed());
}
