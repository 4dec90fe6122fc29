//! HTTP/2 by hand: frames as the tests want them.

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// A connection on which nothing was said yet.
pub(super) async fn http2(server: &Fixture, certificate: &str) -> TlsStream<TcpStream> {
    over_tls(server, certificate, "h2").await
}

/// The same, for a protocol by its name in ALPN.
pub(super) async fn over_tls(
    server: &Fixture,
    certificate: &str,
    protocol: &str,
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await.unwrap()
}

/// RFC 9113 §4.1
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A frame's kind and what is in it.
pub(super) async fn next(stream: &mut (impl AsyncReadExt + Unpin)) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.unwrap();
    (head[3], payload)
}

/// The kinds of frames, each with the error code where it has one.
pub(super) fn codes(mut bytes: &[u8]) -> Vec<(u8, u32)> {
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
pub(super) const REQUEST: &[u8] = b"\x82\x87\x04\x06/token\x01\x01h";
/// The same with POST.
pub(super) const POST: &[u8] = b"\x83\x87\x04\x06/token\x01\x01h";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GO_AWAY: u8 = 7;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const NO_ERROR: u32 = 0;
pub(super) const CANCEL: u32 = 8;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const INITIAL_WINDOW_SIZE: u8 = 4;
pub(super) const ACK: u8 = 1;
/// The client's first bytes (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
