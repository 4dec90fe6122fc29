//! A process with few files to open, and clients who hold as many of them as they can.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use portpass_protocol::Digest;
use portpass_testkit::Certificates;

use crate::{
    wire::{Answer, connect, read, request},
    world::{PASSWORD, World, basic, encoded},
};

/// What most systems give a process that does not ask for more, and here all that it can get.
const FILES: u32 = 1024;

/// More than the buffers of both sides hold, so that the server has to wait for whoever does not read.
const LARGE: usize = 16 << 20;

/// How many of these pulls are served, and how many are told to come back.
#[derive(Debug, Default)]
struct Told {
    served: usize,
    later: usize,
}

impl Told {
    fn count(&mut self, status: u16) {
        match status {
            200 => self.served += 1,
            503 => self.later += 1,
            other => panic!("a pull is answered {other}"),
        }
    }
}

/// Descriptors are for everybody: those who pull and do not read leave enough for all others.
#[test]
fn pulls_that_stand_still_leave_files_for_everybody_else() {
    let world = World::with_files(FILES, None);
    let (blob, bearer) = pushed(&world);
    let target = format!("/v2/ann/app/blobs/{blob}");
    let keep = format!("GET {target} HTTP/1.1\r\nHost: h\r\n{bearer}\r\n\r\n");

    let mut stalled: Vec<TcpStream> = (0..600).map(|_| connect(world.address())).collect();
    for stream in &mut stalled {
        stream.write_all(keep.as_bytes()).unwrap();
    }
    let mut told = Told::default();
    for stream in &mut stalled {
        told.count(status(stream));
    }
    assert!(told.served >= 100 && told.later >= 100, "{told:?}");
    everybody_else_is_served(&world);

    let later = world.send(&request("GET", &target, &[&bearer], b""));
    assert_eq!((later.status, later.header("retry-after")), (503, Some("5")), "{}", later.head);
    assert!(later.text().contains("UNAVAILABLE"), "{later:?}");
    world.portpass.wait_for_log(&["status=503", "too-many-transfers"]);
    let small = format!("/v2/ann/app/blobs/{}", Digest::sha256(b"{}"));
    let small = world.send(&request("GET", &small, &[&bearer], b""));
    assert_eq!(small.status, 200, "what is read in one piece holds nothing");

    drop(stalled);
    until_served(&world, &target, &bearer);
}

/// An upload holds a file as a pull does.
#[test]
fn uploads_that_stand_still_leave_files_for_everybody_else() {
    let world = World::with_files(FILES, None);
    let (blob, bearer) = pushed(&world);
    let target = format!("/v2/ann/app/blobs/uploads/?digest={}", Digest::sha256(b"never"));
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: h\r\n{bearer}\r\nContent-Length: {LARGE}\r\n\r\n");
    let begun = vec![0; 1 << 20];
    let mut stalled = Vec::new();
    for _ in 0..300 {
        let mut stream = connect(world.address());
        stream.write_all(head.as_bytes()).unwrap();
        // Whoever is refused may have been told so by now.
        let _ = stream.write_all(&begun);
        stalled.push(stream);
    }
    world.portpass.wait_for_log(&["status=503", "too-many-transfers", "POST"]);
    everybody_else_is_served(&world);
    let target = format!("/v2/ann/app/blobs/{blob}");
    drop(stalled);
    until_served(&world, &target, &bearer);
}

/// Places for connections are for everybody too: whoever holds all of them gives way to another address.
#[tokio::test]
async fn silent_connections_of_one_address_give_way_to_others() {
    let world = World::with_files(FILES, None);
    let silent: Vec<TcpStream> = (0..700).map(|_| connect(world.address())).collect();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(world.address()).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let asked = tokio::task::spawn_blocking(|| ask(stream, &request("GET", "/v2/", &[], b"")));
    assert_eq!(asked.await.unwrap().status, 401);
    drop(silent);
}

