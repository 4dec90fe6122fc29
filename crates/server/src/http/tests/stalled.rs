//! HTTP/2 answers that nobody takes.

use axum::{Router, routing::get};
use http::HeaderMap;
use tokio::time::{Instant, pause};

use super::{super::stall_timeout::STALL_TIMEOUT, frames::*, *};

/// RFC 9113 §5.2.2: a stream's window may stay closed for ever, on a connection that is well. What the answer holds comes
/// back all the same.
#[tokio::test]
async fn a_stream_whose_answer_nobody_takes_is_reset() {
    let held = Arc::new(());
    let endless = {
        let held = held.clone();
        move || async move {
            Body::from_stream(futures_util::stream::repeat_with(move || {
                assert!(Arc::strong_count(&held) > 1, "the file is held as long as the answer is");
                Ok::<_, std::io::Error>(vec![0; 64 * 1024])
            }))
        }
    };
    let certified = Certified::new();
    let router = Router::new().route("/token", get(endless));
    let server =
        Fixture::with(routes(router, &[], HeaderMap::new()), Some(tls(&certified)), 100).await;
    let mut stream = http2(&server, &certified.certificate()).await;
    let closed = [0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0];
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST);
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, &closed), &request].concat();
    let before = Instant::now();
    stream.write_all(&opening).await.unwrap();

    let mut pings = 0;
    loop {
        let (kind, payload) = next(&mut stream).await;
        match kind {
            HEADERS => {
                // From here on time goes by itself whenever nothing else happens.
                pause();
            }
            PING => {
                pings += 1;
                assert!(before.elapsed() < 2 * STALL_TIMEOUT, "it stands still for ever");
                stream.write_all(&frame(PING, ACK, 0, &payload)).await.unwrap();
            }
            RESET => {
                assert_eq!(payload, CANCEL.to_be_bytes());
                break;
            }
            GO_AWAY => panic!("the connection was well"),
            _ => {}
        }
    }
    assert!(before.elapsed() >= STALL_TIMEOUT);
    assert!(pings >= 2, "{pings}");
    let handler = 2;
    assert!(Arc::strong_count(&held) <= handler, "the answer is gone");
}
