//! Whether the time of a refusal tells who has an account: `cargo xtask timing`, or
//! `cargo bench -p portpass --bench timing`. Prints the table of `docs/hardening.md`.
//!
//! ```text
//! for each kind of hash, at the htpasswd controller and at the token service:
//!   2 000 times, in turns   wrong password for a known name    ─┐ one connection,
//!                           wrong password for an unknown one  ─┘ one request at a time
//!   medians, and Mann and Whitney's test of the two series
//! ```

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for whoever measures")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use base64::prelude::*;
use portpass_testkit::{
    Portpass,
    rank::{RankTest, median},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
/// Of each of the two series.
const SAMPLES: usize = 2_000;

/// Every kind of hash that a token service takes, at a cost that can be paid some thousand times.
const KINDS: &[(&str, &str)] = &[
    ("bcrypt 5", "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu"),
    (
        "argon2id, 64 KiB",
        "$argon2id$v=19$m=64,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$3d5OJMl9nIPkVTU4F4f1PC+WVfHWgQyNSzSxFKUmAHE",
    ),
    ("apr1", "$apr1$1xE0yyFr$BOgI8TVk.iP7HKjZrgHCQ0"),
    (
        "SHA-256 crypt, 5 000 rounds",
        "$5$EhQl2uqVKKYK75cs$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25",
    ),
    (
        "SHA-512 crypt, 5 000 rounds",
        "$6$JAu96dy01u7V9.WV$0nPHD/x4lAY08YA.T6SP7Kja1ygjb8nZYZHchrAv0M5fAmg64qsgUhoYHj8lTdU3RU4NBBwYmGkrs2RMy1QMC0",
    ),
    ("{SHA}", "{SHA}F2GPAaOiG5EcklvLUlodIavTBnM="),
    ("plain text (never accepted)", "opensesame"),
];

fn main() {
    println!("| server | stored hash | known, median | unknown, median | difference | p |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (kind, hash) in KINDS {
        for service in [Service::Controller, Service::Tokens] {
            println!("{}", row(service, kind, &format!("known:{hash}\nother:{}\n", KINDS[0].1)));
        }
    }
    // Beside dearer ones of its own kind, and of all others: what is missing is made up for.
    let line = |(kind, hash): &(&str, &str)| format!("{}:{hash}\n", word(kind));
    let all = KINDS.iter().map(line).collect::<Vec<_>>().concat();
    let cheap = "$2y$04$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";
    for service in [Service::Controller, Service::Tokens] {
        println!(
            "{}",
            row(
                service,
                "bcrypt 4, with all of these in the file",
                &format!("known:{cheap}\n{all}")
            )
        );
    }
}

/// A name that an account may have.
fn word(kind: &str) -> String {
    kind.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Who refuses.
#[derive(Debug, Clone, Copy)]
enum Service {
    Controller,
    Tokens,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Controller => "htpasswd",
            Self::Tokens => "token service",
        }
    }

    fn configuration(self) -> &'static str {
        match self {
            Self::Controller => {
                "registry: { auth: { htpasswd: { realm: r, path: users, limits: { enabled: false } } } }\n"
            }
            Self::Tokens => {
                "token_service:\n  accounts: [ htpasswd: { path: users, legacy_hashes: true } ]\n  \
                 limits: { enabled: false }\n"
            }
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::Controller => "/v2/",
            Self::Tokens => "/token",
        }
    }
}

fn row(service: Service, kind: &str, users: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let head = "data: data\nhttp: { addr: 127.0.0.1:0 }\n";
    let text = format!("{head}{}", service.configuration());
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    fs::write(folder.path().join("users"), users).unwrap();
    let server =
        Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder);
    let mut caller = Caller::new(server.address(), service.target());
    // Whatever is made at the first request of its kind is made.
    for _ in 0..50 {
        let _ = (caller.refused("known"), caller.refused("empty"));
    }
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for turn in 0..SAMPLES {
        // Names of one length; and none of the two is always first.
        if turn % 2 == 0 {
            known.push(caller.refused("known"));
            unknown.push(caller.refused("empty"));
        } else {
            unknown.push(caller.refused("empty"));
            known.push(caller.refused("known"));
        }
    }
    let p = RankTest::of(&known, &unknown).p();
    let [known, unknown] = [median(&mut known), median(&mut unknown)];
    let difference = (known / unknown - 1.0) * 100.0;
    let name = service.name();
    format!("| {name} | {kind} | {known:.1} µs | {unknown:.1} µs | {difference:+.2} % | {p:.3} |")
}

/// One connection, on which one request is made after the other.
struct Caller {
    stream: TcpStream,
    target: &'static str,
    /// Each password is a new one, lest anything be remembered.
    count: u64,
}

impl Caller {
    fn new(address: SocketAddr, target: &'static str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { stream, target, count: 0 }
    }

    /// How long a wrong password takes, in microseconds.
    fn refused(&mut self, name: &str) -> f64 {
        self.count += 1;
        let pair = BASE64_STANDARD.encode(format!("{name}:wrong-{:08}", self.count));
        let target = self.target;
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {pair}\r\n\r\n");
        let mut answer = [0; 4096];
        let start = now();
        self.stream.write_all(request.as_bytes()).unwrap();
        let read = self.stream.read(&mut answer).unwrap();
        let took = start.elapsed();
        assert!(answer[..read].starts_with(b"HTTP/1.1 401"), "{name}");
        took.as_secs_f64() * 1e6
    }
}

#[expect(clippy::disallowed_methods, reason = "to look at the clock is what this is for")]
fn now() -> Instant {
    Instant::now()
}
