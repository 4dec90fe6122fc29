//! What becomes of a body that nobody reads.

use axum::{Router, http::StatusCode, routing::post};
use tokio::io::AsyncWriteExt;

use super::{Rim, rest_of};

/// More than the kernel keeps for both sides: whoever does not read it stops the sender.
const LARGE: usize = 32 << 20;

/// Clients that send all of a layer before they look at the answer learn why it was refused, and not
/// that the pipe is broken.
#[tokio::test]
async fn a_client_that_sends_on_after_a_refusal_still_gets_it() {
    let router = Router::new().route("/token", post(async || StatusCode::UNAUTHORIZED));
    let rim = Rim::serving(router).await;
    let mut stream = rim.connect().await;
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
    let rim = Rim::serving(router).await;
    let answer = rim
        .exchange(
            "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer:?}");
    assert_eq!(rim.end().await, 0);
}
