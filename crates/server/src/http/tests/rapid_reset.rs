//! HTTP/2 requests that are taken back as soon as they are made.

use axum::{Router, routing::get};
use http::HeaderMap;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// CVE-2023-44487: whoever opens requests and resets them at once is cut off, and nobody else notices.
#[tokio::test]
async fn who_takes_back_every_request_is_cut_off() {
    let certified = Certified::new();
    let router = Router::new().route("/token", get(std::future::pending::<&'static str>));
    let rim = Rim::with(surface(router, &[], HeaderMap::new()), Some(tls(&certified)), 100).await;
    let stream = http2(&rim, &certified.certificate()).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sender = tokio::spawn(async move {
        writing.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
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

    let url = format!("https://127.0.0.1:{}/", rim.address.port());
    assert!(client(&certified.certificate()).get(&url).send().await.is_ok(), "others are served");
}

async fn http2(rim: &Rim, certificate: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, rim.connect().await).await.unwrap()
}

/// RFC 9113 §4.1
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The kinds of frames, each with the error code where it has one.
fn codes(mut bytes: &[u8]) -> Vec<(u8, u32)> {
    let mut codes = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = &rest[..length.min(rest.len())];
        // GOAWAY: the last stream, then the code.
        let code = payload.get(4..8).filter(|_| *kind == GO_AWAY);
        codes.push((*kind, code.map_or(0, |code| u32::from_be_bytes(code.try_into().unwrap()))));
        bytes = &rest[payload.len()..];
    }
    codes
}

/// HPACK: GET, https, /token, and the host as literals that are not indexed (RFC 7541 §6).
const REQUEST: &[u8] = b"\x82\x87\x04\x06/token\x01\x01h";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
