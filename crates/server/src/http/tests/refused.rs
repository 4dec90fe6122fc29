//! What becomes of a body that nobody reads.

use axum::{Router, http::StatusCode, routing::post};
use http::HeaderMap;
use tokio::io::AsyncWriteExt;

use super::{frames::*, *};

/// More than the kernel keeps for both sides: whoever does not read it stops the sender.
const LARGE: usize = 32 << 20;

/// Clients that send all of a layer before they look at the answer learn why it was refused, and not
/// that the pipe is broken.
#[tokio::test]
async fn a_client_that_sends_on_after_a_refusal_still_gets_it() {
    let router = Router::new().route("/token", post(async || StatusCode::UNAUTHORIZED));
    let server = Fixture::serving(router).await;
    let mut stream = server.connect().await;
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![0; 1 << 20];
    for _ in 0..LARGE / piece.len() {
        stream.write_all(&piece).await.unwrap();
    }
    let answer = rest_of(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer:?}");
}

/// One that never ends is cut off all the same; here time runs by itself, as nobody sends.
#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_holds_no_connection() {
    let router = Router::new().route("/token", post(async || StatusCode::UNAUTHORIZED));
    let server = Fixture::serving(router).await;
    let answer = server
        .exchange(
            "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer:?}");
    assert_eq!(server.end().await, 0);
}

/// RFC 9113 §8.1: the answer is whole, and the stream is given up without an error. Bytes that nobody reads are not waited
/// for, as they would be kept in memory.
#[tokio::test]
async fn over_http_2_the_rest_of_a_refused_body_is_not_waited_for() {
    let certified = Certified::new();
    let router = Router::new().route("/token", post(async || (StatusCode::UNAUTHORIZED, "no")));
    let server =
        Fixture::with(routes(router, &[], HeaderMap::new()), Some(tls(&certified)), 100).await;
    let mut stream = http2(&server, &certified.certificate()).await;
    let settings = frame(SETTINGS, 0, 0, &[]);
    let request = frame(HEADERS, END_HEADERS, 1, POST);
    let begun = frame(DATA, 0, 1, &[0; 16 * 1024]);
    stream.write_all(&[PREFACE, &settings, &request, &begun].concat()).await.unwrap();

    let mut answer = Vec::new();
    loop {
        match next(&mut stream).await {
            (DATA, body) => {
                answer.extend(body);
                stream.write_all(&frame(PING, 0, 0, &[7; 8])).await.unwrap();
            }
            (RESET, code) => {
                assert_eq!(code, NO_ERROR.to_be_bytes());
                break;
            }
            (PING, _) => panic!("the stream is still read from"),
            _ => {}
        }
    }
    assert_eq!(answer, b"no");
    // The others on the connection notice nothing.
    let again = frame(HEADERS, END_STREAM | END_HEADERS, 3, POST);
    stream.write_all(&again).await.unwrap();
    while next(&mut stream).await.0 != HEADERS {}
}

/// What has come and is not read yet is in no budget, so it is little.
#[tokio::test]
async fn over_http_2_no_more_than_a_mebibyte_comes_unread() {
    let certified = Certified::new();
    let server =
        Fixture::with(routes(Router::new(), &[], HeaderMap::new()), Some(tls(&certified)), 100)
            .await;
    let mut stream = http2(&server, &certified.certificate()).await;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    // RFC 9113 §6.9.2: what every connection begins with.
    let mut of_stream = 65_535;
    let of_connection = loop {
        match next(&mut stream).await {
            (SETTINGS, settings) => {
                let mut settings = settings.chunks_exact(6);
                let window = settings.find(|setting| setting[..2] == [0, INITIAL_WINDOW_SIZE]);
                of_stream = window.map_or(of_stream, |setting| number(&setting[2..]));
            }
            (WINDOW_UPDATE, more) => break 65_535 + number(&more),
            _ => {}
        }
    };
    assert_eq!(of_connection, 1 << 20);
    assert!(of_stream < of_connection, "one body does not stand in the way of all: {of_stream}");
    assert!(of_stream > 65_535, "an upload does not wait for each round trip: {of_stream}");
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}
