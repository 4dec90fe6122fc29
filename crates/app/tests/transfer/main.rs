//! `pull`, `push` and `copy` with real registries and the tools that people use: what one of them made,
//! the other takes, and what broke off goes on.
//!
//! ```text
//! World   our registry, and Debian's docker-registry with tokens of our token service
//! Mover   portpass as a client, with a home of its own
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod archives;
mod copies;
mod layouts;
mod many;
mod names;
mod over_tls;
mod pulls;
mod pushes;
mod usage;
mod world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
