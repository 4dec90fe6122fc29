//! `portpass diagnose` against real registries and token services: nothing is wrong with good ones, and where one
//! thing is made wrong, that is the cause.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod asked;
mod certificates;
mod given;
mod healthy;
mod origin_story;
mod pushes;
#[path = "../interop/stage.rs"]
#[expect(dead_code, reason = "the tests of clients need more of it")]
mod stage;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
