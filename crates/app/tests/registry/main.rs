//! What operators do with a registry, and what it tells them: with real clients.
#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod fsck;
mod gc;
mod immutable;
mod notifications;
mod partial;
mod pulls;
mod read_only;
mod retention;
mod world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
