//! HTTP/2 requests that are taken back as soon as they are made.

use axum::{Router, routing::get};
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{frames::*, *};

/// CVE-2023-44487: whoever opens requests and resets them at once is cut off, and nobody else notices.
#[tokio::test]
async fn who_takes_back_every_request_is_cut_off() {
    let certified = Certified::new();
    let router = Router::new().route("/token", get(std::future::pending::<&'static str>));
    let server =
        Fixture::with(routes(router, &[], HeaderMap::new()), Some(tls(&certified)), 100).await;
    let stream = http2(&server, &certified.certificate()).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sender = tokio::spawn(async move {
        writing.write_all(PREFACE).await?;
        writing.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        for stream in (1..200_000_u32).step_by(2) {
            let headers = frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST);
            let reset = frame(RESET, 0, stream, &CANCEL.to_be_bytes());
            writing.write_all(&[headers, reset].concat()).await?;
        }
        std::io::Result::Ok(())
    });
    let mut said = Vec::new();
    // It ends because the server ends it.
    let _ = reading.read_to_end(&mut said).await;
    assert!(sender.await.unwrap().is_err(), "all of it was taken");
    assert!(codes(&said).contains(&(GO_AWAY, ENHANCE_YOUR_CALM)), "{:?}", codes(&said));

    let url = format!("https://127.0.0.1:{}/", server.address.port());
    assert!(client(&certified.certificate()).get(&url).send().await.is_ok(), "others are served");
}
