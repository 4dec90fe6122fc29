//! Moving from Debian's docker-registry and back: its own files, its own program, and skopeo.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod broken;
mod configuration;
mod disk;
mod exported;
mod imported;
mod old;
mod ours;
mod stopped;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
