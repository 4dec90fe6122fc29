//! What foreign bytes must never do to a parser: one function per parser, which panics where one of
//! its promises is broken.
//!
//! ```text
//! fuzz/fuzz_targets/NAME.rs ── cargo xtask fuzz ──┐
//!                                                 ├──> check(bytes)   reads, and compares:
//! fuzz/corpus/NAME/* ────────── tests/replay.rs ──┘                   what is written reads back,
//!                     as they are, and changed                        two readers agree, and
//!                                                                     nothing grows without bound
//! ```
//!
//! Each of [`TARGETS`] is fuzzed by `cargo xtask fuzz` and replayed by `cargo xtask test`; both call
//! the same function. What the parsers do with bytes that are not hostile is for the tests of their
//! own crates.

#![expect(clippy::missing_panics_doc, reason = "to panic is what every function here is for")]

mod accounts;
mod client;
mod files;
mod hook;
mod jose;
mod protocol;
mod request;
mod scratch;

pub use accounts::{directory, discovery, machine_secret, workload_claims};
pub use client::{archive, credentials, image_reference, layout};
pub use files::{configuration, docker_auth, htpasswd, rules};
pub use hook::hook_answer;
pub use jose::{claims, jwk, jws, x5c};
pub use protocol::{access_list, challenge, error_body, manifest, range, scope, token_response};
pub use request::{authorization, route, token_request};

/// A parser, and what checks it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What its folder in `fuzz/corpus` and its file in `fuzz/fuzz_targets` are called.
    pub name: &'static str,
    /// Panics if these bytes break one of the parser's promises.
    pub check: fn(&[u8]),
}

/// Every parser of bytes that somebody else has made.
pub const TARGETS: &[Target] = &[
    Target { name: "access_list", check: access_list },
    Target { name: "archive", check: archive },
    Target { name: "authorization", check: authorization },
    Target { name: "challenge", check: challenge },
    Target { name: "claims", check: claims },
    Target { name: "configuration", check: configuration },
    Target { name: "credentials", check: credentials },
    Target { name: "directory", check: directory },
    Target { name: "discovery", check: discovery },
    Target { name: "docker_auth", check: docker_auth },
    Target { name: "error_body", check: error_body },
    Target { name: "hook_answer", check: hook_answer },
    Target { name: "htpasswd", check: htpasswd },
    Target { name: "image_reference", check: image_reference },
    Target { name: "jwk", check: jwk },
    Target { name: "jws", check: jws },
    Target { name: "layout", check: layout },
    Target { name: "machine_secret", check: machine_secret },
    Target { name: "manifest", check: manifest },
    Target { name: "range", check: range },
    Target { name: "route", check: route },
    Target { name: "rules", check: rules },
    Target { name: "scope", check: scope },
    Target { name: "token_request", check: token_request },
    Target { name: "token_response", check: token_response },
    Target { name: "workload_claims", check: workload_claims },
    Target { name: "x5c", check: x5c },
];

/// A message for a person has one line, and moves no cursor.
fn assert_one_line(message: &str) {
    assert!(!message.is_empty());
    assert!(!message.contains(portpass_protocol::printable::is_unprintable), "{message:?}");
}