/// HTTP/2 asks for many blobs over one connection.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_stand_still_leave_files_for_everybody_else() {
    let certificates = Certificates::new();
    let world = World::with_files(FILES, Some(&certificates));
    let base = format!("https://{}", world.address());
    let token =
        format!("{base}/token?service=registry&scope={}", encoded("repository:ann/app:pull,push"));
    let first = client(&certificates);
    let answer = first.get(&token).basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let bearer = answer["token"].as_str().unwrap();
    let large = vec![7; LARGE];
    let digest = Digest::sha256(&large);
    let push = format!("{base}/v2/ann/app/blobs/uploads/?digest={digest}");
    assert_eq!(
        first.post(push).bearer_auth(bearer).body(large).send().await.unwrap().status(),
        201
    );

    let blob = format!("{base}/v2/ann/app/blobs/{digest}");
    // One client has one connection; these are fewer streams than it may have.
    let clients: Vec<_> = (0..32).map(|_| client(&certificates)).collect();
    let mut pulls = Vec::new();
    for client in &clients {
        // Once it is known to speak HTTP/2, it goes on over this connection.
        assert_eq!(client.get(format!("{base}/v2/")).send().await.unwrap().status(), 401);
        for _ in 0..32 {
            pulls.push(tokio::spawn(client.get(&blob).bearer_auth(bearer).send()));
        }
    }
    let mut told = Told::default();
    let mut stalled = Vec::new();
    for pull in pulls {
        let answer = pull.await.unwrap().unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        told.count(answer.status().as_u16());
        stalled.push(answer);
    }
    assert!(told.served >= 100 && told.later >= 100, "{told:?}");
    let admin = world.portpass.addresses()[1];
    let alive = move || within_a_second(admin, &request("GET", "/healthz", &[], b""));
    assert_eq!(tokio::task::spawn_blocking(alive).await.unwrap().status, 200);
    let anew = client(&certificates);
    let ping = anew.get(format!("{base}/v2/")).timeout(PATIENCE).send().await.unwrap();
    assert_eq!(ping.status(), 401);
    let login = anew.get(&token).basic_auth("ann", Some(PASSWORD)).timeout(PATIENCE);
    assert_eq!(login.send().await.unwrap().status(), 200);
}

/// Over one connection, and a little at a time.
fn client(certificates: &Certificates) -> reqwest::Client {
    let root = std::fs::read(certificates.ca()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(&root).unwrap()])
        .http2_initial_stream_window_size(64 * 1024)
        .http2_initial_connection_window_size(256 * 1024)
        .build()
        .unwrap()
}

/// Of a blob that is there now, and the header that opens its repository.
fn pushed(world: &World) -> (Digest, String) {
    let large = vec![7; LARGE];
    world.push("ann", "ann/app", &large);
    let token = world.token("ann", "repository:ann/app:pull,push");
    (Digest::sha256(&large), format!("Authorization: Bearer {token}"))
}

fn everybody_else_is_served(world: &World) {
    let admin = world.portpass.addresses()[1];
    let alive = within_a_second(admin, &request("GET", "/healthz", &[], b""));
    assert_eq!(alive.status, 200, "{alive:?}");
    let ping = within_a_second(world.address(), &request("GET", "/v2/", &[], b""));
    assert_eq!(ping.status, 401, "{ping:?}");
    let target = "/token?service=registry&offline_token=true";
    let login = request("GET", target, &[&basic("ann", PASSWORD)], b"");
    let login = within_a_second(world.address(), &login);
    assert_eq!(login.status, 200, "{login:?}");
}

#[track_caller]
fn within_a_second(address: SocketAddr, bytes: &[u8]) -> Answer {
    ask(connect(address), bytes)
}

/// Within a second.
#[track_caller]
fn ask(mut stream: TcpStream, bytes: &[u8]) -> Answer {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    read(&mut stream).expect("an answer")
}

/// Files come back when those who held them are gone, which the server learns a moment later.
fn until_served(world: &World, target: &str, bearer: &str) {
    let pull = request("GET", target, &[bearer], b"");
    let served = portpass_testkit::wait_until(|| world.send(&pull).status == 200);
    assert!(served, "{}", world.log());
}

/// Of an answer, of which no more is read.
fn status(stream: &mut TcpStream) -> u16 {
    let mut line = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read_exact(&mut line).expect("every pull is answered");
    String::from_utf8_lossy(&line[9..]).parse().unwrap()
}

/// It takes milliseconds, and without the mend it never came; a loaded machine has its time.
const PATIENCE: Duration = Duration::from_secs(15);
