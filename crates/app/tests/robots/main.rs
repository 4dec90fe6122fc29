//! Robots and API keys with the programs that people use.
//!
//! ```text
//! clients    a pull secret that `robot add` prints works as it is, and nothing takes its place
//! limits     what lies outside is refused, and the log, `explain` and `policy explain` say why
//! lifecycle  two secrets overlap, one expires, one is switched off
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod clients;
mod lifecycle;
mod limits;
mod world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
