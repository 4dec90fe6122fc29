//! Connections that wait for a request in little memory.

use axum::{Router, routing::get};
use http::HeaderMap;
use tokio::time::{Instant, sleep};

use super::{frames::over_tls, *};

const LENGTH: usize = 32 << 20;

fn router() -> Router {
    Router::new().route("/token", get(async || vec![b'.'; LENGTH]))
}

async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    answered(stream).await;
}

async fn answered(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"portpass\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "it is still there");
    }
    assert!(!String::from_utf8(answer).unwrap().contains("close"));
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_after_any_rest() {
    let server = Fixture::serving(router()).await;
    let mut stream = server.connect().await;
    for seconds in [0, 1, 4, 5, 6, 11, 60, 600, 0] {
        ask(&mut stream).await;
        sleep(Duration::from_secs(seconds)).await;
    }
    // However its bytes come, and each at once.
    stream.set_nodelay(true).unwrap();
    for byte in b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    answered(&mut stream).await;
    // And two in one.
    sleep(Duration::from_secs(30)).await;
    let two = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    stream.write_all(two).await.unwrap();
    let mut answers = String::new();
    while answers.matches("portpass\n").count() < 2 {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0);
        answers.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn over_tls_too() {
    let certified = Certified::new();
    let router = routes(router(), &[], HeaderMap::new());
    let server = Fixture::with(router, Some(tls(&certified)), 100).await;
    let mut stream = over_tls(&server, &certified.certificate(), "http/1.1").await;
    for _ in 0..3 {
        ask(&mut stream).await;
        sleep(Duration::from_mins(1)).await;
    }
    let before = Instant::now();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the end is said, as TLS has it");
    assert!((559..=561).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}

/// What is written is not lost where the peer is slow to take it.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_all_of_an_answer() {
    let server = Fixture::serving(router()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(100)).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let mut left = LENGTH;
    let mut buffer = vec![0; 64 << 10];
    while left > 0 {
        // Between its last pieces, longer than a connection waits for a request.
        if left < 1 << 20 {
            sleep(Duration::from_secs(7)).await;
        }
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "{left} of {LENGTH} do not come");
        left -= read;
    }
    sleep(Duration::from_mins(1)).await;
    ask(&mut stream).await;
}

/// It came with the request before.
#[tokio::test(start_paused = true)]
async fn the_beginning_of_a_request_is_not_waited_for_for_ever() {
    let server = Fixture::serving(router()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HT").await.unwrap();
    answered(&mut stream).await;
    let before = Instant::now();
    assert_eq!(rest_of(&mut stream).await, "");
    assert!(before.elapsed() < Duration::from_mins(2), "{:?}", before.elapsed());
}

/// A body that nobody reads is not the next request.
#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_body_is_no_request() {
    let server = Fixture::serving(router()).await;
    let mut stream = server.connect().await;
    let inner = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", inner.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    assert_ne!(stream.read(&mut answer).await.unwrap(), 0, "it is answered without its body");
    sleep(Duration::from_secs(30)).await;
    let _ = stream.write_all(inner.as_bytes()).await;
    assert!(!rest_of(&mut stream).await.contains("HTTP/1.1"));
}

#[tokio::test(start_paused = true)]
async fn the_drain_ends_a_rest_at_once_and_the_client_does_too() {
    let server = Fixture::serving(router()).await;
    let (mut stays, mut leaves) = (server.connect().await, server.connect().await);
    ask(&mut stays).await;
    ask(&mut leaves).await;
    sleep(Duration::from_mins(1)).await;
    drop(leaves);
    let before = Instant::now();
    let (cut_off, rest) = tokio::join!(server.end(), rest_of(&mut stays));
    assert_eq!((cut_off, rest.as_str()), (0, ""));
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
}
