//! Too few slots for all connections.

use axum::{Router, routing::get};
use http::HeaderMap;
use tokio::net::TcpSocket;

use super::*;

const LIMIT: usize = 8;

/// A connection from this address of loopback.
async fn from(address: &str, server: &Fixture) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(server.address).await.unwrap()
}

/// A server all of whose places are held by one address, with requests that do not end.
async fn full(trusted: &[&str]) -> (Fixture, Vec<TcpStream>) {
    let router = Router::new().route("/token", get(std::future::pending::<&'static str>));
    let server = Fixture::with(routes(router, trusted, HeaderMap::new()), None, LIMIT).await;
    let mut held = Vec::new();
    for number in 1..=LIMIT {
        let mut stream = from("127.0.0.1", &server).await;
        stream.write_all(b"GET /token HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        held.push(stream);
        let open = format!("connections_open{{listener=\"test\"}} {number}\n");
        while !server.metrics.text().unwrap().contains(&open) {
            tokio::task::yield_now().await;
        }
    }
    (server, held)
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
}

#[tokio::test]
async fn an_address_that_holds_all_places_gives_way_to_others() {
    let (server, held) = full(&[]).await;
    let mut others = Vec::new();
    for _ in 0..LIMIT / 4 {
        let mut other = from("127.0.0.2", &server).await;
        ask(&mut other).await;
        assert!(read_until(&mut other, "portpass\n").await.starts_with("HTTP/1.1 200"));
        others.push(other);
    }
    let text = server.metrics.text().unwrap();
    assert!(text.contains("connections_cut_total{listener=\"test\"} 2\n"), "{text}");
    drop(held);
}

/// Behind a proxy all clients have one address.
#[tokio::test]
async fn the_clients_of_a_trusted_proxy_are_not_cut_off() {
    let (server, held) = full(&["127.0.0.1/32"]).await;
    let mut other = from("127.0.0.2", &server).await;
    ask(&mut other).await;
    let waiting = tokio::time::timeout(Duration::from_millis(50), other.readable()).await;
    assert!(waiting.is_err(), "it waits");
    drop(held);
    assert!(read_until(&mut other, "portpass\n").await.starts_with("HTTP/1.1 200"));
    let text = server.metrics.text().unwrap();
    assert!(text.contains("connections_cut_total{listener=\"test\"} 0\n"), "{text}");
}

/// Whoever floods the queue does not keep others from being seen.
#[tokio::test]
async fn those_who_wait_stand_in_nobodys_way() {
    let (server, held) = full(&[]).await;
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.push(from("127.0.0.1", &server).await);
    }
    let mut other = from("127.0.0.2", &server).await;
    ask(&mut other).await;
    assert!(read_until(&mut other, "portpass\n").await.starts_with("HTTP/1.1 200"));
    drop((held, flood));
}

#[tokio::test]
async fn above_the_limit_connections_wait_for_a_place() {
    let server = Fixture::with(routes(Router::new(), &[], HeaderMap::new()), None, 1).await;
    let mut first = server.connect().await;
    first.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    read_until(&mut first, "portpass\n").await;
    let mut second = server.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(50), second.readable()).await;
    assert!(waiting.is_err(), "there is one place");
    drop(first);
    assert!(rest_of(&mut second).await.starts_with("HTTP/1.1 200"));
}
