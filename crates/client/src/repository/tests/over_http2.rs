//! The same over HTTP/2, on which TLS agrees with most registries: streams that break off, answers
//! before their time, more content than a window holds.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, Response, Version, header},
};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::join_all,
    stream::{self, BoxStream},
};
use portpass_protocol::Digest;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::blobs::{blob, read};
use crate::{
    Registry, Repository, Session, SystemClock, Transport,
    fixture::{MemoryStore, RecordedTimer},
    transport::Settings,
};

/// Speaks TLS, and nothing but HTTP/2 in it, in front of a registry.
async fn remote() -> Repository {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let behind = registry().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outer = acceptor.accept(stream).await.unwrap();
                let mut inner = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    let authorities = vec![cert.der().clone()];
    let registry = Registry::new(
        host.parse().unwrap(),
        Arc::new(Transport::new(Settings { authorities, ..Settings::default() })),
        Arc::new(MemoryStore::default()),
        Arc::new(SystemClock),
    );
    let session = Session::with_timer(registry, Arc::new(RecordedTimer::default()));
    Repository::new(Arc::new(session), "a".parse().unwrap())
}

async fn registry() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async |request: Request<Body>| {
        assert_eq!(request.version(), Version::HTTP_2);
        answer(request).await
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn answer(request: Request<Body>) -> Response<Body> {
    let status = |status: u16| Response::builder().status(status);
    let empty = |status: u16| Response::builder().status(status).body(Body::empty()).unwrap();
    let path = request.uri().path().to_owned();
    match (request.method().clone(), path.as_str()) {
        (_, "/v2/") => empty(200),
        (Method::POST, _) => status(202)
            .header(header::LOCATION, "/v2/a/blobs/uploads/1?_state=x")
            .body(Body::empty())
            .unwrap(),
        (Method::PUT, _) if request.uri().query().unwrap().contains(&refused_hex()) => {
            let said = r#"{"errors":[{"code":"SIZE_INVALID","message":"too large for us"}]}"#;
            status(413).body(Body::from(said)).unwrap()
        }
        (Method::PUT, _) => match to_bytes(request.into_body(), usize::MAX).await {
            Ok(content) if content == large() => empty(201),
            _ => empty(400),
        },
        (Method::GET, path) if path.contains(Digest::sha256(&large()).hex().as_str()) => {
            status(200).body(Body::from(large())).unwrap()
        }
        (Method::GET, _) => {
            let pieces = [Ok(Bytes::from_static(b"some ")), Err(io::Error::other("disk on fire"))];
            status(200).body(Body::from_stream(stream::iter(pieces))).unwrap()
        }
        _ => empty(204),
    }
}

/// More than any window of HTTP/2 at first.
fn large() -> Bytes {
    Bytes::from((0..3_000_000_u32).map(|at| (at % 251) as u8).collect::<Vec<u8>>())
}

fn refused() -> Bytes {
    Bytes::from(vec![7; 3_000_000])
}

fn refused_hex() -> String {
    Digest::sha256(&refused()).hex()
}

fn pieces(content: &Bytes) -> BoxStream<'static, io::Result<Bytes>> {
    let pieces: Vec<_> = content.chunks(70_000).map(Bytes::copy_from_slice).map(Ok).collect();
    stream::iter(pieces).boxed()
}

#[tokio::test]
async fn blobs_go_and_come_at_once_over_one_connection() {
    let (remote, content) = (remote().await, large());
    let blob = blob(&content);
    let sent = join_all((0..4).map(|_| remote.put_blob(&blob, pieces(&content))));
    let come = join_all((0..4).map(|_| read(&remote, &blob, 0)));
    let (sent, come) = tokio::join!(sent, come);
    for sent in sent {
        sent.unwrap();
    }
    for read in come {
        assert_eq!(read.unwrap(), content);
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_breaks_off_and_may_be_tried_again() {
    let remote = remote().await;
    let error = read(&remote, &blob(b"some content"), 0).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    // The connection is as good as before.
    assert_eq!(read(&remote, &blob(&large()), 0).await.unwrap(), large());
}

#[tokio::test]
async fn a_registry_that_refuses_before_all_is_sent_is_heard() {
    let remote = remote().await;
    let error = remote.put_blob(&blob(&refused()), pieces(&refused())).await.unwrap_err();
    assert!(error.to_string().ends_with("too large for us (SIZE_INVALID)"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_content_is_told_as_ours() {
    let remote = remote().await;
    let broken = pieces(&large()).take(5).chain(stream::iter([Err(io::Error::other("gone"))]));
    let error = remote.put_blob(&blob(&large()), broken.boxed()).await.unwrap_err();
    assert_eq!(error.to_string(), "the content to send cannot be read: gone");
    let short = pieces(&large()).take(5).boxed();
    let error = remote.put_blob(&blob(&large()), short).await.unwrap_err();
    assert!(error.to_string().ends_with("has 350000 bytes, not 3000000"), "{error}");
}
