//! Jobs and pods log in with the token of their issuer: real clients, tokens of real shapes, and a real issuer.
//!
//! ```text
//! World    portpass with two issuers of the test's own: one signs as GitHub Actions does, one as a cluster
//! logins   docker, skopeo: what they reach, what they do not, and who is told why
//! exchange a token for a token (RFC 8693)
//! outages  issuers that are down
//! inspected  what an operator sees
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod exchange;
mod inspected;
mod logins;
mod outages;
mod provider;
mod world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
