//! Accounts of directories, end to end: real servers, real clients, and what each user sees when something
//! is wrong with a server.
//!
//! ```text
//! docker ── login, push, pull ──> portpass ── search, bind ──> slapd, or Samba as Active Directory
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod active_directory;
mod asked;
mod cache;
mod crowd;
mod diagnosed;
mod faults;
mod openldap;
mod standing;
mod world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
