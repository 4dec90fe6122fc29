//! What is too long, too much, or never ends.

use std::io::Write as _;

use crate::{
    wire::{Answer, connect, read, request},
    world::{KIND, World},
};

const FOUR_MIB: usize = 4 * 1024 * 1024;

struct Pusher {
    world: World,
    bearer: String,
}

impl Pusher {
    fn new() -> Self {
        let world = World::new();
        let token = world.token("ann", "repository:ann/app:pull,push");
        Self { world, bearer: format!("Authorization: Bearer {token}") }
    }

    /// The head of a manifest's push, and of its body only what the test sends.
    fn head(&self, lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let lines = lines.concat();
        format!(
            "PUT /v2/ann/app/manifests/v1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: {KIND}\r\n{}\r\n{lines}\r\n",
            self.bearer
        )
    }

    /// The answer to what is sent, while the rest of it is still to come.
    fn answer_to(&self, head: &str, pieces: impl Iterator<Item = Vec<u8>>) -> Answer {
        let mut stream = connect(self.world.address());
        stream.write_all(head.as_bytes()).unwrap();
        for piece in pieces {
            // It may have been refused by now.
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        read(&mut stream).unwrap()
    }
}

/// OC16, CVE-2017-11468: what announces that it is too long is refused before a byte of it has come.
#[test]
fn a_manifest_that_says_it_is_too_long_is_refused_unread() {
    let pusher = Pusher::new();
    for length in [FOUR_MIB + 1, usize::MAX / 2] {
        let head = pusher.head(&[&format!("Content-Length: {length}")]);
        let answer = pusher.answer_to(&head, std::iter::empty());
        assert_eq!(answer.status, 413, "{answer:?}");
        assert!(
            answer.text().contains("SIZE_INVALID") || answer.text().contains("MANIFEST_INVALID"),
            "{answer:?}"
        );
    }
}

/// OC16, CVE-2017-11468: what does not say how long it is is read as far as the limit, and no further.
#[test]
fn a_manifest_without_a_length_is_cut_at_the_limit() {
    let pusher = Pusher::new();
    let head = pusher.head(&["Transfer-Encoding: chunked"]);
    let chunk =
        [format!("{:x}\r\n", 64 * 1024).as_bytes(), &vec![b' '; 64 * 1024], b"\r\n"].concat();
    // The last chunk never comes: whoever waits for the end waits for ever.
    let chunks = FOUR_MIB / (64 * 1024) + 1;
    let answer = pusher.answer_to(&head, std::iter::repeat_n(chunk.clone(), chunks));
    assert_eq!(answer.status, 413, "{answer:?}");

    let end = b"0\r\n\r\n".to_vec();
    let whole = std::iter::repeat_n(chunk, chunks - 1).chain([end]);
    let answer = pusher.answer_to(&head, whole);
    assert_eq!(answer.status, 400, "four MiB are read, and are no manifest: {answer:?}");
}

/// CVE-2023-2253: `n` is no number of entries to make room for.
#[test]
fn a_huge_page_is_refused_or_cut_before_anything_is_allocated() {
    let pusher = Pusher::new();
    pusher.world.push("ann", "ann/app", b"layer");
    for (n, status) in [
        ("1000000000000", 200),
        ("18446744073709551615", 200),
        ("99999999999999999999999", 200),
        ("-1", 400),
        ("1e9", 400),
    ] {
        let target = format!("/v2/ann/app/tags/list?n={n}");
        let answer = pusher.world.ask("GET", &target, &[&pusher.bearer]);
        assert_eq!(answer.status, status, "{n}: {answer:?}");
    }
}

/// T12: headers have an end, in bytes and in number.
#[test]
fn headers_without_end_are_refused() {
    let world = World::new();
    let long = format!("X-Long: {}", "a".repeat(40 * 1024));
    let many: Vec<String> = (0..1000).map(|number| format!("X-{number}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let token = format!("Authorization: Bearer {}", "a".repeat(40 * 1024));
    for headers in [&[&*long][..], &many, &[&*token]] {
        assert_eq!(world.ask("GET", "/v2/", headers).status, 431);
    }
    let target = format!("/v2/{}", "a".repeat(70 * 1024));
    let status = world.ask("GET", &target, &[]).status;
    assert!([414, 431].contains(&status), "{status}");
}

/// Nobody is kept out by others who connect and say nothing.
#[test]
fn silent_connections_keep_nobody_out() {
    let world = World::new();
    let silent: Vec<_> = (0..400).map(|_| connect(world.address())).collect();
    let mut half: Vec<_> = (0..100).map(|_| connect(world.address())).collect();
    for stream in &mut half {
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: h\r\nX-").unwrap();
    }
    assert_eq!(world.ask("GET", "/v2/", &[]).status, 401);
    drop((silent, half));
}

/// RFC 9112 §6.3: two readers must not disagree on where a request ends.
#[test]
fn a_request_with_two_lengths_is_refused_and_smuggles_nothing() {
    let world = World::new();
    let smuggled = "GET /v2/_catalog HTTP/1.1\r\nHost: h\r\n\r\n";
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 6\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        let text = format!("POST /token HTTP/1.1\r\nHost: h\r\n{lines}\r\n{smuggled}");
        let answer = world.send(text.as_bytes());
        assert_eq!(answer.status, 400, "{lines:?}: {answer:?}");
        assert!(!answer.text().contains("HTTP/1.1"), "{lines:?}: {answer:?}");
    }
    let two_hosts = request("GET", "/v2/", &["Host: evil.example"], b"");
    assert_eq!(world.send(&two_hosts).status, 400, "there is one host");
}
