//! `portpass backup`: taken beside a running server, and whole whenever it is needed. What it refuses, it
//! leaves alone.
//!
//! ```text
//! Installation   a server with its data
//!    │ backup
//! Copy           a server on a copy of the backup
//! Client         pushes and pulls at either, and checks every digest
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod broken_off;
mod refused;
mod restored;
mod store;
mod world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
