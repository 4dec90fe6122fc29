//! Accounts of an operator's own service, end to end: the example of the documentation, real clients, and what each user
//! sees when something is wrong with the service. `docs/http-accounts.md` has that as a table.
//!
//! ```text
//! docker ── login, push ──> portpass ── question ──> (nginx, which asks for a certificate) ──> docs/http-accounts.py
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

#[path = "../ldap/asked.rs"]
mod asked;
mod faults;
mod logins;
mod service;
mod standing;
mod world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
